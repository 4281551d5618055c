"""Pictures that messages show from Muster's own address: kept once each, read by everybody who has the link.

What a picture is is read from its first bytes, never believed: PNG, JPEG or GIF, which every mail program shows. A
picture has at most 2,000,000 bytes, and those of an organization together 200,000,000.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import undefer

from engine.kernel import listing
from engine.kernel.inputs import Invalid, unstorable
from state.change import clock_of
from state.tables import Organization, Picture

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "MAX_BYTES",
    "MAX_TOGETHER",
    "delete_picture",
    "keep_picture",
    "list_pictures",
    "picture_path",
    "served_picture",
]

#: Of one picture, and of all of an organization. Mail that is heavier than the first is shown by nobody.
MAX_BYTES = 2_000_000
MAX_TOGETHER = 200_000_000
_LONGEST_NAME = 255
_BEGINS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif"}


def picture_path(picture: Picture) -> str:
    """Where it is served, below the public address."""
    return f"/pictures/{picture.id}.{_ENDINGS[picture.content_type]}"


def keep_picture(session: Session, org_id: UUID, name: str, content: bytes) -> Picture:
    """Keep a picture; one that is there already is given back.

    Raises:
        Invalid: it is no picture, or too large, or there is no more room.
    """
    name = name.strip().rpartition("/")[2][:_LONGEST_NAME]
    if (trouble := unstorable(name)) is not None:
        raise Invalid("name", trouble[1])
    if len(content) > MAX_BYTES:
        raise Invalid("picture", f"has {len(content):,} bytes; at most {MAX_BYTES:,} are allowed")
    content_type = next((kind for begin, kind in _BEGINS.items() if content.startswith(begin)), None)
    if content_type is None:
        raise Invalid("picture", "is no PNG, JPEG or GIF, which every mail program shows")
    digest = hashlib.sha256(content).digest()
    # The organization's row is the lock: two uploads count the room one after the other.
    session.execute(select(Organization.id).where(Organization.id == org_id).with_for_update(key_share=True))
    same = select(Picture).where(Picture.org_id == org_id, Picture.digest == digest)
    known = session.scalars(same).one_or_none()
    if known is not None:
        return known
    total = session.execute(
        select(func.coalesce(func.sum(Picture.size), 0)).where(Picture.org_id == org_id)
    ).scalar_one()
    if total + len(content) > MAX_TOGETHER:
        raise Invalid("picture", f"all pictures together have at most {MAX_TOGETHER:,} bytes; remove some")
    picture = Picture(
        id=uuid4(),
        org_id=org_id,
        digest=digest,
        name=name,
        content_type=content_type,
        size=len(content),
        content=content,
        created_at=clock_of(session).now(),
    )
    session.add(picture)
    session.flush()
    return picture


def list_pictures(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> listing.Page[Picture]:
    """Newest first, without their content; see `listing.page`."""
    return listing.page(session, Picture, org_id, limit=limit, next=next)


def served_picture(session: Session, picture_id: UUID) -> Picture | None:
    """A picture with its content, for everybody who has the link; None: there is none."""
    wanted = select(Picture).where(Picture.id == picture_id).options(undefer(Picture.content))
    return session.scalars(wanted).one_or_none()


def delete_picture(session: Session, org_id: UUID, picture_id: UUID) -> None:
    """Remove a picture; messages that show it have a gap there from then on.

    Raises:
        NotFound: there is none.
    """
    session.delete(listing.find(session, Picture, org_id, picture_id))
    session.flush()
