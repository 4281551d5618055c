"""Generated requests to every operation there is, by every role and by a token: nothing is answered 500.

`MUSTER_ATTACK` makes it fifty valid and fifty broken requests an operation and credential; else it is one of each, by
one credential after the other.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, seed
from hypothesis.errors import Unsatisfiable

from engine.authentication.openid_keys import TokenKeys
from engine.authentication.openid_tokens import TokenVerifier
from tests.conftest import missing_service
from tests.harness.generated import generated
from tests.harness.openid import OpenIdProvider

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Api

try:
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.core.result import Ok

    @schemathesis.serializer("message/rfc822", "text/csv", "application/x-ndjson")
    def _as_it_is(_context: Any, value: Any) -> bytes:
        """Bodies that are no JSON."""
        return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")

except ImportError:
    schemathesis = None  # type: ignore[assignment]

WHOLE = "MUSTER_ATTACK" in os.environ
EXAMPLES = 50 if WHOLE else 1
#: Reaches out to other machines; goes on for good.
_LEFT_OUT = {"testChannel", "streamEvents"}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_is_answered_500(api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if schemathesis is None:
        missing_service("schemathesis", "not installed")
    with OpenIdProvider(tmp_path) as provider:
        verifier = TokenVerifier(provider.issuer, "muster", TokenKeys(provider.jwks))
        api.app.state.tokens = verifier
        now = api.database.clock.now().timestamp()
        claims = {"iss": provider.issuer, "aud": "muster", "sub": "ada", "exp": now + 300}
        token = provider.sign({**claims, "org_id": str(api.org_id), "role": "admin"})
        asked = 0
        broken: list[str] = []
        credentials = list({**api.keys, "token": token}.items())
        schema = schemathesis.openapi.from_dict(api.app.openapi())
        for number, found in enumerate(schema.get_all_operations()):
            assert isinstance(found, Ok), found.err()
            operation = found.ok()
            if operation.definition.raw.get("operationId") in _LEFT_OUT:
                continue
            for who, credential in credentials if WHOLE else credentials[number % 4 :][:1]:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    with suppress(Unsatisfiable):  # nothing about it can be broken
                        asked += _ask(api, operation, mode, credential, who, broken)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{asked} requests by {len(credentials)} credentials, {len(broken)} answered 500\n"
        )
    assert broken == []
    assert asked > 200


def _ask(api: Api, operation: Any, mode: Any, credential: str, who: str, broken: list[str]) -> int:
    asked = 0

    @seed(1)
    @generated(EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        nonlocal asked
        usual = {name: text for name, text in (case.headers or {}).items() if name.lower() != "authorization"}
        case.headers = usual | {"authorization": f"Bearer {credential}"}
        answer = case.call(base_url=api.url, timeout=60, allow_redirects=False)
        asked += 1
        if answer.status_code == 500:
            broken.append(f"{who}: {case.as_curl_command()}")

    ask()
    return asked
