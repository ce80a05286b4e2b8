"""The real MSAL against the simulated Entra, over loopback HTTP."""

from __future__ import annotations

import re
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
import msal
import pytest

from pat_core.azure_devops.wire import RESOURCE
from pat_core.errors import NotSignedIn, Unavailable
from pat_core.local.demo import entra_application
from pat_core.local.entra_codes import CODE_LIFETIME
from pat_core.local.estate import CLIENT_ID, Estate, serving_estate
from pat_core.local.shapes import TENANT, object_id
from pat_core.local.world import Trait, World, people
from pat_core.web.administrators import Administrators
from pat_core.web.sign_in import Application, SignIn
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio
BACK = "http://127.0.0.1:7072/signed-in"
SCOPES = [f"{RESOURCE}/vso.pats", f"{RESOURCE}/vso.pats_manage"]
PERSON = World(NOW).person(1)
Flow = dict[str, Any]


@asynccontextmanager
async def served(time: FakeTime) -> AsyncIterator[Estate]:
    async with serving_estate(World(NOW), time.clock, redirects=lambda where: where == BACK) as it:
        yield it


async def application(
    estate: Estate, credential: object = None
) -> msal.ConfidentialClientApplication:
    return await to_thread(
        msal.ConfidentialClientApplication,
        estate.client_id,
        authority=estate.authority,
        client_credential=credential or estate.client_secret.get_secret_value(),
        http_client=estate.msal_http,
    )


def begun(app: msal.ConfidentialClientApplication, **more: str) -> Flow:
    asked = {"redirect_uri": BACK, "response_mode": "form_post"} | more
    flow: Flow = app.initiate_auth_code_flow(SCOPES, **asked)
    return flow


async def shown(address: str) -> httpx.Response:
    async with httpx.AsyncClient() as browser:
        return await browser.get(address)


def links(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'<a href="([^"]*)">(.*?)</a>', page.text)
    return {
        re.sub("<[^>]*>", "", text): urljoin(str(page.url), unescape(href)) for href, text in found
    }


def posted_back(page: httpx.Response) -> dict[str, str]:
    assert f'<form method="post" action="{BACK}">' in page.text
    found = re.findall(r'name="(\w+)" value="([^"]*)"', page.text)
    return {name: unescape(value) for name, value in found}


async def chosen(flow: Flow, whom: str = "zofia.zhou") -> httpx.Response:
    choices = links(await shown(flow["auth_uri"]))
    return await shown(next(to for who, to in choices.items() if whom in who))


async def picked(flow: Flow) -> dict[str, str]:
    return posted_back(await chosen(flow))


async def tokens(
    app: msal.ConfidentialClientApplication, flow: Flow, answer: dict[str, str]
) -> Flow:
    found: Flow = await to_thread(app.acquire_token_by_auth_code_flow, flow, answer)
    return found


def changed(address: str, **words: str | None) -> str:
    query = dict(parse_qsl(urlsplit(address).query)) | words
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return urlsplit(address)._replace(query=asked).geturl()


class TestSignIn:
    async def test_who_is_picked_is_signed_in(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app)
            found = await tokens(app, flow, await picked(flow))
            claims = found["id_token_claims"]
            assert (claims["aud"], claims["tid"]) == (estate.client_id, TENANT)
            assert claims["iss"] == f"{estate.authority}/v2.0"
            assert (claims["oid"], claims["name"]) == (object_id(PERSON), PERSON.display_name)
            assert claims["preferred_username"] == PERSON.mail_address
            assert claims["exp"] - claims["iat"] == found["expires_in"] == 3600
            assert estate.entra.tokens.person_of(found["access_token"]) == PERSON

    # What MSAL advises, form_post, is for those whose cookies come along with it.
    @pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")
    async def test_an_application_may_be_led_back_by_a_redirect(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app, response_mode="query")
            reply = await chosen(flow)
            where = urlsplit(reply.headers["location"])
            found = await tokens(app, flow, dict(parse_qsl(where.query)))
        assert (reply.status_code, where._replace(query="").geturl()) == (303, BACK)
        assert "access_token" in found

    async def test_msal_keeps_the_account(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app)
            found = await tokens(app, flow, await picked(flow))
            (account,) = await to_thread(app.get_accounts)
            again = await to_thread(app.acquire_token_silent, SCOPES, account)
            assert again["access_token"] == found["access_token"]

    async def test_an_assertion_proves_the_application_too(self, time: FakeTime) -> None:
        async with served(time) as estate:
            proof = {"client_assertion": estate.client_assertion.get_secret_value}
            app = await application(estate, proof)
            flow = begun(app)
            assert "access_token" in await tokens(app, flow, await picked(flow))

    async def test_a_token_for_something_else_does_not_open_azure_devops(
        self, time: FakeTime
    ) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow: Flow = app.initiate_auth_code_flow(
                [], redirect_uri=BACK, response_mode="form_post"
            )
            found = await tokens(app, flow, await picked(flow))
            assert estate.entra.tokens.person_of(found["access_token"]) is None

    async def test_an_access_token_lasts_an_hour(self, time: FakeTime) -> None:
        async with served(time) as estate:
            token = estate.entra.token_for(PERSON)
            time.now += timedelta(minutes=59)
            assert estate.entra.tokens.person_of(token) == PERSON
            time.now += timedelta(minutes=1)
            assert estate.entra.tokens.person_of(token) is None


