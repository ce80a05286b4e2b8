"""The owner's pages as browsers, callers and attackers meet them, over real HTTP and MSAL."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msal
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from pat_core.audit import SERVICE, AuditEntry, Result
from pat_core.bootstrap import Services
from pat_core.errors import LedgerUnavailable
from pat_core.local.calls import error
from pat_core.local.policies import Policies
from pat_core.local.simulator import Fault
from pat_core.ports import Store
from pat_core.rows import Change, Row, Verb
from pat_core.signals import ROTATION_COUNT
from pat_core.trail import Trail
from pat_core.web.http import HEADERS
from pat_core.web.session import COOKIE, SESSIONS, Sessions
from pat_core.web.sign_in import SCOPES, own_path
from tests.estate import PAGE, House, opened
from tests.fakes import NOW, FakeMeter, FakeTime

pytestmark = pytest.mark.anyio
STRANGE = [
    'prefs={"a":1}',
    "seen=a b",
    "version=1",
    "path=/x",
    "$x",
    "a=\u00ff",
    "=",
    "",
    'open="',
    f"x={COOKIE}=y",
    f"{COOKIE}x=y",
    f"\u00a0{COOKIE}=y",
    f"={COOKIE}=y",
]
FORM = {"lifetime_days": "90", "to": "page", "overlap_hours": "24"}


@pytest.fixture
async def house(tmp_path: Path, time: FakeTime) -> AsyncIterator[House]:
    async with opened(tmp_path, time) as found:
        yield found


@pytest.fixture
async def browser(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which somebody is signed in."""
    async with house.browser() as found:
        await house.signed_in(found, house.someone())
        yield found


def secret_of(page: httpx.Response) -> str:
    _, _, rest = page.text.partition("<textarea")
    return rest.partition(">")[2].partition("</textarea>")[0].strip() if rest else ""


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


