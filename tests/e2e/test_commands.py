"""The commands as a person runs them: a process of their own, its output and exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pat_core.bootstrap import system_clock
from pat_core.local.serving import serving
from pat_core.local.simulator import Simulator, create_app
from pat_core.local.world import World
from tests.azurite import free_ports
from tests.commands import run_command
from tests.fakes import NOW

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
SECRET = "hush"


class Desk:
    """A folder to work in and an environment that holds no setting but those given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PAT_")}
        self.environment = kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}

    async def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        done = await run_command(words, self.folder, self.environment | settings)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr[-2500:]
        return done

    def mails(self) -> list[dict[str, Any]]:
        return self.left("eml")

    def left(self, kind: str) -> list[dict[str, Any]]:
        """What the mails or cards in the outbox are about."""
        found = sorted((self.folder / ".local" / "outbox").glob(f"*.{kind}"))
        return [json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in found]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class Faults:
    """What the simulator is to answer instead, by a part of the path."""

    def __init__(self) -> None:
        self.by_path: dict[str, Response] = {}

    def __call__(self, request: Request) -> Response | None:
        found = (reply for part, reply in self.by_path.items() if part in request.url.path)
        return next(found, None)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def contoso(faults: Faults) -> AsyncIterator[dict[str, str]]:
    """The settings that lead to an organization of 60 users called contoso."""
    world = World(system_clock(), users=60, organization="contoso")
    async with serving(create_app(Simulator(world, secret=SECRET, fault=faults))) as address:
        organization = {"name": "contoso", "base_url": f"{address}/contoso"}
        yield {"PAT_ORGANIZATIONS": json.dumps([organization]), "PAT_ADMIN_TOKEN": SECRET}


