"""The commands of those who run the service, as a person runs them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from starlette.requests import Request

from pat_core.audit import Result
from pat_core.bootstrap import system_clock
from pat_core.ledger.sqlite import SqliteStore
from pat_core.local.changes import Changes
from pat_core.local.policies import Policies
from pat_core.local.serving import serving
from pat_core.local.simulator import Simulator, create_app
from pat_core.local.world import World
from pat_core.model import Owner
from pat_core.trail import Trail
from tests.e2e.test_commands import Desk

pytestmark = pytest.mark.anyio
SECRET = "hush"
ID = "92e26ce8-8e7c-4555-bdab-813b34b8e53a"
CLICKS = [
    "By hand, as one of the Project Collection Administrators of contoso:",
    "Organization settings > Users > Add users (https://dev.azure.com/contoso/_settings/users)",
    f"Users or Service Principals: the identity's name (its object id is {ID})",
    "Organization settings > Permissions (https://dev.azure.com/contoso/_settings/groups)",
    "Project Collection Administrators > Members > Add > the same name > Save",
]


@dataclass
class Bureau:
    """A desk, and an organization that it leads to."""

    desk: Desk
    simulator: Simulator
    settings: dict[str, str]
    calls: list[str]

    async def join(self, identity: str = ID, *words: str, **settings: str) -> CompletedProcess[str]:
        command = ("join", "--organization", "contoso", "--identity", identity, *words)
        done = await self.desk.run(*command, **self.settings | settings)
        assert SECRET not in done.stdout + done.stderr
        return done


@asynccontextmanager
async def bureau(folder: Path, policies: Policies | None = None) -> AsyncIterator[Bureau]:
    world, calls = World(system_clock(), organization="contoso"), list[str]()

    def hears(request: Request) -> None:
        calls.append(request.method)

    simulator = Simulator(
        world,
        secret=SECRET,
        fault=hears,
        changes=Changes(world, system_clock),
        policies=policies,
    )
    async with serving(create_app(simulator)) as address:
        place = {"name": "contoso", "base_url": f"{address}/contoso"}
        settings = {"PAT_ORGANIZATIONS": json.dumps([place]), "PAT_ADMIN_TOKEN": SECRET}
        yield Bureau(Desk(folder), simulator, settings, calls)


class TestJoin:
    async def test_it_says_what_it_did_and_may_be_run_again(self, tmp_path: Path) -> None:
        async with bureau(tmp_path) as contoso:
            first = await contoso.join()
            assert (first.returncode, first.stderr) == (0, "")
            assert first.stdout.splitlines() == [
                f"contoso: the identity {ID} is now a user, with the access level Basic.",
                "contoso: it is now in Project Collection Administrators.",
                "Next: python -m pat_core doctor -o contoso tries what scans need.",
            ]
            assert len(contoso.simulator.members.administrators()) == 1
            again = await contoso.join(f"{{{ID.upper()}}}")
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout.splitlines()[:3] == [
            f"contoso: the identity {ID} is a user already.",
            "contoso: it is in Project Collection Administrators already.",
            "Nothing had to be changed.",
        ]

    @pytest.mark.parametrize(
        ("policies", "done_before"),
        [
            (Policies(may_invite=False), ""),
            (Policies(may_add_members=False), f"contoso: the identity {ID} is now a user"),
        ],
    )
    async def test_where_it_is_refused_it_prints_the_clicks(
        self, tmp_path: Path, policies: Policies, done_before: str
    ) -> None:
        async with bureau(tmp_path, policies) as contoso:
            done = await contoso.join()
        assert done.returncode == 3
        assert "is not permitted" in done.stderr
        assert "The PAT in PAT_ADMIN_TOKEN needs the scope vso." in done.stderr
        assert [each for each in CLICKS if each not in done.stderr] == []
        assert done_before in done.stdout

    async def test_who_is_not_signed_in_is_told_how_and_what_else_helps(
        self, tmp_path: Path
    ) -> None:
        async with bureau(tmp_path) as contoso:
            wrong = await contoso.join(PAT_ADMIN_TOKEN="wrong")
            nobody = await contoso.join(PAT_ADMIN_TOKEN="", PATH=str(tmp_path))
            assert contoso.simulator.members.administrators() == set()
        assert (wrong.returncode, nobody.returncode) == (3, 3)
        assert "lacks the scope vso.graph." in wrong.stderr
        assert "No Microsoft Entra sign-in was found" in nobody.stderr
        assert "Sign in with `az login` as a Project Collection Administrator" in nobody.stderr
        assert CLICKS[1] in nobody.stderr

    @pytest.mark.parametrize("identity", ["", "pat-warden", ID[:-1], f"{ID}0"])
    async def test_what_is_no_object_id_is_refused_before_the_first_call(
        self, tmp_path: Path, identity: str
    ) -> None:
        async with bureau(tmp_path) as contoso:
            done = await contoso.join(identity)
            assert contoso.calls == []
        assert done.returncode == 2
        assert f"--identity: {identity!r} is not an object id" in done.stderr
        assert "Example: --identity " in done.stderr

    async def test_an_identity_of_another_tenant_has_its_own_sentence(self, tmp_path: Path) -> None:
        strangers = Policies(strangers=frozenset({ID}))
        async with bureau(tmp_path, strangers) as contoso:
            done = await contoso.join(ID, "--wait", "0")
        assert done.returncode == 2
        assert f"Azure DevOps finds no identity with the object id {ID}." in done.stderr
        assert "It must be in the tenant that contoso is connected to" in done.stderr
        assert "By hand" not in done.stderr

    async def test_one_that_is_new_is_awaited(self, tmp_path: Path) -> None:
        new = Policies(entra_delay=timedelta(seconds=1))
        async with bureau(tmp_path, new) as contoso:
            done = await contoso.join(ID, "--wait", "3")
            assert len(contoso.simulator.members.administrators()) == 1
        assert done.returncode == 0, done.stderr
        assert "trying again for 3 seconds" in done.stdout

    async def test_a_name_that_is_no_organizations_is_a_wrong_setting(self, tmp_path: Path) -> None:
        async with bureau(tmp_path) as contoso:
            place = contoso.settings["PAT_ORGANIZATIONS"].replace('/contoso"', '/contso"')
            done = await contoso.join(PAT_ORGANIZATIONS=place)
        assert done.returncode == 2
        assert "no such organization" in done.stderr


class TestAudit:
    @pytest.fixture
    def desk(self, tmp_path: Path) -> Desk:
        return Desk(tmp_path)

    async def kept(self, desk: Desk) -> None:
        """An action of somebody with a hostile name, in the ledger of that desk."""
        (desk.folder / ".local").mkdir()
        with closing(SqliteStore(desk.folder / ".local" / "ledger.sqlite")) as store:
            trail = Trail(store, system_clock)
            owner = Owner("contoso", "aad.ana", "Ana\u202e\n\x1b[31m", "ana@contoso.example")
            await trail.ended(await trail.asked(owner, "rotate", "t1"), Result.DONE)

    async def test_it_is_a_line_for_each_step(self, desk: Desk) -> None:
        await self.kept(desk)
        done = await desk.run("audit", "--organization", "contoso")
        assert done.returncode == 0, done.stderr
        asked, ended = done.stdout.splitlines()
        assert asked.endswith("rotate asked: t1 by Ana [31m (aad.ana)")
        assert ended.endswith("rotate done: t1 by Ana [31m (aad.ana)")

    async def test_and_json_for_programs(self, desk: Desk) -> None:
        await self.kept(desk)
        done = await desk.run("audit", "--organization", "contoso", "--json")
        asked, ended = (json.loads(line) for line in done.stdout.splitlines())
        assert (asked["result"], ended["result"]) == ("asked", "done")
        assert asked["mark"] == ended["mark"]

    async def test_where_nothing_was_done_it_says_so(self, desk: Desk) -> None:
        done = await desk.run("audit", "--organization", "contoso")
        assert (done.returncode, done.stdout) == (0, "")
        assert "Nobody did anything" in done.stderr