class TestRefusals:
    @pytest.mark.parametrize("proof", ["wrong", {"client_assertion": lambda: "wrong"}])
    async def test_an_application_that_is_not_proven_gets_nothing(
        self, time: FakeTime, proof: object
    ) -> None:
        async with served(time) as estate:
            app = await application(estate, proof)
            flow = begun(app)
            assert (await tokens(app, flow, await picked(flow)))["error"] == "invalid_client"

    async def test_a_wrong_verifier_gets_nothing(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app)
            answer = await picked(flow)
            flow["code_verifier"] = "x" * 43
            found = await tokens(app, flow, answer)
            assert found["error"] == "invalid_grant"
            assert "code_verifier" in found["error_description"]

    async def test_a_code_works_once(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app)
            answer = await picked(flow)
            assert "access_token" in await tokens(app, flow, answer)
            assert (await tokens(app, flow, answer))["error"] == "invalid_grant"

    async def test_a_code_works_for_five_minutes(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app)
            answer = await picked(flow)
            time.now += CODE_LIFETIME
            assert "expired" in (await tokens(app, flow, answer))["error_description"]

    async def test_a_code_belongs_to_its_redirect_uri(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app)
            answer = await picked(flow)
            flow["redirect_uri"] = BACK + "/elsewhere"
            assert "redirect_uri" in (await tokens(app, flow, answer))["error_description"]

    async def test_msal_notices_the_nonce_of_another_sign_in(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate)
            flow = begun(app)
            flow["auth_uri"] = changed(flow["auth_uri"], nonce="another")
            answer = await picked(flow)
            with pytest.raises(RuntimeError, match="nonce"):
                await tokens(app, flow, answer)

    @pytest.mark.parametrize(
        "words",
        [{"redirect_uri": "https://elsewhere.example/"}, {"client_id": "another"}],
        ids=["redirect_uri", "client_id"],
    )
    async def test_an_address_that_is_not_registered_is_not_led_to(
        self, time: FakeTime, words: dict[str, str]
    ) -> None:
        async with served(time) as estate:
            flow = begun(await application(estate))
            page = await shown(changed(flow["auth_uri"], **words))
        assert page.status_code == 400
        assert "not registered" in page.text
        assert links(page) == {}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("response_type", "token"),
            ("state", None),
            ("nonce", None),
            ("code_challenge", None),
            ("code_challenge_method", "plain"),
        ],
    )
    async def test_a_request_without_its_guards_is_led_back_as_invalid(
        self, time: FakeTime, name: str, value: str | None
    ) -> None:
        async with served(time) as estate:
            flow = begun(await application(estate))
            answer = posted_back(await shown(changed(flow["auth_uri"], **{name: value})))
        assert answer["error"] == "invalid_request"
        assert answer["error_description"].startswith(name)

    async def test_who_left_cannot_be_picked(self, time: FakeTime) -> None:
        gone = next(each for each in people(World(NOW), 0, 40) if each.trait is Trait.LEFT)
        async with served(time) as estate:
            flow = begun(await application(estate), login_hint=gone.principal_name)
            page = await shown(flow["auth_uri"])
            forced = await shown(changed(flow["auth_uri"], pick=gone.descriptor))
        assert gone.principal_name not in page.text
        assert forced.status_code == 400


class TestPages:
    async def test_a_handful_of_owners_is_offered_without_a_script(self, time: FakeTime) -> None:
        async with served(time) as estate:
            page = await shown(begun(await application(estate))["auth_uri"])
        assert len(links(page)) == 7
        assert "<script" not in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")

    async def test_who_is_hinted_at_is_offered_first(self, time: FakeTime) -> None:
        person = World(NOW).person(150)
        async with served(time) as estate:
            flow = begun(await application(estate), login_hint=person.principal_name)
            first = next(iter(links(await shown(flow["auth_uri"]))))
        assert person.display_name in first

    async def test_to_cancel_is_led_back_as_access_denied(self, time: FakeTime) -> None:
        async with served(time) as estate:
            flow = begun(await application(estate))
            answer = posted_back(await chosen(flow, "Cancel"))
        assert (answer["error"], answer["state"]) == ("access_denied", flow["state"])

    async def test_a_sign_out_leads_back_only_to_where_it_is_known(self, time: FakeTime) -> None:
        async with served(time) as estate:
            leave = f"{estate.address}/{TENANT}/oauth2/v2.0/logout?post_logout_redirect_uri="
            known, unknown = await shown(leave + BACK), await shown(leave + "https://x.example")
        assert (known.status_code, known.headers["location"]) == (303, BACK)
        assert "You are signed out" in unknown.text

    async def test_msal_is_led_nowhere_but_to_entra(self, time: FakeTime) -> None:
        async with served(time) as estate:
            with pytest.raises(ValueError, match=r"evil\.example"):
                estate.msal_http.get("https://evil.example/")


def signing_in(make: Callable[[], Application]) -> SignIn:
    administrators = Administrators(lambda: NOW, tenant=TENANT, client_id=CLIENT_ID)
    return SignIn(make, public_url="https://p", tenant=TENANT, administrators=administrators)


class TestProof:
    """What `doctor` asks: whether Entra takes the application for what it says it is."""

    async def test_a_proven_application_is_taken(self, time: FakeTime) -> None:
        async with served(time) as estate:
            await signing_in(lambda: entra_application(estate)).prove()

    async def test_another_is_refused_and_the_remedy_named(self, time: FakeTime) -> None:
        async with served(time) as estate:
            app = await application(estate, credential="another")
            sign_in = signing_in(lambda: app)
            with pytest.raises(NotSignedIn, match=r"\(invalid_client\).*PAT_CLIENT_ID"):
                await sign_in.prove()

    async def test_without_an_answer_nobody_knows(self) -> None:
        def make() -> msal.ConfidentialClientApplication:
            raise OSError("no route")

        sign_in = signing_in(make)
        with pytest.raises(Unavailable, match=r"\(OSError\).*PAT_TENANT_ID"):
            await sign_in.prove()
