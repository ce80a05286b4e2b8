"""An owner's commands as a person or a pipeline runs them, over the embedded organization."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from pat_core import owner_cli
from pat_core.bootstrap import Services, system_clock
from pat_core.errors import ExitStatus
from pat_core.local.estate import Estate, serving_estate
from pat_core.local.policies import Policies
from pat_core.local.world import Person, World
from pat_core.model import Organization, Token, TokenReading
from pat_core.rotation import Rotator, Wish
from pat_core.settings import Settings, parse_organizations
from tests.e2e.test_commands import Desk

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)
GONE = {"PAT_BEARER_TOKEN": ""}


@dataclass
class Workplace:
    """One person's desk, signed in by a bearer token, and the organization behind it."""

    desk: Desk
    estate: Estate
    person: Person

    @property
    def settings(self) -> dict[str, str]:
        place = {"name": "contoso", "base_url": self.estate.organization.base_url}
        bearer = self.estate.entra.token_for(self.person)
        return {"PAT_ORGANIZATIONS": json.dumps([place]), "PAT_BEARER_TOKEN": bearer}

    async def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        words = (*words, "--organization", "contoso")
        done = await self.desk.run(*words, **(self.settings | settings))
        assert self.settings["PAT_BEARER_TOKEN"] not in done.stdout + done.stderr
        return done

    def tokens(self) -> dict[str, Token]:
        """The person's tokens that work now."""
        now = system_clock()
        found = self.estate.changes.tokens(self.person)
        return {t.authorization_id: t for t in found if t.is_valid and t.valid_to > now}

    def expire_in(self, days: int, *tokens: Token) -> None:
        for token in tokens:
            ends = system_clock() + days * DAY
            self.estate.changes.update(self.person, replace(token, valid_to=ends))

    async def opens(self, secret: str) -> bool:
        where = f"{self.estate.organization.base_url}/_apis/connectionData"
        async with httpx.AsyncClient(auth=("", secret)) as caller:
            found = await caller.get(f"{where}?api-version=7.1-preview.1")
        user = found.json()["authenticatedUser"]
        return bool(user.get("subjectDescriptor") == self.person.descriptor)


@pytest.fixture
def policies() -> Policies:
    return Policies()


@pytest.fixture
async def workplace(tmp_path: Path, policies: Policies) -> AsyncIterator[Workplace]:
    world = World(system_clock(), users=60, organization="contoso")
    async with serving_estate(
        world, system_clock, redirects=lambda _: False, policies=policies
    ) as estate:
        people = (world.person(number) for number in range(world.users))
        place = Workplace(Desk(tmp_path), estate, world.person(0))
        for person in people:
            place.person = person
            if len(place.tokens()) > 1:
                break
        place.expire_in(60, *place.tokens().values())
        yield place


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


