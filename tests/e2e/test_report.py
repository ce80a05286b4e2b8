"""Administrators' pages as browsers and attackers meet them, over real HTTP and MSAL."""

from __future__ import annotations

import asyncio
import csv
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from pat_core import dossiers
from pat_core.audit import AuditEntry
from pat_core.downloads import Downloads
from pat_core.errors import LedgerUnavailable, NotSignedIn
from pat_core.fleet import Query
from pat_core.fleet_report import FleetReport
from pat_core.listing import Flag, Listing
from pat_core.local.entra_tokens import EntraTokens
from pat_core.local.world import ADMINISTRATOR, Person
from pat_core.model import Deed, Owner
from pat_core.signals import Event
from pat_core.trail import Trail
from pat_core.web.administrators import ROLE, Administrators
from pat_core.web.sign_in import SignIn, own_path
from tests.builders import HOSTILE_NAMES
from tests.estate import PAGE, House, opened
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio
GROUP = "2f1a6c9e-8a0e-4a6e-9d0b-0f6f6a1c7d52"
PATHS = (
    "/report",
    "/report/chart",
    "/report/export.csv",
    "/report/export.jsonl",
    "/report/forecast",
    "/report/trail",
    "/report/trail.jsonl",
    "/report/tokens/contoso-demo/aad.x/aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
)


@pytest.fixture
async def house(tmp_path: Path, time: FakeTime) -> AsyncIterator[House]:
    async with opened(tmp_path, time) as found:
        await found.host.fire("plan_scan")
        await found.host.drain()
        await found.host.fire("send_digests")
        yield found


