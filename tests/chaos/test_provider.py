"""The mail server dies: what it had confirmed stands, what it had not is tried again when it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.scene import CONNECTIONS, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos


def test_mail_server_is_killed(house: House, tmp_path: Path) -> None:
    """A message that it took without having said so may go out once more: one a connection."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        for share in (0.2, 0.5):
            scene.wait_for_share(share)
            scene.sink.kill()
            scene.sink.start()
            mark = scene.mark()
        recovery = scene.recovery(mark)
        scene.judge(
            "kill -9 of the mail server", injected=2, duplicated=2 * 2 * CONNECTIONS, recovery=recovery
        )