class TestTokens:
    async def test_they_are_ones_own(self, workplace: Workplace) -> None:
        done = await workplace.run("tokens", "--json")
        (found,) = lines(done)
        assert found["organization"] == "contoso"
        assert {each["authorization_id"] for each in found["tokens"]} == set(workplace.tokens())
        shown = await workplace.run("tokens")
        assert shown.returncode == 0
        assert all(each in shown.stdout.replace("\n", "") for each in workplace.tokens())

    def test_a_list_that_misses_one_says_so_and_is_incomplete(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Hands:
            async def my_tokens(self, _: Organization) -> TokenReading:
                return TokenReading((), ("token 1: validTo is missing",))

        @asynccontextmanager
        async def bench(name: str) -> AsyncIterator[owner_cli.Bench]:
            shared = SimpleNamespace(own_hands=Hands(), clock=system_clock)
            yield owner_cli.Bench(shared, Organization(name))  # type: ignore[arg-type] # a stand-in

        monkeypatch.setattr(owner_cli, "_bench", bench)
        done = CliRunner().invoke(owner_cli.app, ["tokens", "-o", "contoso", "--json"])
        assert done.exit_code == ExitStatus.INCOMPLETE
        assert "Not read: token 1: validTo is missing" in done.stderr

    async def test_without_a_sign_in_it_says_how(self, workplace: Workplace) -> None:
        done = await workplace.run("tokens", PATH="/usr/bin:/bin", **GONE)
        assert done.returncode == 3
        assert "az login" in done.stderr
        assert "PAT_BEARER_TOKEN" in done.stderr

    async def test_a_sign_in_of_the_azure_command_line_will_do(
        self, workplace: Workplace, tmp_path: Path
    ) -> None:
        # The Azure command line itself cannot run here: a program in its place gives its answer.
        given = {
            "accessToken": workplace.settings["PAT_BEARER_TOKEN"],
            "expires_on": int((system_clock() + DAY).timestamp()),
        }
        az = tmp_path / "bin" / "az"
        az.parent.mkdir()
        az.write_text(f"#!/bin/sh\necho {shlex.quote(json.dumps(given))}\n")
        az.chmod(0o755)
        done = await workplace.run(
            "tokens", "--json", PATH=f"{az.parent}:/usr/bin:/bin", AZURE_CONFIG_DIR="", **GONE
        )
        assert done.returncode == 0, done.stderr
        assert lines(done)[0]["tokens"]


class TestRotate:
    async def test_the_new_one_alone_is_printed_and_the_old_one_ends_after_the_overlap(
        self, workplace: Workplace
    ) -> None:
        old, *_ = workplace.tokens().values()
        done = await workplace.run(
            "rotate", "--id", old.authorization_id, "--print", "--yes", "--overlap", "7d"
        )
        assert done.returncode == 0, done.stderr
        secret = done.stdout.removesuffix("\n")
        assert await workplace.opens(secret)
        assert secret not in done.stderr
        left = workplace.tokens()[old.authorization_id].valid_to - system_clock()
        assert 6 * DAY < left <= 7 * DAY
        for kept in workplace.desk.folder.rglob("*"):
            assert not kept.is_file() or secret.encode() not in kept.read_bytes()

    async def test_without_an_overlap_the_old_one_dies_at_once(self, workplace: Workplace) -> None:
        old, *_ = workplace.tokens().values()
        done = await workplace.run(
            "rotate", "--id", old.authorization_id, "--print", "--json", "--yes", "--overlap", "0"
        )
        (made,) = lines(done)
        assert made["replaced"] == old.authorization_id
        assert made["authorization_id"] in workplace.tokens()
        assert old.authorization_id not in workplace.tokens()
        assert datetime.fromisoformat(made["old_revoked_at"]) <= system_clock()

    async def test_a_second_time_no_second_one_is_made(self, workplace: Workplace) -> None:
        old, *_ = workplace.tokens().values()
        words = ("rotate", "--id", old.authorization_id, "--print", "--yes")
        await workplace.run(*words)
        before = workplace.tokens()
        again = await workplace.run(*words)
        assert (again.returncode, again.stdout) == (1, "")
        assert "was rotated" in again.stderr
        assert workplace.tokens() == before

    async def test_whoever_does_not_get_the_new_one_keeps_the_old_one(
        self, workplace: Workplace
    ) -> None:
        old, *_ = workplace.tokens().values()
        words = f"rotate --organization contoso --id {old.authorization_id} --print --yes"
        command = f"{shlex.quote(sys.executable)} -m pat_core {words} >/dev/full"
        environment = workplace.desk.environment | workplace.settings
        done = await run_shell(command, workplace.desk.folder, environment)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "old one stays" in done.stderr
        assert workplace.tokens()[old.authorization_id].valid_to == old.valid_to

    async def test_nobody_is_asked_where_nobody_is(self, workplace: Workplace) -> None:
        old, *_ = workplace.tokens()
        for words in (("rotate", "--id", old, "--print"), ("revoke", "--id", old)):
            before = workplace.tokens()
            done = await workplace.run(*words)
            assert done.returncode == 2
            assert "--yes" in done.stderr
            assert workplace.tokens() == before

    @pytest.mark.parametrize(
        ("words", "fault"),
        [
            ([], "--id ID, or --due 7"),
            (["--id", "x", "--due", "7"], "--id ID, or --due 7"),
            (["--id", "x"], "--to-key-vault, or --print"),
            (["--due", "7", "--print"], "--print --json"),
            (["--id", "x", "--print", "--overlap", "8d"], "--overlap"),
            (["--id", "x", "--print", "--lifetime", "never"], "--lifetime"),
            (["--due", "1000000000", "--print", "--json", "--yes"], "366"),
            (["--id", "x", "--to-key-vault", "--yes"], "PAT_KEY_VAULT_URL"),
        ],
    )
    async def test_what_is_not_clear_is_said(
        self, workplace: Workplace, words: list[str], fault: str
    ) -> None:
        done = await workplace.run("rotate", *words)
        assert done.returncode == 2
        assert fault in done.stderr

    async def test_a_token_of_somebody_else_is_not_found(self, workplace: Workplace) -> None:
        world = workplace.estate.simulator.world
        others = (world.person(number) for number in range(world.users))
        foreign = next(
            token.authorization_id
            for person in others
            if person.number != workplace.person.number
            for token in workplace.estate.changes.tokens(person)
        )
        done = await workplace.run("rotate", "--id", foreign, "--print", "--yes")
        assert (done.returncode, done.stdout) == (1, "")
        assert "no such token" in done.stderr.lower()


class TestDue:
    WORDS = ("rotate", "--due", "7", "--print", "--json", "--yes")

    async def test_each_that_expires_soon_is_rotated_and_no_other(
        self, workplace: Workplace
    ) -> None:
        soon, *others = workplace.tokens().values()
        workplace.expire_in(5, soon)
        (made,) = lines(await workplace.run(*self.WORDS))
        assert made["replaced"] == soon.authorization_id
        assert await workplace.opens(made["secret"])
        assert {each.authorization_id for each in others} < set(workplace.tokens())

    async def test_the_next_day_on_a_new_machine_it_is_not_rotated_again(
        self, workplace: Workplace, tmp_path: Path
    ) -> None:
        soon, *_ = workplace.tokens().values()
        workplace.expire_in(5, soon)
        await workplace.run(*self.WORDS)
        before = set(workplace.tokens())
        workplace.desk.folder = tmp_path / "elsewhere"
        workplace.desk.folder.mkdir()
        done = await workplace.run(*self.WORDS)
        assert (done.returncode, done.stdout) == (0, "")
        assert soon.authorization_id in done.stderr
        assert "newer token" in done.stderr
        assert set(workplace.tokens()) == before

    async def test_one_whose_new_token_nobody_may_have_is_not_passed_over(
        self, workplace: Workplace
    ) -> None:
        soon, *_ = workplace.tokens().values()
        workplace.expire_in(5, soon)
        await self.died_before_it_was_settled(workplace, soon)
        done = await workplace.run(*self.WORDS)
        assert (done.returncode, done.stdout) == (1, "")
        assert "nobody said whether the new token was stored" in done.stderr
        assert f"revoke --id {soon.authorization_id}" in done.stderr

    async def died_before_it_was_settled(self, workplace: Workplace, old: Token) -> None:
        """Leave what a command leaves that dies after it printed the new token."""
        settings = workplace.settings
        shared = Services(
            Settings(
                organizations=parse_organizations(settings["PAT_ORGANIZATIONS"]),
                bearer_token=SecretStr(settings["PAT_BEARER_TOKEN"]),
                local_dir=workplace.desk.folder / ".local",
            )
        )
        async with shared:
            place = shared.settings.organizations[0]
            rotator = Rotator(shared.book)
            await rotator.rotate(shared.own_hands, place, old.authorization_id, Wish(90 * DAY))

    async def test_where_none_is_due_it_says_so(self, workplace: Workplace) -> None:
        done = await workplace.run(*self.WORDS)
        assert (done.returncode, done.stdout) == (0, "")
        assert "No token is to be rotated" in done.stderr

    async def test_one_that_fails_does_not_stop_the_rest(self, workplace: Workplace) -> None:
        first, second, *_ = workplace.tokens().values()
        workplace.expire_in(5, second)
        workplace.expire_in(4, replace(first, scope="vso.code bogus"))
        done = await workplace.run(*self.WORDS)
        assert done.returncode == 1
        assert [made["replaced"] for made in lines(done)] == [second.authorization_id]
        assert first.authorization_id in done.stderr


class TestExtendAndRevoke:
    async def test_what_came_back_is_said(self, workplace: Workplace) -> None:
        token, *_ = workplace.tokens().values()
        words = ("extend", "--id", token.authorization_id, "--lifetime", "120d", "--json")
        (found,) = lines(await workplace.run(*words))
        now = workplace.tokens()[token.authorization_id].valid_to
        assert datetime.fromisoformat(found["valid_to"]) == now
        assert now - system_clock() > 119 * DAY

    @pytest.mark.parametrize("policies", [Policies(max_days=30)])
    async def test_a_policy_is_told_in_words(self, workplace: Workplace) -> None:
        token, *_ = workplace.tokens().values()
        done = await workplace.run("extend", "--id", token.authorization_id, "--lifetime", "300d")
        assert done.returncode == 1
        assert "policy" in done.stderr

    async def test_a_revoked_one_works_no_more(self, workplace: Workplace) -> None:
        token, *_ = workplace.tokens().values()
        done = await workplace.run("revoke", "--id", token.authorization_id, "--yes")
        assert done.returncode == 0, done.stderr
        assert "revoked" in done.stderr
        assert token.authorization_id not in workplace.tokens()


async def run_shell(
    command: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    done = await anyio.run_process(command, cwd=folder, env=environment, check=False)
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
