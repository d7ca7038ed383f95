"""Bearer tokens: checked offline, against keys and revocations that may change while a service runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from contracts.org import RoleGrant
from services.kernel import clock
from services.kernel.auth import AUDIENCE, ISSUER, Authenticator, Principal, Trust, issue
from services.kernel.errors import Refusal

KEY = OKPKey.generate_key("Ed25519", private=True)
PUBLIC = OKPKey.import_key(KEY.as_dict(private=False))


def someone(seconds: float = 60, **more: Any) -> Principal:
    now = clock.now()
    roles = (RoleGrant(role="group_leader", unit="data"),)
    return replace(
        Principal("1001", "person", roles, issued_at=now, expires_at=now + timedelta(seconds=seconds)), **more
    )


class Known:
    """Keys and revocations that a test changes."""

    def __init__(self) -> None:
        self.trust = Trust({"k": (PUBLIC, None)}, {})
        self.fails = False

    async def load(self) -> Trust:
        if self.fails:
            raise OSError("the database is away")
        return self.trust


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def authenticator(known: Known, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    monkeypatch.setattr("services.kernel.auth.REFRESH_SECONDS", 0.0)  # every check reads what is known now
    return Authenticator(known.load)


async def refused(authenticator: Authenticator, token: str) -> str:
    with pytest.raises(Refusal) as caught:
        await authenticator.check(token)
    assert caught.value.status == 401
    assert caught.value.remedy
    return caught.value.code


async def test_a_token_says_who_it_was_issued_to(authenticator: Authenticator) -> None:
    principal = await authenticator.check(issue(someone(), KEY, "k"))
    assert (principal.id, principal.person) == ("person:1001", "1001")
    assert principal.roles == (RoleGrant(role="group_leader", unit="data"),)
    robot = someone(kind="publisher", sub="bot", types=("forum.post",), sources=("bot",))
    assert (await authenticator.check(issue(robot, KEY, "k"))).types == ("forum.post",)


async def test_what_is_forged_foreign_or_garbage_is_refused(authenticator: Authenticator) -> None:
    other = OKPKey.generate_key("Ed25519", private=True)
    token = issue(someone(), KEY, "k")
    head, body, signature = token.split(".")
    foreign = jwt.encode(
        {"alg": "Ed25519", "kid": "k"},
        {"iss": "elsewhere", "aud": AUDIENCE, "sub": "x", "kind": "person", "iat": 0, "exp": 9e9},
        KEY,
        algorithms=["Ed25519"],
    )
    symmetric = jwt.encode(
        {"alg": "HS256", "kid": "k"},
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "kind": "person", "iat": 0, "exp": 9e9},
        OctKey.import_key(KEY.as_dict(private=False)["x"]),
    )
    for bad in (
        issue(someone(), other, "k"),  # another key under the known id
        issue(someone(), KEY, "unknown"),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        "eyJhbGciOiJub25lIiwia2lkIjoiayJ9." + body + ".",
        foreign,
        symmetric,
        "garbage",
        "",
        "a.b.c",
    ):
        assert await refused(authenticator, bad) == "token_invalid", bad


async def test_a_token_ends(authenticator: Authenticator) -> None:
    assert await refused(authenticator, issue(someone(-60), KEY, "k")) == "token_expired"


async def test_a_token_that_was_good_ends_with_its_key(authenticator: Authenticator, known: Known) -> None:
    token = issue(someone(), KEY, "k")
    await authenticator.check(token)
    known.trust = Trust({}, {})
    assert await refused(authenticator, token) == "token_invalid"
    known.trust = Trust({"k": (PUBLIC, clock.now() - timedelta(seconds=1))}, {})
    assert await refused(authenticator, token) == "token_invalid"


async def test_a_revocation_voids_earlier_tokens_and_not_later_ones(authenticator: Authenticator, known: Known) -> None:
    token = issue(someone(issued_at=clock.now() - timedelta(seconds=5)), KEY, "k")
    await authenticator.check(token)
    known.trust = replace(known.trust, revoked={"person:1001": clock.now() - timedelta(seconds=1)})
    assert await refused(authenticator, token) == "token_revoked"
    await authenticator.check(issue(someone(), KEY, "k"))


async def test_a_database_that_is_away_does_not_stop_the_checking(authenticator: Authenticator, known: Known) -> None:
    token = issue(someone(), KEY, "k")
    await authenticator.check(token)
    known.fails = True
    await authenticator.check(token)
    with pytest.raises(Refusal) as caught:
        await Authenticator(known.load).check(token)  # nothing was ever read
    assert (caught.value.status, caught.value.code) == (503, "keys_not_available")