class TestDemo:
    async def test_a_second_one_writes_no_second_mail(self, desk: Desk) -> None:
        first = await desk.run("demo")
        assert first.returncode == 0, first.stderr
        written = len(desk.mails())
        assert written > 20
        assert f"{written} mails and 1 card written." in first.stdout
        (card,) = desk.left("card")
        assert len(card["notices"]) > 1
        again = await desk.run("demo")
        assert "0 mails written." in again.stdout
        assert len(desk.left("card")) == 1
        assert len(desk.mails()) == written

    async def test_each_recipient_gets_one_mail(self, desk: Desk) -> None:
        await desk.run("demo", "--users", "60")
        recipients = Counter(mail["recipient"] for mail in desk.mails())
        assert set(recipients.values()) == {1}

    async def test_a_later_day_brings_the_next_window(self, desk: Desk) -> None:
        def told() -> dict[tuple[str, str], list[Any]]:
            windows: dict[tuple[str, str], list[Any]] = {}
            for mail in desk.mails():
                for notice in mail["notices"]:
                    key = (notice["authorization_id"], notice["valid_to"])
                    windows.setdefault(key, []).append(notice["window"])
            return windows

        await desk.run("demo", "--users", "60", "--now", "2026-11-23T08:00:00Z")
        first = told()
        await desk.run("demo", "--now", "2026-11-30T08:00:00Z")
        both = told()
        assert any(len(windows) == 2 for windows in both.values())
        assert all(len(windows) == len(set(windows)) for windows in both.values())
        assert all(both[key][: len(windows)] == windows for key, windows in first.items())

    async def test_more_users_may_join(self, desk: Desk) -> None:
        await desk.run("demo", "--users", "20")
        done = await desk.run("demo", "--users", "120")
        assert " 120 " in done.stdout

    @pytest.mark.parametrize(
        "time", ["soon", "0001-01-01T00:00:00+14:00", "9999-12-31T00:00:00Z", "1999-12-31"]
    )
    async def test_a_time_that_is_none_is_refused(self, desk: Desk, time: str) -> None:
        done = await desk.run("demo", "--now", time)
        assert (done.returncode, "2026-12-24T08:00:00Z" in done.stderr) == (2, True)

    async def test_what_the_output_cannot_encode_stops_nothing(self, desk: Desk) -> None:
        # Of its own from the start: the encoding is chosen before our first line runs.
        done = await anyio.run_process(
            [sys.executable, "-m", "pat_core", "demo", "--users", "20"],
            cwd=desk.folder,
            env=desk.environment | {"PYTHONIOENCODING": "ascii"},
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"?30d" in done.stdout
        assert b"written." in done.stdout

    async def test_it_does_not_run_in_azure(self, desk: Desk) -> None:
        done = await desk.run("demo", WEBSITE_INSTANCE_ID="x")
        assert (done.returncode, "does not run in Azure" in done.stderr) == (2, True)


class TestScan:
    async def test_without_send_it_only_says_what_it_would_send(
        self, desk: Desk, contoso: dict[str, str]
    ) -> None:
        for _ in range(2):
            done = await desk.run("scan", **contoso)
            assert done.returncode == 0, done.stderr
            assert "mails would be sent." in done.stdout
        assert desk.mails() == []
        sent = await desk.run("scan", "--send", **contoso)
        assert f"{len(desk.mails())} mails written." in sent.stdout
        assert desk.mails()

    async def test_json_is_one_object_and_nothing_else(
        self, desk: Desk, contoso: dict[str, str]
    ) -> None:
        done = await desk.run("scan", "--json", **contoso)
        found = json.loads(done.stdout)
        assert found.keys() == {"organizations", "digests", "cards"}
        (organization,) = found["organizations"]
        assert organization.keys() == {
            "name", "complete", "users", "users_failed", "users_gone", "tokens", "notices",
        }  # fmt: skip
        assert (organization["name"], organization["complete"]) == ("contoso", True)
        assert (organization["users"], organization["users_failed"]) == (60, 0)
        assert organization["users_gone"] == 1
        assert organization["notices"].keys() == {"30", "14", "7", "3", "1", "expired"}
        assert 0 < found["digests"] <= sum(organization["notices"].values())

    async def test_an_organization_may_be_named_as_argument(
        self, desk: Desk, contoso: dict[str, str]
    ) -> None:
        done = await desk.run("scan", "--organization", "contoso", "--json", **contoso)
        assert json.loads(done.stdout)["organizations"][0]["users"] == 60

    async def test_a_user_who_fails_makes_it_incomplete(
        self, desk: Desk, contoso: dict[str, str], faults: Faults
    ) -> None:
        person = World(NOW, users=60, organization="contoso").person(5)
        faults.by_path[person.descriptor] = JSONResponse({"message": "bad page"}, 400)
        done = await desk.run("scan", "--json", **contoso)
        (organization,) = json.loads(done.stdout)["organizations"]
        assert done.returncode == 1
        assert (organization["complete"], organization["users_failed"]) == (False, 1)
        assert "contoso was not read wholly" in done.stderr
        assert "status 400 (bad page)" in done.stderr

    async def test_a_token_without_its_end_names_the_field(
        self, desk: Desk, contoso: dict[str, str], faults: Faults
    ) -> None:
        person = World(NOW, users=60, organization="contoso").person(5)
        broken = {"value": [{"authorizationId": "952858d3-7084-4635-964e-3c2a57645185"}]}
        faults.by_path[person.descriptor] = JSONResponse(broken)
        done = await desk.run("scan", **contoso)
        assert done.returncode == 1
        assert f"contoso: {person.display_name}: token 1: validTo is missing" in done.stderr

    @pytest.mark.parametrize(
        ("reply", "says"),
        [
            (HTMLResponse("<html>Sign in</html>"), "PAT_ADMIN_TOKEN is wrong, has expired"),
            (JSONResponse({}, 401), "PAT_ADMIN_TOKEN is wrong, has expired"),
            (JSONResponse({"message": "TF401027: missing"}, 403), "needs the scope vso.graph"),
        ],
        ids=["a sign-in page", "401", "403"],
    )
    async def test_who_is_not_let_in_is_told_why(
        self, desk: Desk, contoso: dict[str, str], faults: Faults, reply: Response, says: str
    ) -> None:
        faults.by_path["graph/users"] = reply
        done = await desk.run("scan", **contoso)
        assert done.returncode == 3
        assert says in done.stderr

    async def test_where_tokens_are_refused_to_all_it_says_so_once(
        self, desk: Desk, contoso: dict[str, str], faults: Faults
    ) -> None:
        faults.by_path["tokenadmin"] = JSONResponse({}, 403)
        done = await desk.run("scan", **contoso)
        assert done.returncode == 3
        assert done.stderr.count("vso.tokenadministration") == 1

    @pytest.mark.parametrize(
        ("reply", "says"),
        [
            (JSONResponse({}, 404), "contoso: all users listed (60) seem to have left."),
            (HTMLResponse("<html>", 404), "read the tokens of a user found nothing (status 404)."),
        ],
        ids=["JSON", "a page"],
    )
    async def test_where_the_tokens_of_all_are_not_found_it_says_so(
        self, desk: Desk, contoso: dict[str, str], faults: Faults, reply: Response, says: str
    ) -> None:
        faults.by_path["tokenadmin"] = reply
        done = await desk.run("scan", **contoso)
        assert done.returncode == 1
        assert says in done.stderr

    async def test_an_unknown_organization_is_a_wrong_setting(
        self, desk: Desk, contoso: dict[str, str]
    ) -> None:
        wrong = contoso["PAT_ORGANIZATIONS"].replace("contoso", "nobody")
        done = await desk.run("scan", **contoso | {"PAT_ORGANIZATIONS": wrong})
        assert done.returncode == 2
        assert "nobody: no such organization" in done.stderr

    async def test_other_capitals_tell_nobody_again(
        self, desk: Desk, contoso: dict[str, str]
    ) -> None:
        await desk.run("scan", "--send", **contoso)
        told = len(desk.mails())
        other = contoso["PAT_ORGANIZATIONS"].replace('"contoso"', '"Contoso"')
        for words in (("scan",), ("scan", "--send")):
            done = await desk.run(*words, **contoso | {"PAT_ORGANIZATIONS": other})
            assert done.returncode == 2
            assert "knows the organization Contoso as contoso. Write contoso" in " ".join(
                done.stderr.split()
            )
        assert len(desk.mails()) == told > 0

    async def test_no_organization_is_a_wrong_setting(self, desk: Desk) -> None:
        done = await desk.run("scan")
        assert done.returncode == 2
        assert "PAT_ORGANIZATIONS=contoso,fabrikam" in done.stderr

    async def test_all_wrong_settings_are_said_at_once(self, desk: Desk) -> None:
        done = await desk.run("scan", PAT_WINDOWS_DAYS="0", PAT_ORGANIZATIONS="a b")
        assert done.returncode == 2
        assert done.stderr.count("Error:") == 2

    async def test_a_ledger_that_cannot_be_used_is_named(
        self, desk: Desk, contoso: dict[str, str]
    ) -> None:
        (desk.folder / ".local").write_text("not a folder")
        done = await desk.run("scan", **contoso)
        assert done.returncode == 1
        assert ".local/ledger.sqlite cannot be used" in done.stderr

    async def test_an_outbox_that_cannot_be_written_keeps_the_mails(
        self, desk: Desk, contoso: dict[str, str]
    ) -> None:
        (desk.folder / ".local").mkdir()
        (desk.folder / ".local" / "outbox").write_text("not a folder")
        done = await desk.run("scan", "--send", **contoso)
        assert done.returncode == 1
        assert "kept for the next run" in done.stderr
        (desk.folder / ".local" / "outbox").unlink()
        assert (await desk.run("scan", "--send", **contoso)).returncode == 0
        assert desk.mails()


class TestSendTest:
    async def test_a_mail_and_a_card_leave(self, desk: Desk) -> None:
        given: list[Any] = []

        async def hook(request: Request) -> Response:
            given.append(await request.json())
            return Response(status_code=202)

        app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
        async with serving(app) as address:
            done = await desk.run(
                "doctor",
                "--send-test",
                "ops@contoso.example",
                PAT_TEAMS_WEBHOOK_URL=f"{address}/hook",
            )
        assert done.returncode == 0, done.stderr
        assert "send to ops@contoso.example" in done.stdout
        (message,) = given
        assert message["recipient"] == "ops@contoso.example"

    async def test_what_is_refused_has_its_remedy_and_no_secret(self, desk: Desk) -> None:
        async def hook(_: Request) -> Response:
            return JSONResponse({}, 400)

        app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
        async with serving(app) as address:
            url = f"{address}/hook?sig=s3cret"
            done = await desk.run("doctor", "--send-test", "a@b.example", PAT_TEAMS_WEBHOOK_URL=url)
        assert done.returncode == 1
        assert "Teams answered 400. Make a new webhook" in done.stdout
        assert "s3cret" not in done.stdout + done.stderr

    async def test_without_a_channel_it_says_what_to_set(self, desk: Desk) -> None:
        done = await desk.run("doctor", "--send-test", "a@b.example")
        assert done.returncode == 2
        assert "PAT_EMAIL_SENDER: no channel is set up" in done.stderr

    async def test_an_address_that_is_none_is_refused(self, desk: Desk) -> None:
        done = await desk.run("doctor", "--send-test", "me")
        assert (done.returncode, "'me' is not a mail address" in done.stderr) == (2, True)


class TestDoctor:
    async def test_it_tries_each_permission(self, desk: Desk, contoso: dict[str, str]) -> None:
        done = await desk.run("doctor", **contoso)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(" ok") == 4
        assert "a personal access token is refused here" in done.stdout

    async def test_it_says_the_remedy(
        self, desk: Desk, contoso: dict[str, str], faults: Faults
    ) -> None:
        faults.by_path["tokenadmin"] = JSONResponse({}, 403)
        done = await desk.run("doctor", **contoso)
        assert done.returncode == 3
        assert "needs the scope vso.tokenadministration" in done.stdout

    async def test_it_tries_the_storage_and_the_channels_that_are_set_up(
        self, desk: Desk, contoso: dict[str, str], connection_string: str
    ) -> None:
        given = contoso | {
            "PAT_STORAGE_CONNECTION_STRING": connection_string,
            "PAT_TEAMS_WEBHOOK_URL": "http://127.0.0.1:9/hook?sig=s3cret",
        }
        done = await desk.run("doctor", **given)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = table_rows(done.stdout)
        assert rows["Storage", "read the ledger"] == ("yes", "ok")
        assert rows["Storage", "see the queue pat-users"] == ("yes", "ok")
        assert rows["teams", "reach the channel"] == ("no, to tell owners", "unknown")
        assert ("email", "reach the channel") not in rows
        assert "doctor --send-test ADDRESS" in done.stdout
        assert "s3cret" not in done.stdout + done.stderr

    async def test_what_storage_and_mail_refuse_has_its_remedy(
        self, desk: Desk, contoso: dict[str, str], connection_string: str
    ) -> None:
        wrong = connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA")
        given = contoso | {
            "PAT_STORAGE_CONNECTION_STRING": wrong,
            "PAT_EMAIL_SENDER": "pats@contoso.example",
            "PAT_EMAIL_CONNECTION_STRING": "endpoint=https://127.0.0.1:9/;accesskey=aHVzaA==",
        }
        done = await desk.run("doctor", **given)
        assert done.returncode == 1
        rows = table_rows(done.stdout)
        assert rows["Storage", "read the ledger"] == ("yes", "refused")
        assert rows["Storage", "see the queue pat-organizations"] == ("yes", "refused")
        assert rows["email", "reach the channel"] == ("yes", "unknown")
        assert "this identity is Storage Table Data Contributor there." in done.stdout
        assert "this identity is Storage Queue Data Contributor there." in done.stdout
        assert "The mail service could not be asked: it gave no answer." in done.stdout


def table_rows(text: str) -> dict[tuple[str, str], tuple[str, str]]:
    """What doctor's table says: needed and result, by where and what."""
    cells = (
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in text.splitlines()
        if line.startswith("│")
    )
    return {(where, what): (needed, result) for where, what, needed, result in cells}


class TestServe:
    @pytest.fixture
    def served(self, desk: Desk) -> Iterator[subprocess.Popen[str]]:
        (port,) = free_ports(1)
        command = [sys.executable, "-u", "-m", "pat_core", "serve", "--port", str(port)]
        child = subprocess.Popen(  # noqa: S603 - our own words
            command, cwd=desk.folder, env=desk.environment, stdout=subprocess.PIPE, text=True
        )
        yield child
        child.terminate()
        child.communicate(timeout=30)

    async def test_it_says_where_the_outbox_is(self, served: subprocess.Popen[str]) -> None:
        assert served.stdout is not None
        line = await anyio.to_thread.run_sync(served.stdout.readline)
        assert re.fullmatch(
            r"The outbox is at http://127.0.0.1:\d+/outbox. Ctrl\+C ends it.\n", line
        )

    async def test_a_port_that_is_taken_is_named(self, desk: Desk) -> None:
        async with serving(create_app(Simulator(World(NOW), secret="x"))) as address:
            done = await desk.run("serve", "--port", address.rpartition(":")[2])
        assert done.returncode == 2
        assert "Address already in use. Example: --port 7072" in done.stderr


class TestHelp:
    async def test_without_a_command_it_lists_them(self, desk: Desk) -> None:
        done = await desk.run()
        for command in ("demo", "scan", "doctor", "serve"):
            assert command in done.stdout + done.stderr

    async def test_an_unknown_option_is_a_wrong_argument(self, desk: Desk) -> None:
        assert (await desk.run("scan", "--sned")).returncode == 2