class TestSignIn:
    async def test_one_lands_where_one_wanted_to_go(self, house: House) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        async with house.browser() as browser:
            first = await browser.get(path)
            assert first.headers["location"] == f"/sign-in?next={path.replace('/', '%2F')}"
            assert await house.signed_in(browser, person, path) == path
            assert (await browser.get(path)).status_code == 200
        async with house.browser() as browser:
            asked = "/tokens?show=all"
            first = await browser.get(asked)
            assert first.headers["location"] == "/sign-in?next=%2Ftokens%3Fshow%3Dall"
            assert await house.signed_in(browser, person, asked) == asked

    @pytest.mark.parametrize(
        "elsewhere",
        [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/tokens\\..\\x",
            "/tokens/../admin",
            "javascript:alert(1)",
            "/tokens\r\nSet-Cookie: a=b",
            "/tokensx",
            "",
        ],
    )
    def test_nobody_is_led_elsewhere(self, elsewhere: str) -> None:
        assert own_path(elsewhere) == "/tokens"

    async def test_an_answer_to_another_flow_signs_nobody_in(self, house: House) -> None:
        async with house.browser() as browser:
            began = await browser.get("/sign-in")
            house.keep(browser, began)
            back = await browser.get("/sign-in/callback?code=x&state=wrong")
            assert back.status_code == 401
            assert (await browser.get("/tokens")).status_code == 303

    async def test_a_callback_works_once(self, house: House) -> None:
        person = house.someone()
        async with house.browser() as browser, house.browser() as thief:
            began = await browser.get("/sign-in")
            thief.headers["cookie"] = began.headers["set-cookie"].partition(";")[0]
            await house.signed_in(browser, person)
            again = await thief.get("/sign-in/callback?code=x&state=y")
            assert again.status_code in (303, 401)
            assert (await thief.get("/tokens")).status_code == 303

    async def test_two_scopes_are_asked_for_and_no_refresh_token(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make = partial(msal.ConfidentialClientApplication, http_client=house.estate.msal_http)
        monkeypatch.setattr(msal, "ConfidentialClientApplication", make)
        proof = {"client_secret": SecretStr("x")}
        settings = house.shared.settings.model_copy(update=proof)
        async with Services(settings, house.time.clock) as shared:
            assert shared.sign_in
            address, _ = await shared.sign_in.begin()
        asked = parse_qs(urlsplit(address).query)
        assert set(asked["scope"][0].split()) == {*SCOPES, "openid", "profile"}
        assert len(SCOPES) == 2
        assert asked["response_type"] == ["code"]
        assert asked["code_challenge_method"] == ["S256"]
        assert {"state", "nonce", "code_challenge"} <= asked.keys()

    async def test_without_a_flow_a_callback_begins_anew(self, house: House) -> None:
        async with house.browser() as browser:
            back = await browser.get("/sign-in/callback?code=x&state=y")
            assert (back.status_code, back.headers["location"]) == (303, "/sign-in")


class TestSession:
    async def test_it_is_over_after_fifteen_minutes(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        house.time.now += timedelta(minutes=14, seconds=59)
        assert (await browser.get("/tokens")).status_code == 200
        house.time.now += timedelta(seconds=1)
        assert (await browser.get("/tokens")).status_code == 303
        await house.host.fire("finish_rotations")
        assert await self.rows(house) == []

    async def test_signing_out_ends_it_for_whoever_has_the_cookie(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        assert (await browser.post("/sign-out", headers=PAGE)).status_code == 200
        assert (await browser.get("/tokens")).status_code == 303

    @pytest.mark.parametrize("cookie", ["x", "A" * 43, "", "\u00ff", "a=b; c"])
    async def test_a_forged_cookie_opens_nothing(self, house: House, cookie: str) -> None:
        async with house.browser() as browser:
            headers = {b"cookie": f"__Host-pat-warden={cookie}".encode()}
            assert (await browser.get("/tokens", headers=headers)).status_code == 303

    async def test_what_other_hosts_of_the_domain_set_hides_no_session(self, house: House) -> None:
        sessions, session = house.shared.sessions, {"bearer": "x"}
        ours = (await sessions.open(session)).partition(";")[0]
        for beside in STRANGE:
            for header in (f"{beside}; {ours}", f"{ours}; {beside}", f"{beside};{ours};{beside}"):
                assert await sessions.read(header) == session, header

    async def test_of_two_that_differ_neither_opens_anything(self, house: House) -> None:
        sessions = house.shared.sessions
        ours, other = [
            (await sessions.open({"bearer": each})).partition(";")[0] for each in ("a", "b")
        ]
        assert await sessions.read(f"{ours}; {other}") == {}
        assert await sessions.read(f"{ours}; {ours}") == {"bearer": "a"}

    async def test_each_cookie_is_256_random_bits_of_its_own(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[bytes] = []

        def noted(count: int) -> bytes:
            given.append(os.urandom(count))
            return given[-1]

        monkeypatch.setattr(secrets, "token_bytes", noted)
        async with house.browser() as browser:
            answers = [await browser.get("/sign-in") for _ in range(40)]
        cookies = [SimpleCookie(each.headers["set-cookie"])[COOKIE].value for each in answers]
        opened = [urlsafe_b64decode(each + "=" * (-len(each) % 4)) for each in cookies]
        assert all(len(each) >= 32 for each in opened)
        assert {each[:32] for each in opened} <= set(given)
        assert len({each[:32] for each in opened}) == 40

    async def test_signing_in_again_ends_the_one_before(self, house: House) -> None:
        async with house.browser() as browser, house.browser() as thief:
            await house.signed_in(browser, house.someone())
            thief.headers["cookie"] = browser.headers["cookie"]
            assert (await thief.get("/tokens")).status_code == 200
            await house.signed_in(browser, house.someone(1))
            assert (await thief.get("/tokens")).status_code == 303
            assert (await browser.get("/tokens")).status_code == 200
        assert len(await self.rows(house)) == 1

    async def test_a_sign_in_that_came_back_leaves_no_row_of_its_own(self, house: House) -> None:
        async with house.browser() as browser:
            began = await browser.get("/sign-in")
            house.keep(browser, began)
            (unfinished,) = await self.rows(house)
            await browser.get("/sign-in/callback?code=x&state=wrong")
            assert await self.rows(house) == []
            await house.signed_in(browser, house.someone())
        (finished,) = await self.rows(house)
        assert finished.key != unfinished.key

    async def test_a_browser_that_begins_again_and_again_has_one_row(self, house: House) -> None:
        async with house.browser() as browser:
            for _ in range(5):
                house.keep(browser, await browser.get("/sign-in"))
        assert len(await self.rows(house)) == 1

    async def rows(self, house: House) -> list[Row]:
        return [row async for row in house.shared.store.rows(SESSIONS, "session")]

    @pytest.mark.parametrize("altered", ["until", "sealed"])
    async def test_one_that_was_altered_in_the_ledger_opens_nothing(
        self, house: House, browser: httpx.AsyncClient, altered: str
    ) -> None:
        store = house.shared.store
        (row,) = [row async for row in store.rows("sessions", "session")]
        value = str(row.values[altered])
        head, tail = ("2099", value[4:]) if altered == "until" else ("AAAA", value[4:])
        await store.write(
            "sessions",
            [Change(Verb.PUT, replace(row, values={**row.values, altered: head + tail}))],
        )
        assert (await browser.get("/tokens")).status_code == 303

    async def test_signing_in_leaves_nothing_in_the_process(self, house: House) -> None:
        async with house.browser() as browser:
            await house.signed_in(browser, house.someone())
            session = await house.shared.sessions.read(browser.headers["cookie"])
        sign_in = house.shared.sign_in
        assert sign_in
        cache: Any = vars(sign_in)["_made"].token_cache
        assert list(cache.search("AccessToken")) == []
        assert session["bearer"]

    async def test_neither_ledger_nor_cookie_alone_reveals_the_bearer(
        self, house: House, browser: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        session = await house.shared.sessions.read(browser.headers["cookie"])
        assert session["bearer"]
        ledger = everything_in(tmp_path)
        assert session["bearer"].encode() not in ledger
        assert house.cookie(browser).encode() not in ledger
        assert session["bearer"] not in house.cookie(browser)

    async def test_the_cookie_is_for_this_host_https_and_no_script(self, house: House) -> None:
        async with house.browser() as browser:
            given = (await browser.get("/sign-in")).headers["set-cookie"]
        assert given.startswith("__Host-")
        for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=900"):
            assert part in given
        assert "Domain" not in given

    async def test_headers_that_a_proxy_would_set_count_for_nothing(self, house: House) -> None:
        claims = {"x-ms-client-principal-name": "ana@x.y", "x-ms-token-aad-access-token": "t"}
        async with house.browser(**claims) as browser:
            assert (await browser.get("/tokens")).status_code == 303


def refused_in(*names: str) -> Fault:
    """What organizations answer to whoever is no member."""

    def refusal(request: Request) -> Response | None:
        return Response(status_code=401) if request.path_params["organization"] in names else None

    return refusal


class TestNotEverywhereAMember:
    async def test_what_one_has_elsewhere_is_listed(self, tmp_path: Path, time: FakeTime) -> None:
        fault = refused_in("fabrikam")
        async with opened(tmp_path, time, fault=fault, elsewhere=["fabrikam"]) as house:
            async with house.browser() as browser:
                await house.signed_in(browser, house.someone())
                page = await browser.get("/tokens")
                listed = house.path(house.living(house.someone())[0])
        assert page.status_code == 200
        assert listed in page.text
        assert "Left out: fabrikam." in page.text
        assert "This list is not complete" not in page.text

    async def test_who_is_a_member_nowhere_is_told_so_and_not_led_in_a_circle(
        self, tmp_path: Path, time: FakeTime
    ) -> None:
        fault = refused_in("fabrikam", "contoso-demo")
        async with opened(tmp_path, time, fault=fault, elsewhere=["fabrikam"]) as house:
            async with house.browser() as browser:
                person = house.someone()
                await house.signed_in(browser, person)
                for path in ("/tokens", house.path(house.living(person)[0])):
                    page = await browser.get(path)
                    assert page.status_code == 401
                    assert "Azure DevOps does not accept your sign-in" in page.text
                    assert 'href="/sign-in"' in page.text


class TestPages:
    async def test_every_page_is_guarded(self, house: House, browser: httpx.AsyncClient) -> None:
        path = house.path(house.living(house.someone())[0])
        for each in ("/tokens", path, "/tokens/x/y", "/sign-in"):
            found = (await browser.get(each)).headers
            assert {name: found[name] for name in HEADERS} == HEADERS
        assert "unsafe" not in HEADERS["Content-Security-Policy"]

    async def test_the_stylesheet_is_ours_and_no_other_file_is(self, house: House) -> None:
        async with house.browser() as browser:
            assert (
                (await browser.get("/static/style.css"))
                .headers["content-type"]
                .startswith("text/css")
            )
            for name in ("..%2f..%2fsettings.py", "x", "pages.py"):
                assert (await browser.get(f"/static/{name}")).status_code == 404

    async def test_what_is_not_ones_own_is_not_found_and_nothing_is_revealed(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        foreign = house.path(house.living(house.someone(1))[0])
        unknown = foreign[:-12] + "0" * 12
        organization = house.estate.organization.name
        tricks = (
            f"/tokens/{organization}/x",
            f"/tokens/{organization}/%2e%2e",
            f"/tokens/nobody/{foreign.rpartition('/')[2]}",
            f"/tokens/{organization}/<script>",
        )
        pages = [await browser.get(path) for path in (foreign, unknown, *tricks)]
        assert {page.status_code for page in pages} == {404}
        assert "<script>" not in pages[-1].text
        for path in (foreign, unknown):
            for action in ("rotate", "revoke", "extend", "snooze", "stored", "keep", "restart"):
                done = await browser.post(
                    f"{path}/{action}", data=FORM | {"days": "1"}, headers=PAGE
                )
                assert done.status_code in (404, 409), (action, done.text)
        assert house.estate.changes.tokens(house.someone(1)) == house.estate.simulator.world.tokens(
            house.someone(1)
        )


class Forgetful:
    """A ledger that breaks as no adapter should, once it was written to."""

    def __init__(self, store: Store) -> None:
        self.store, self.left = store, 1

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("Nobody foresaw this.")
        return await self.store.write(table, changes)


class TestRotate:
    async def test_the_new_token_is_shown_once_and_works_and_the_old_one_dies_after_its_overlap(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        person = house.someone()
        old = house.living(person)[0]
        path = house.path(old)
        page = await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        secret = secret_of(page)
        assert len(secret) == 84
        again = await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        assert secret not in again.text
        assert secret_of(again) == ""
        assert await self.opens(house, secret)
        stored = await browser.post(f"{path}/stored", headers=PAGE)
        assert stored.status_code == 303
        house.time.now += timedelta(hours=23)
        await house.host.fire("finish_rotations")
        assert self.is_valid(house, old.authorization_id)
        house.time.now += timedelta(hours=1)
        await house.host.fire("finish_rotations")
        assert not self.is_valid(house, old.authorization_id)
        assert await self.opens(house, secret)

    @pytest.mark.parametrize(
        ("overlap", "said"),
        [("0", "Good. The old token no longer works."), ("24", "Good. The old token lives until")],
    )
    async def test_once_it_is_stored_its_owner_is_told_how_the_old_one_stands(
        self, house: House, browser: httpx.AsyncClient, overlap: str, said: str
    ) -> None:
        path = house.path(house.living(house.someone())[0])
        await browser.post(f"{path}/rotate", data=FORM | {"overlap_hours": overlap}, headers=PAGE)
        stored = await browser.post(f"{path}/stored", headers=PAGE)
        assert said in (await browser.get(stored.headers["location"])).text

    async def test_it_is_shown_whatever_fails_once_it_was_made(
        self, tmp_path: Path, time: FakeTime
    ) -> None:
        made = list[Request]()

        def fails_after_create(request: Request) -> Response | None:
            if made:
                return error(400, "No more for today.")
            if request.method == "POST" and request.url.path.endswith("/tokens/pats"):
                made.append(request)
            return None

        async with opened(tmp_path, time, fault=fails_after_create) as house:
            async with house.browser() as browser:
                await house.signed_in(browser, house.someone())
                path = house.path(house.living(house.someone())[0])
                trail = Trail(Forgetful(house.shared.store), house.time.clock)  # type: ignore[arg-type] # what is called
                house.shared.front = replace(house.shared.front, trail=trail)
                page = await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        assert made
        assert len(secret_of(page)) == 84

    async def test_a_global_one_is_replaced_by_one_for_this_organization(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        world = house.estate.simulator.world
        everybody = (world.person(number) for number in range(world.users))
        person, old = next(
            (person, token)
            for person in everybody
            for token in house.living(person)
            if token.is_global
        )
        path = house.path(old)
        assert await house.signed_in(browser, person, path) == path
        page = await browser.get(path)
        assert "Global tokens stop working on Tue 1 Dec 2026" in page.text
        assert page.text.count("ends in every organization") == len(("rotate", "revoke"))
        refused = await browser.post(f"{path}/extend", data=FORM, headers=PAGE)
        assert refused.status_code == 409
        await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        made = next(each for each in house.living(person) if each.valid_from == house.time.now)
        assert not made.is_global

    async def test_two_at_once_make_one_new_token(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        before = len(house.estate.changes.tokens(person))
        both = await asyncio.gather(
            *(browser.post(f"{path}/rotate", data=FORM, headers=PAGE) for _ in range(4))
        )
        assert len([page for page in both if secret_of(page)]) == 1
        assert len(house.estate.changes.tokens(person)) == before + 1

    async def test_into_the_vault_it_is_shown_nowhere(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        path = house.path(house.living(house.someone())[0])
        page = await browser.post(f"{path}/rotate", data=FORM | {"to": "vault"}, headers=PAGE)
        ((name, versions),) = house.vault.secrets.items()
        assert versions[-1].value not in page.text
        assert name in page.text

    async def test_a_policy_is_told_in_plain_words(self, tmp_path: Path, time: FakeTime) -> None:
        async with opened(tmp_path, time, policies=Policies(max_days=60)) as house:
            async with house.browser() as browser:
                await house.signed_in(browser, house.someone())
                path = house.path(house.living(house.someone())[0])
                page = await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        assert page.status_code == 409
        assert "Azure DevOps refused it" in page.text
        assert "patLifespanPolicyViolation" not in page.text

    @pytest.mark.parametrize(
        "form",
        [
            {},
            {"lifetime_days": "9999"},
            {"lifetime_days": "90", "overlap_hours": "-1"},
            {"lifetime_days": "90", "overlap_hours": "nan"},
            {"lifetime_days": "90", "overlap_hours": "1e309"},
            {"lifetime_days": "90", "to": "mail"},
            {"lifetime_days": "x" * 30_000},
        ],
    )
    async def test_a_wrong_form_does_nothing(
        self, house: House, browser: httpx.AsyncClient, form: dict[str, str]
    ) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        before = house.estate.changes.tokens(person)
        page = await browser.post(f"{path}/rotate", data=form, headers=PAGE)
        if form:
            assert page.status_code == 400
            assert house.estate.changes.tokens(person) == before

    async def opens(self, house: House, secret: str) -> bool:
        where = house.estate.organization.base_url
        async with httpx.AsyncClient(auth=("", secret)) as caller:
            found = await caller.get(f"{where}/_apis/connectionData?api-version=7.1-preview.1")
        return found.status_code == 200

    def is_valid(self, house: House, authorization_id: str) -> bool:
        found = house.estate.changes.tokens(house.someone())
        return next(each.is_valid for each in found if each.authorization_id == authorization_id)


class TestCrossSite:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "none"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site", "origin": "ours"},
        ],
    )
    async def test_a_post_from_elsewhere_does_nothing(
        self, house: House, browser: httpx.AsyncClient, headers: dict[str, str]
    ) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        given = {k: house.address if v == "ours" else v for k, v in headers.items()}
        before = house.estate.changes.tokens(person)
        for action in ("rotate", "revoke", "extend", "let-expire"):
            page = await browser.post(f"{path}/{action}", data=FORM, headers=given)
            assert page.status_code == 403
        assert house.estate.changes.tokens(person) == before
        assert (await browser.post("/sign-out", headers=given)).status_code == 403

    async def test_an_old_browser_is_known_by_its_origin(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        path = house.path(house.living(house.someone())[0])
        page = await browser.post(f"{path}/let-expire", headers={"origin": house.address})
        assert page.status_code == 303

    async def test_a_get_of_an_action_is_none(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        before = house.estate.changes.tokens(person)
        for action in ("rotate", "revoke", "extend", "snooze", "let-expire", "stored"):
            assert (await browser.get(f"{path}/{action}")).status_code in (404, 405)
        assert house.estate.changes.tokens(person) == before


class TestTrail:
    async def test_who_did_what_is_kept_with_its_result(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        person = house.someone()
        old = house.living(person)[0]
        path = house.path(old)
        page = await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        house.time.now += timedelta(seconds=1)
        await browser.post(f"{path}/extend", data=FORM, headers=PAGE)
        await browser.post(f"{path}/burn", data=FORM, headers=PAGE)
        found = [each async for each in house.shared.trail.entries("contoso-demo", NOW)]
        assert [(each.action, each.result) for each in found] == [
            ("rotate", Result.ASKED),
            ("rotate", Result.DONE),
            ("extend", Result.ASKED),
            ("extend", Result.REFUSED),
        ]
        assert {(each.who, each.authorization_id) for each in found} == {
            (person.descriptor, old.authorization_id)
        }
        assert secret_of(page) not in f"{found}"

    async def test_what_the_service_does_by_itself_is_kept_too(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        old = house.living(house.someone())[0]
        path = house.path(old)
        await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        await browser.post(f"{path}/stored", headers=PAGE)
        house.time.now += timedelta(hours=25)
        await house.host.fire("finish_rotations")
        found = [each async for each in house.shared.trail.entries("contoso-demo", NOW)]
        assert [(each.who, each.action, each.result) for each in found[-2:]] == [
            (SERVICE, "revoke", Result.ASKED),
            (SERVICE, "revoke", Result.DONE),
        ]
        assert found[-1].authorization_id == old.authorization_id

    async def test_without_a_trail_nothing_is_done(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        class Full(Trail):
            async def asked(self, *_: object) -> AuditEntry:
                raise LedgerUnavailable("The ledger cannot be written.")

        person = house.someone()
        before = house.estate.changes.tokens(person)
        trail = Full(house.shared.store, house.time.clock)
        house.shared.front = replace(house.shared.front, trail=trail)
        path = house.path(house.living(person)[0])
        page = await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        assert page.status_code == 503
        assert house.estate.changes.tokens(person) == before


class TestFigures:
    async def test_what_owners_do_is_counted_by_action_and_outcome(
        self, house: House, browser: httpx.AsyncClient
    ) -> None:
        meter = FakeMeter()
        house.shared.front = replace(house.shared.front, meter=meter)
        path = house.path(house.living(house.someone())[0])
        await browser.post(f"{path}/rotate", data=FORM, headers=PAGE)
        await browser.post(f"{path}/extend", data=FORM, headers=PAGE)
        await browser.post(f"{path}/burn", data=FORM, headers=PAGE)
        await browser.post(f"{path}/snooze", data={"days": "99"}, headers=PAGE)
        assert meter.of(ROTATION_COUNT) == [
            (1, "rotate done"),
            (1, "extend refused"),
            (1, "snooze refused"),
        ]


class Away:
    """A ledger that cannot be reached."""

    async def row(self, *_: object) -> Row | None:
        raise LedgerUnavailable("The ledger is away.", remedy="Try again.")

    async def write(self, *_: object) -> list[str]:
        raise LedgerUnavailable("The ledger is away.", remedy="Try again.")


class TestWithoutALedger:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/tokens"),
            ("GET", "/report"),
            ("GET", "/sign-in"),
            ("GET", "/sign-in/callback?code=x"),
            ("POST", "/sign-out"),
        ],
    )
    async def test_a_person_is_told_what_is_wrong(
        self, house: House, method: str, path: str
    ) -> None:
        shared = house.shared
        sessions = Sessions(Away(), house.time.clock)  # type: ignore[arg-type] # what is called
        async with house.browser() as browser:
            await house.signed_in(browser, house.someone())
            shared.front = replace(shared.front, sessions=sessions)
            shared.admin_front = replace(shared.admin_front, sessions=sessions)
            headers = {"sec-fetch-site": "same-origin"}
            answer = await browser.request(method, path, headers=headers)
        assert answer.status_code == 503
        assert "The ledger is away." in answer.text


class TestCallers:
    async def test_an_id_may_be_written_in_capitals(self, house: House) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        where, _, name = path.rpartition("/")
        bearer = {"authorization": f"Bearer {house.estate.entra.token_for(person)}"}
        wish = {"lifetime_days": 30, "to": "page"}
        async with house.browser(**bearer) as caller:
            first = await caller.post(f"{path}/rotate", json=wish)
            again = await caller.post(f"{where}/{name.upper()}/rotate", json=wish)
        assert first.json()["secret"]
        assert again.json().get("secret") is None
        assert again.json()["authorization_id"] == first.json()["authorization_id"]

    async def test_json_for_who_brings_a_bearer(self, house: House) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        async with self.caller(house) as caller:
            headers = {"idempotency-key": "run-1"}
            body = {"lifetime_days": 90, "to": "page", "overlap_hours": 1}
            done = await caller.post(f"{path}/rotate", json=body, headers=headers)
            assert done.status_code == 200
            found = done.json()
            assert len(found["secret"]) == 84
            assert found["old_revoked_at"] is None
            again = (await caller.post(f"{path}/rotate", json=body, headers=headers)).json()
            assert "secret" not in again
            assert again["authorization_id"] == found["authorization_id"]
            stored = (await caller.post(f"{path}/stored")).json()
            assert stored["old_revoked_at"] == (house.time.now + timedelta(hours=1)).isoformat()

    async def test_problems_are_rfc_9457(self, house: House) -> None:
        async with self.caller(house) as caller:
            unknown = (
                f"/tokens/{house.estate.organization.name}/{'0' * 8}-0000-0000-0000-{'0' * 12}"
            )
            problem = await caller.post(f"{unknown}/revoke")
        assert problem.headers["content-type"].startswith("application/problem+json")
        assert problem.json()["status"] == problem.status_code == 404
        assert problem.json()["title"] == "No such token"

    async def test_a_wrong_bearer_is_told_so(self, house: House) -> None:
        path = house.path(house.living(house.someone())[0])
        async with house.browser(authorization="Bearer nonsense") as caller:
            problem = await caller.post(f"{path}/revoke")
        assert (problem.status_code, problem.json()["title"]) == (401, "You are not signed in")
        assert "nonsense" not in problem.text

    @pytest.mark.parametrize("headers", [{}, {"authorization": "Basic x"}])
    async def test_who_brings_none_is_told_so_as_a_program(
        self, house: House, headers: dict[str, str]
    ) -> None:
        path = house.path(house.living(house.someone())[0])
        async with house.browser(**headers) as caller:
            problem = await caller.post(f"{path}/revoke")
        assert problem.status_code == problem.json()["status"] == 401
        assert problem.headers["content-type"].startswith("application/problem+json")
        assert problem.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        ("action", "body"),
        [
            ("rotate", {"lifetime_day": 90}),
            ("rotate", {"lifetime_days": "90"}),
            ("rotate", {"lifetime_days": 91}),
            ("rotate", {"overlap_hours": True}),
            ("rotate", {"overlap_hours": 169}),
            ("snooze", {"days": 2}),
            ("revoke", {"dry_run": True}),
            ("revoke", []),
        ],
    )
    async def test_json_that_says_something_else_does_nothing(
        self, house: House, action: str, body: object
    ) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        before = house.estate.changes.tokens(person)
        async with self.caller(house) as caller:
            problem = await caller.post(f"{path}/{action}", json=body)
        assert (problem.status_code, problem.json()["title"]) == (400, "The request cannot be read")
        assert house.estate.changes.tokens(person) == before

    async def test_a_snooze_without_days_is_refused(self, house: House) -> None:
        path = house.path(house.living(house.someone())[0])
        async with self.caller(house) as caller:
            problem = await caller.post(f"{path}/snooze")
        assert problem.status_code == problem.json()["status"] == 400

    async def test_nothing_more_is_done_to_a_token_that_was_revoked(self, house: House) -> None:
        person = house.someone()
        path = house.path(house.living(person)[0])
        async with self.caller(house) as caller:
            assert (await caller.post(f"{path}/revoke")).status_code == 200
            before = house.estate.changes.tokens(person)
            for action in ("rotate", "extend", "snooze", "let-expire", "remind", "revoke"):
                body = {"days": 1} if action == "snooze" else {}
                problem = await caller.post(f"{path}/{action}", json=body)
                assert (problem.status_code, action) == (409, action)
                assert "was revoked" in problem.json()["detail"]
        assert house.estate.changes.tokens(person) == before

    def caller(self, house: House) -> httpx.AsyncClient:
        bearer = house.estate.entra.token_for(house.someone())
        return house.browser(authorization=f"Bearer {bearer}")


class TestSecret:
    async def test_it_is_in_that_one_response_and_nowhere_else(
        self, house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        path = house.path(house.living(house.someone())[0])
        async with house.browser() as browser:
            await house.signed_in(browser, house.someone())
            secret = secret_of(await browser.post(f"{path}/rotate", data=FORM, headers=PAGE))
            await browser.post(f"{path}/stored", headers=PAGE)
            others = [(await browser.get(each)).text for each in (path, "/tokens?show=all")]
        await house.host.fire("finish_rotations")
        await house.host.fire("summarize")
        assert secret
        assert secret.encode() not in everything_in(tmp_path)
        said = (*others, caplog.text, repr(house.shared))
        assert all(secret not in text for text in said)


class TestNotSetUp:
    async def test_without_an_application_signing_in_says_what_is_missing(
        self, tmp_path: Path, time: FakeTime
    ) -> None:
        def unset(shared: object) -> None:
            settings = shared.settings.model_copy(update={"client_id": ""})  # type: ignore[attr-defined] # Services
            shared.settings = settings  # type: ignore[attr-defined] # as above

        async with opened(tmp_path, time, given=unset) as house:
            async with house.browser() as browser:
                page = await browser.get("/sign-in")
        assert page.status_code == 503
        assert "PAT_CLIENT_ID" in page.text
