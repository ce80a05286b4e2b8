"""Who is an administrator, by ID tokens and keys of the simulated Entra, over loopback HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pat_core.errors import EntraUnavailable, NotSignedIn
from pat_core.local.estate import CLIENT_ID, Estate, serving_estate
from pat_core.local.serving import serving
from pat_core.local.shapes import TENANT, object_id
from pat_core.local.world import ADMINISTRATOR, World
from pat_core.web.administrators import ROLE, Administrators
from tests.azurite import free_ports
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio
OURS = generate_private_key(65537, 2048)


@pytest.fixture
async def estate(time: FakeTime) -> AsyncIterator[Estate]:
    async with serving_estate(World(NOW), time.clock, redirects=lambda _: False) as found:
        yield found


@pytest.fixture
def administrators(estate: Estate, time: FakeTime) -> Administrators:
    return known_at(estate.address, time)


def known_at(address: str, time: FakeTime) -> Administrators:
    return Administrators(time.clock, tenant=TENANT, client_id=CLIENT_ID, entra=address)


def id_token(estate: Estate, number: int = ADMINISTRATOR, client_id: str = CLIENT_ID) -> str:
    person = estate.simulator.world.person(number)
    return estate.entra.tokens.id_token(person, client_id, "nonce")


def altered(token: str, key: Any, algorithm: str = "RS256", **claims: object) -> str:  # noqa: ANN401 - of either kind
    said = jwt.decode(token, options={"verify_signature": False})
    head = {"kid": jwt.get_unverified_header(token)["kid"]}
    said = {name: value for name, value in (said | claims).items() if value is not None}
    return jwt.encode(said, key, algorithm=algorithm, headers=head)


async def test_an_administrator_is_named_by_entra(
    estate: Estate, administrators: Administrators
) -> None:
    found = await administrators.claims(id_token(estate))
    person = estate.simulator.world.person(ADMINISTRATOR)
    assert found is not None
    assert (found["name"], found["oid"]) == (person.display_name, object_id(person))


async def test_whoever_lacks_the_role_is_none(
    estate: Estate, administrators: Administrators
) -> None:
    assert await administrators.claims(id_token(estate, number=2)) is None


async def test_it_lasts_as_long_as_a_session(
    estate: Estate, administrators: Administrators, time: FakeTime
) -> None:
    token = id_token(estate)
    time.now += timedelta(minutes=24)
    assert await administrators.claims(token)
    time.now += timedelta(minutes=1)
    with pytest.raises(NotSignedIn, match="over"):
        await administrators.claims(token)


async def test_a_token_may_end_sooner_than_a_session(
    estate: Estate, ours: str, time: FakeTime
) -> None:
    token = altered(id_token(estate), OURS, exp=int(NOW.timestamp()) + 60)
    assert await known_at(ours, time).claims(token)
    time.now += timedelta(minutes=1)
    with pytest.raises(NotSignedIn, match="over"):
        await known_at(ours, time).claims(token)


class TestForged:
    async def test_by_another_key(self, estate: Estate, administrators: Administrators) -> None:
        with pytest.raises(NotSignedIn, match="did not sign"):
            await administrators.claims(altered(id_token(estate), OURS))

    async def test_by_none(self, estate: Estate, administrators: Administrators) -> None:
        with pytest.raises(NotSignedIn, match="did not sign"):
            await administrators.claims(altered(id_token(estate), None, "none"))

    async def test_by_what_everybody_knows(
        self, estate: Estate, administrators: Administrators
    ) -> None:
        public = estate.entra.tokens.keys()["keys"][0]["n"]
        with pytest.raises(NotSignedIn, match="did not sign"):
            await administrators.claims(altered(id_token(estate), public, "HS256"))

    async def test_with_a_role_of_ones_own(
        self, estate: Estate, administrators: Administrators
    ) -> None:
        head, body, tag = id_token(estate, number=2).split(".")
        _, better, _ = altered(id_token(estate, number=2), OURS, roles=[ROLE]).split(".")
        assert better != body
        with pytest.raises(NotSignedIn, match="did not sign"):
            await administrators.claims(f"{head}.{better}.{tag}")

    @pytest.mark.parametrize("text", ["", "x", "a.b.c", "\udcff.b.c"])
    async def test_what_is_no_token(self, administrators: Administrators, text: str) -> None:
        with pytest.raises(NotSignedIn, match="did not sign"):
            await administrators.claims(text)


async def test_one_for_another_application_is_refused(
    estate: Estate, administrators: Administrators
) -> None:
    with pytest.raises(NotSignedIn, match="did not sign"):
        await administrators.claims(id_token(estate, client_id="another"))


@pytest.fixture
async def ours() -> AsyncIterator[str]:
    """An Entra whose key we hold."""
    jwk = RSAAlgorithm.to_jwk(OURS.public_key(), as_dict=True)

    async def keys(_: Request) -> JSONResponse:
        return JSONResponse({"keys": [jwk | {"kid": "embedded", "use": "sig", "alg": "RS256"}]})

    app = Starlette(routes=[Route(f"/{TENANT}/discovery/v2.0/keys", keys)])
    async with serving(app) as address:
        yield address


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://login.microsoftonline.com/another/v2.0"},
        {"iss": None},
        {"aud": "another"},
        {"oid": None},
        {"iat": None},
        {"exp": None},
    ],
)
async def test_what_entra_signed_must_be_for_us_and_whole(
    estate: Estate, ours: str, time: FakeTime, claims: dict[str, Any]
) -> None:
    administrators = known_at(ours, time)
    assert await administrators.claims(altered(id_token(estate), OURS))
    with pytest.raises(NotSignedIn, match="did not sign"):
        await administrators.claims(altered(id_token(estate), OURS, **claims))


async def test_without_entra_nobody_is_known_and_it_says_so(estate: Estate, time: FakeTime) -> None:
    (port,) = free_ports(1)
    with pytest.raises(EntraUnavailable, match=r"could not be fetched.*Try again"):
        await known_at(f"http://127.0.0.1:{port}", time).claims(id_token(estate))