@pytest.fixture
async def admin(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which the administrator is signed in."""
    async with house.browser() as found:
        await house.signed_in(found, house.estate.simulator.world.person(ADMINISTRATOR))
        yield found


async def listed(admin: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    answer = await admin.get(f"/report/export.jsonl{query}")
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def path_of(found: dict[str, Any]) -> str:
    where = (found["organization"], found["subject_descriptor"], found["authorization_id"])
    return "/report/tokens/" + "/".join(where)


class TestWhoMaySee:
    async def test_nobody_without_signing_in(self, house: House) -> None:
        async with house.browser() as browser:
            for path in PATHS:
                answer = await browser.get(f"{path}?window=7")
                assert answer.status_code == 303
                assert answer.headers["location"].startswith("/sign-in?next=%2Freport")
                assert answer.text == ""

    async def test_nobody_without_the_role(self, house: House) -> None:
        async with house.browser() as browser:
            await house.signed_in(browser, house.someone(2))
            for path in PATHS:
                answer = await browser.get(path)
                assert answer.status_code == 403
                assert "PatAdministrator" in answer.text
            assert "/report" not in (await browser.get("/tokens")).text

    async def test_a_bearer_token_is_no_session(self, house: House) -> None:
        person = house.estate.simulator.world.person(ADMINISTRATOR)
        bearer = house.estate.entra.token_for(person)
        async with house.browser(authorization=f"Bearer {bearer}") as browser:
            assert (await browser.get("/report")).status_code == 303

    @pytest.mark.parametrize("role", [ROLE, "PatOwner"])
    async def test_nobody_by_a_session_that_somebody_wrote_into_the_ledger(
        self, house: House, role: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokens = EntraTokens(house.estate.simulator.world, house.time.clock)
        person = house.estate.simulator.world.person(ADMINISTRATOR)
        forged = tokens.id_token(person, house.estate.client_id, "n")
        content = {"bearer": "x", "name": "Ana", "is_admin": True, "role": role}
        cookie = await house.shared.sessions.open(content | {"id_token": forged})
        async with house.browser(cookie=cookie.partition(";")[0]) as browser:
            for path in PATHS:
                answer = await browser.get(path)
                assert answer.status_code == 401
                assert "Microsoft Entra did not sign this session." in answer.text
                assert 'href="/sign-in"' in answer.text
        assert {line.__dict__.get("why") for line in caplog.records} >= {"signature"}

    async def test_a_session_ends_after_fifteen_minutes(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        assert (await admin.get("/report")).status_code == 200
        house.time.now += timedelta(minutes=15)
        assert (await admin.get("/report")).status_code == 303

    async def test_one_lands_where_one_wanted_to_go(self, house: House) -> None:
        person = house.estate.simulator.world.person(ADMINISTRATOR)
        async with house.browser() as browser:
            first = await browser.get("/report?window=7&search=a+b")
            landing = first.headers["location"].partition("next=")[2]
            assert await house.signed_in(browser, person, landing) == (
                "/report?window=7&search=a+b"
            )

    @pytest.mark.parametrize("elsewhere", ["/reports", "/report/../tokens", "//report", "report"])
    def test_nobody_is_led_elsewhere(self, elsewhere: str) -> None:
        assert own_path(elsewhere) == "/tokens"


class TestClaims:
    """What Entra says of whoever signs in, given to the code that reads it."""

    @pytest.mark.parametrize(
        ("claims", "group", "is_admin"),
        [
            ({"roles": [ROLE]}, "", True),
            ({"roles": ["Other", ROLE]}, "", True),
            ({"roles": ["patadministrator"]}, "", False),
            ({"roles": ROLE}, "", False),
            ({"roles": []}, "", False),
            ({}, "", False),
            ({"groups": [GROUP]}, GROUP, True),
            ({"groups": [GROUP.upper()]}, GROUP, True),
            ({"groups": [GROUP]}, "", False),
            ({"groups": [""]}, "", False),
            ({"groups": ["00000000-0000-0000-0000-000000000000"]}, GROUP, False),
            ({"groups": GROUP}, GROUP, False),
            ({"_claim_names": {"groups": "src1"}}, GROUP, False),
        ],
    )
    async def test_role_or_group(
        self, claims: dict[str, Any], group: str, *, is_admin: bool
    ) -> None:
        who = await sign_in({"tid": "t1"} | claims, group).end({}, {})
        assert bool(who.id_token) is is_admin

    async def test_another_tenant_is_refused_whatever_it_says(self) -> None:
        with pytest.raises(Exception, match="another tenant"):
            await sign_in({"tid": "t2", "roles": [ROLE]}, "").end({}, {})

    async def test_the_simulated_entra_gives_the_role_to_one(self, house: House) -> None:
        tokens, world = house.estate.entra.tokens, house.estate.simulator.world
        found = [
            jwt.decode(
                tokens.id_token(world.person(number), "c", "n"),
                options={"verify_signature": False},
            ).get("roles")
            for number in range(3)
        ]
        assert found == [[ROLE], None, None]


def sign_in(claims: dict[str, Any], group: str) -> SignIn:
    class Application:
        def acquire_token_by_auth_code_flow(self, *_: object) -> dict[str, Any]:
            return {"access_token": "x", "id_token": "y", "id_token_claims": claims}

    return SignIn(
        Application,  # type: ignore[arg-type] # the one method that is called
        public_url="https://pats.contoso.com",
        tenant="t1",
        administrators=Administrators(lambda: NOW, tenant="t1", client_id="c", group=group),
    )


class TestFleet:
    async def test_counts_are_those_of_what_they_lead_to(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        tally = await house.shared.fleet.tally()
        for window, count in tally.windows.items():
            asked = f"?window={window or 'expired'}"
            assert len(await listed(admin, asked)) == count
        for flag in Flag:
            assert len(await listed(admin, f"?only={flag}")) == tally.flags[flag]
        assert len(await listed(admin)) == tally.tokens > 100
        page = await admin.get("/report")
        assert f"<strong>{tally.tokens}</strong> <span>All tokens</span>" in page.text

    async def test_pages_follow_one_another(self, admin: httpx.AsyncClient) -> None:
        seen, where = 0, "/report"
        while where:
            page = (await admin.get(where)).text
            seen += page.count('<th scope="row"><a href="/report/tokens/')
            link = page.partition('" rel="next"')[0] if 'rel="next"' in page else ""
            where = link.rpartition('href="')[2].replace("&amp;", "&").partition("#")[0]
        assert seen == len(await listed(admin))

    async def test_a_get_changes_nothing(self, house: House, admin: httpx.AsyncClient) -> None:
        found = (await listed(admin))[0]
        path = house.shared.settings.local_dir / "ledger.sqlite"
        before = contents(path)
        for each in (*PATHS[:-1], path_of(found)):
            seen = contents(path)
            assert (await admin.get(each)).status_code == 200
            if "export" not in each and each != "/report/trail.jsonl":
                assert contents(path) == seen
        added = set(contents(path)) - set(before)
        assert set(before) <= set(contents(path))
        assert all("'audit'" in row and '"action":"export"' in row for row in added)

    async def test_the_banner_says_what_was_missed(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        assert "Every user of every organization was read." in (await admin.get("/report")).text
        house.time.now += timedelta(minutes=10)
        await house.host.fire("plan_scan")
        page = (await admin.get("/report")).text
        assert "Not everything is known or told." in page
        assert "the users are not all listed" in page

    async def test_the_chart_has_no_script(self, admin: httpx.AsyncClient) -> None:
        chart = await admin.get("/report/chart")
        assert chart.headers["content-type"].startswith("image/svg+xml")
        assert chart.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<script" not in chart.text
        assert "full access" in chart.text

    async def test_an_unknown_page_is_none(self, admin: httpx.AsyncClient) -> None:
        assert (await admin.get("/report/passwords")).status_code == 404
        token = PATHS[-1]
        for path in (token, token.replace("contoso-demo", "fabrikam")):
            assert (await admin.get(path)).status_code == 404

    async def test_a_hostile_search_is_only_text(self, admin: httpx.AsyncClient) -> None:
        for name in HOSTILE_NAMES:
            page = await admin.get("/report", params={"search": name, "organization": name})
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
            assert 'value="49"' not in page.text


class TestExport:
    async def test_csv_and_json_hold_the_same(self, admin: httpx.AsyncClient) -> None:
        answer = await admin.get("/report/export.csv?window=30")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == (
            'attachment; filename="pat-warden-all-2026-11-23.csv"'
        )
        assert answer.content.startswith(b"\xef\xbb\xbforganization,")
        rows = list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"), newline="")))
        found = await listed(admin, "?window=30")
        assert [row["authorization_id"] for row in rows] == [
            each["authorization_id"] for each in found
        ]
        assert rows

    async def test_who_exported_what_is_on_record(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        await admin.get("/report/export.csv?organization=Contoso-Demo&window=30&search=a%0D%0Ab")
        await admin.get("/report/export.jsonl?organization=nobody|202611")
        house.time.now += timedelta(seconds=1)
        lines = (await admin.get("/report/trail.jsonl")).text.splitlines()
        entries = [json.loads(line) for line in lines]
        assert [(each["organization"], each["result"], each["detail"]) for each in entries] == [
            (
                "contoso-demo",
                result,
                "fleet as csv organization=Contoso-Demo&window=30&search=a+b",
            )
            for result in ("asked", "done")
        ] + [
            ("", result, "fleet as jsonl organization=nobody%7C202611")
            for result in ("asked", "done")
        ] + [("", "asked", "audit trail")]
        name = house.estate.simulator.world.person(ADMINISTRATOR).display_name
        assert {each["action"] for each in entries} == {"export"}
        assert {each["who_name"] for each in entries} == {name}
        assert all(each["who"].startswith("entra:") for each in entries)

    async def test_without_a_trail_nothing_is_exported(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        without_a_trail(house)
        for path in ("/report/export.csv", "/report/export.jsonl", "/report/trail.jsonl"):
            answer = await admin.get(path)
            assert answer.status_code == 503
            assert "authorization_id" not in answer.text

    async def test_one_is_made_at_a_time(self, house: House, admin: httpx.AsyncClient) -> None:
        begun, released = asyncio.Event(), asyncio.Event()

        class Slow(FleetReport):
            async def stream(self, query: Query) -> AsyncIterator[Listing]:
                begun.set()
                await released.wait()
                async for listing in super().stream(query):
                    yield listing

        front = house.shared.admin_front
        fleet = Slow(front.fleet.store, house.time.clock, front.fleet.organizations)
        downloads = Downloads(fleet, front.trail, front.organizations)
        house.shared.admin_front = replace(front, downloads=downloads)
        first = asyncio.create_task(admin.get("/report/export.csv"))
        await begun.wait()
        for _ in range(3):
            refused = await admin.get("/report/export.csv")
            assert refused.status_code == 409
            assert "Another export is being made" in refused.text
        released.set()
        assert (await first).status_code == 200
        assert (await admin.get("/report/export.csv")).status_code == 200

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    async def test_none_is_made_where_another_site_leads_here(
        self, house: House, admin: httpx.AsyncClient, site: str
    ) -> None:
        for name in ("export.csv", "export.jsonl", "trail.jsonl"):
            answer = await admin.get(f"/report/{name}", headers={"sec-fetch-site": site})
            assert answer.status_code == 403
        trail = house.shared.trail
        since = house.time.now - timedelta(hours=1)
        assert [entry async for entry in trail.entries("", since) if entry.action == "export"] == []

    async def test_one_that_breaks_is_on_record_and_does_not_hold_up_the_next(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        class Broken(FleetReport):
            async def stream(self, query: Query) -> AsyncIterator[Listing]:
                async for listing in super().stream(query):
                    yield listing
                    raise LedgerUnavailable("The ledger is away.")

        front = house.shared.admin_front
        fleet = Broken(front.fleet.store, house.time.clock, front.fleet.organizations)
        downloads = Downloads(fleet, front.trail, front.organizations)
        house.shared.admin_front = replace(front, downloads=downloads)
        assert (await admin.get("/report/export.csv")).status_code == 503
        house.time.now += timedelta(seconds=1)
        lines = (await admin.get("/report/trail.jsonl")).text.splitlines()
        assert [json.loads(line)["result"] for line in lines[:2]] == ["asked", "failed"]

    async def test_it_is_packed_for_the_way(self, admin: httpx.AsyncClient) -> None:
        answer = await admin.get("/report/export.jsonl")
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) * 3 < len(answer.content)


class TestRevoke:
    async def test_it_needs_a_page_of_ours(self, house: House, admin: httpx.AsyncClient) -> None:
        found = (await listed(admin, "?window=30"))[0]
        for headers in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            answer = await admin.post(
                f"{path_of(found)}/revoke", data={"reason": "x"}, headers=headers
            )
            assert answer.status_code == 403
        assert await is_living(house, found)

    async def test_it_needs_the_role(self, house: House, admin: httpx.AsyncClient) -> None:
        found = (await listed(admin, "?window=30"))[0]
        async with house.browser() as browser:
            await house.signed_in(browser, house.someone(2))
            answer = await browser.post(
                f"{path_of(found)}/revoke", data={"reason": "x"}, headers=PAGE
            )
        assert answer.status_code == 403
        assert await is_living(house, found)

    async def test_it_needs_a_reason(self, house: House, admin: httpx.AsyncClient) -> None:
        found = (await listed(admin, "?window=30"))[0]
        for reason in ("", "   ", "\r\n", "\u200b"):
            answer = await admin.post(
                f"{path_of(found)}/revoke", data={"reason": reason}, headers=PAGE
            )
            assert answer.status_code == 409
            assert "No reason was given." in answer.text
        assert await is_living(house, found)

    async def test_where_azure_devops_refuses_the_service_it_says_so(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        class Refusing:
            async def revoke_tokens(self, *_: object) -> None:
                raise NotSignedIn("The service's PAT has expired.", remedy="Ops renew it.")

        found = (await listed(admin, "?window=30"))[0]
        front = house.shared.admin_front
        dossiers = replace(front.dossiers, admin=Refusing())
        house.shared.admin_front = replace(front, dossiers=dossiers)
        answer = await admin.post(f"{path_of(found)}/revoke", data={"reason": "x"}, headers=PAGE)
        assert answer.status_code == 502
        assert "Azure DevOps refused this service" in answer.text
        assert "PAT has expired." in answer.text
        assert "Ops renew it." in answer.text
        assert await is_living(house, found)

    async def test_it_is_done_recorded_and_told(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        found = next(
            each for each in await listed(admin, "?window=30&sort=owner") if each["address"]
        )
        path = path_of(found)
        answer = await admin.post(
            f"{path}/revoke", data={"reason": "It stood\r\nin a\u202e\x1b build log"}, headers=PAGE
        )
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?told=revoke")
        assert not await is_living(house, found)
        page = (await admin.get(answer.headers["location"])).text
        assert "Its end is ordered." in page
        assert "It stood in a build log" in page
        assert "The token was revoked, or is gone." in page
        assert found not in await listed(admin)
        trail = [
            json.loads(line) for line in (await admin.get("/report/trail.jsonl")).text.splitlines()
        ]
        mine = [each for each in trail if each["action"] == "revoke as administrator"]
        assert [each["result"] for each in mine] == ["asked", "done"]
        assert {each["detail"] for each in mine} == {"It stood in a build log"}
        assert all(each["who"].startswith("entra:") and each["who_name"] for each in mine)
        again = await admin.post(f"{path}/revoke", data={"reason": "again"}, headers=PAGE)
        assert again.status_code == 409
        account = await house.shared.book.account(owner_of(found))
        (told,) = [each for each in account.notices.values() if each.deed]
        assert told.deed is Deed.TAKEN
        assert told.recipient == found["address"]
        assert "who says: It stood in a build log" in told.detail

    async def test_without_a_trail_nothing_is_done(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        found = (await listed(admin, "?window=30"))[0]
        without_a_trail(house)
        answer = await admin.post(
            f"{path_of(found)}/revoke", data={"reason": "It leaked"}, headers=PAGE
        )
        assert answer.status_code == 503
        assert await is_living(house, found)
        account = await house.shared.book.account(owner_of(found))
        assert not [each for each in account.notices.values() if each.deed]

    async def test_one_administrator_revokes_so_many_an_hour_and_no_more(
        self, house: House, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dossiers, "MOST_REVOKED", 3)
        found = (await listed(admin))[20:28]
        at_once = await asyncio.gather(*(self.revoke(admin, each) for each in found[:6]))
        assert sorted(each.status_code for each in at_once) == [303] * 3 + [409] * 3
        assert sum([await is_living(house, each) for each in found[:6]]) == 3
        house.time.now += timedelta(minutes=14)
        for _ in range(4):
            late = await self.revoke(admin, found[6])
            assert late.status_code == 409
            assert "in the last hour" in late.text
        assert await is_living(house, found[6])
        person = house.estate.simulator.world.person(ADMINISTRATOR)
        house.time.now += timedelta(minutes=46, seconds=1)
        await house.signed_in(admin, person)
        # What was refused counts for nothing.
        assert (await self.revoke(admin, found[7])).status_code == 303

    async def revoke(self, admin: httpx.AsyncClient, found: dict[str, Any]) -> httpx.Response:
        return await admin.post(
            f"{path_of(found)}/revoke", data={"reason": "It leaked"}, headers=PAGE
        )


class TestRecord:
    """What the log holds of who came by."""

    async def test_a_refusal_is_logged_and_names_nobody(
        self, house: House, admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        found = (await listed(admin, "?window=30"))[0]
        owner = house.someone(2)
        async with house.browser() as browser:
            await house.signed_in(browser, owner)
            await browser.get("/report")
            await browser.post(f"{path_of(found)}/revoke", data={"reason": "x"}, headers=PAGE)
        await admin.post(f"{path_of(found)}/revoke", data={"reason": "x"})
        await admin.post("/tokens/contoso-demo/x/revoke")
        await admin.post("/sign-out")
        lines = [each for each in caplog.records if each.msg == Event.ACCESS_REFUSED]
        assert [vars(each)["why"] for each in lines] == ["role"] * 2 + ["origin"] * 3
        self.names_nobody(lines, house)

    async def test_a_look_is_logged_and_names_nobody(
        self, house: House, admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        found = (await listed(admin, "?window=30"))[0]
        caplog.clear()
        caplog.set_level(logging.INFO)
        for path in (*PATHS[:-1], "/report/none", path_of(found)):
            await admin.get(path)
        lines = [each for each in caplog.records if each.msg == Event.FLEET_READ]
        assert [vars(each)["part"] for each in lines] == [
            "fleet",
            *(path.removeprefix("/report/") for path in PATHS[1:-1]),
            "token",
        ]
        self.names_nobody(lines, house)

    def names_nobody(self, lines: list[logging.LogRecord], house: House) -> None:
        said = repr([vars(each) for each in lines])
        world = house.estate.simulator.world
        for person in (world.person(each) for each in range(world.users)):
            for word in (person.display_name, person.principal_name, person.descriptor):
                assert word not in said


class TestForecast:
    async def test_after_a_scan_all_that_is_due_waits_or_was_sent(
        self, admin: httpx.AsyncClient
    ) -> None:
        page = (await admin.get("/report/forecast")).text
        assert "Nothing. What is due was found already." in page

    async def test_it_is_what_the_next_scan_then_finds(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        house.time.now += timedelta(days=3)
        await house.signed_in(admin, house.estate.simulator.world.person(ADMINISTRATOR))
        before = await house.shared.admin_front.forecasting.forecast()
        page = (await admin.get("/report/forecast")).text
        for digest in before.coming:
            assert digest.recipient in page
        await house.host.fire("plan_scan")
        await house.host.drain()
        after = await house.shared.admin_front.forecasting.forecast()
        assert {each.recipient for each in before.coming} <= {
            each.recipient for each in after.waiting
        }
        assert len(before.coming) > 2
        assert not after.coming


class TestSettings:
    async def test_a_change_is_seen_at_start_and_no_secret_with_it(
        self, house: House, admin: httpx.AsyncClient
    ) -> None:
        settings = house.shared.settings
        house.shared.settings = settings.model_copy(update={"windows_days": (60, 7)})
        house.shared._noted = False
        await house.host.fire("send_digests")
        page = (await admin.get("/report/trail")).text
        assert "set PAT_WINDOWS_DAYS" in page
        assert "from &#39;30, 14, 7, 3, 1&#39; to &#39;60, 7&#39;" in page
        secret = house.estate.secret.get_secret_value().encode()
        assert secret not in (settings.local_dir / "ledger.sqlite").read_bytes()


def without_a_trail(house: House) -> None:
    class Full(Trail):
        async def asked(self, *_: object) -> AuditEntry:
            raise LedgerUnavailable("The ledger cannot be written.")

    full, front = Full(house.shared.store, house.time.clock), house.shared.admin_front
    house.shared.admin_front = replace(
        front,
        trail=full,
        dossiers=replace(front.dossiers, trail=full),
        downloads=Downloads(front.fleet, full, front.organizations),
    )


def owner_of(found: dict[str, Any]) -> Owner:
    return Owner(found["organization"], found["subject_descriptor"])


def person_of(house: House, found: dict[str, Any]) -> Person:
    person = house.estate.simulator.world.find(found["subject_descriptor"])
    assert person
    return person


async def is_living(house: House, found: dict[str, Any]) -> bool:
    # A revocation may take its time in Azure DevOps, and in the simulated one too.
    house.time.now += timedelta(hours=2)
    tokens = house.estate.changes.tokens(person_of(house, found))
    house.time.now -= timedelta(hours=2)
    (token,) = [each for each in tokens if each.authorization_id == found["authorization_id"]]
    return token.is_valid


def contents(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        found = list(db.iterdump())
    db.close()
    return found
