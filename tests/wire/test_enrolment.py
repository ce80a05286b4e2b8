"""An identity joins an organization: flow and client against the simulator, over loopback HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pat_core.bootstrap import Services
from pat_core.errors import (
    BrokenReply,
    IdentityNotFound,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
    PatWardenError,
    RequestRefused,
)
from pat_core.joining import GROUP, Joining
from pat_core.local.changes import Changes
from pat_core.local.members import group_descriptor, identity
from pat_core.local.policies import Policies
from pat_core.local.serving import serving
from pat_core.local.simulator import SignedIn, Simulator, create_app
from pat_core.local.world import World
from pat_core.model import Organization
from pat_core.settings import Settings
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio
SECRET = "hush"
ID = "92e26ce8-8e7c-4555-bdab-813b34b8e53a"
ENTITLEMENTS, MEMBERSHIPS = "serviceprincipalentitlements", "graph/memberships/"


@dataclass
class Gate:
    """What is heard on the way in, and what is answered instead of the simulator."""

    heard: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    by_path: dict[str, Response] = field(default_factory=dict)

    def __call__(self, request: Request) -> Response | None:
        self.heard.append(request.method)
        self.queries.append(f"{request.url.path}?{request.url.query}")
        found = (reply for part, reply in self.by_path.items() if part in request.url.path)
        return next(found, None)


@dataclass
class Door:
    """A simulated organization, and someone who lets identities in."""

    simulator: Simulator
    services: Services
    organization: Organization
    time: FakeTime
    gate: Gate
    told: list[str] = field(default_factory=list)

    async def join(self, object_id: str = ID, wait: float = 120) -> bool:
        enrolment, time = self.services.enrolment, self.time
        return await Joining(
            enrolment, self.organization, object_id, time.sleep, self.told.append
        ).join(wait)

    @property
    def administrators(self) -> set[str]:
        return self.simulator.members.administrators()


@asynccontextmanager
async def door(
    time: FakeTime,
    policies: Policies | None = None,
    *,
    secret: str = SECRET,
    name: str = "contoso",
    signed_in: SignedIn = lambda _: None,
) -> AsyncIterator[Door]:
    world, gate = World(NOW, organization="contoso"), Gate()
    simulator = Simulator(
        world,
        secret=SECRET,
        fault=gate,
        changes=Changes(world, time.clock),
        policies=policies,
        signed_in=signed_in,
    )
    settings = Settings(admin_token=SecretStr(secret))
    async with (
        serving(create_app(simulator)) as address,
        Services(settings, time.clock) as services,
    ):
        there = Organization(name, f"{address}/{name}")
        yield Door(simulator, services, there, time, gate)


class TestJoin:
    async def test_it_gets_in_once_and_only_into_its_group(self, time: FakeTime) -> None:
        async with door(time) as contoso:
            assert await contoso.join()
            member = identity(ID)["descriptor"]
            expected = {(member, group_descriptor("contoso", GROUP))}
            assert contoso.simulator.members.memberships == expected
            contoso.gate.heard.clear()
            assert not await contoso.join()
            assert set(contoso.gate.heard) == {"GET", "HEAD"}

    async def test_the_group_is_looked_for_on_every_page(self, time: FakeTime) -> None:
        async with door(time) as contoso:
            await contoso.join()
            listings = [each for each in contoso.gate.queries if "graph/groups" in each]
        assert len(listings) == 2
        assert all("subjectTypes=vssgp" in each for each in listings)

    async def test_the_name_may_be_written_in_another_case(self, time: FakeTime) -> None:
        async with door(time) as contoso:
            enrolment, there = contoso.services.enrolment, contoso.organization
            shouted = Organization("CONTOSO", there.base_url)
            assert await enrolment.find_group(shouted, GROUP) == await enrolment.find_group(
                there, GROUP
            )
            assert await enrolment.find_group(there, "Nobody") == ""

    async def test_an_identity_is_found_on_a_later_page(self, time: FakeTime) -> None:
        async with door(time) as contoso:
            for number in range(60):
                await contoso.services.enrolment.add_identity(
                    contoso.organization, ID[:-12] + f"{number:012x}"
                )
            await contoso.join()
            assert contoso.administrators == {identity(ID)["descriptor"]}
            assert not await contoso.join()

    async def test_one_that_is_no_longer_active_is_added_again(self, time: FakeTime) -> None:
        async with door(time) as contoso:
            await contoso.join()
            contoso.gate.by_path["membershipstates"] = JSONResponse({"active": False})
            contoso.gate.heard.clear()
            assert await contoso.join()
            assert contoso.gate.heard.count("POST") == 1


class TestNew:
    async def test_one_that_entra_has_just_made_is_awaited(self, time: FakeTime) -> None:
        async with door(time, Policies(entra_delay=timedelta(seconds=42))) as contoso:
            assert await contoso.join()
            assert len(contoso.administrators) == 1
        assert sum(time.slept) == 45

    async def test_one_that_graph_does_not_list_yet_is_awaited(self, time: FakeTime) -> None:
        async with door(time, Policies(graph_delay=timedelta(seconds=12))) as contoso:
            assert await contoso.join()
            assert len(contoso.administrators) == 1
        assert sum(time.slept) == 15

    async def test_a_reply_without_its_descriptor_is_looked_up(self, time: FakeTime) -> None:
        async with door(time) as contoso:
            enrolment = contoso.services.enrolment
            await enrolment.add_identity(contoso.organization, ID)
            bare = {"isSuccess": True, "operationResult": {"isSuccess": True, "errors": []}}
            contoso.gate.by_path[ENTITLEMENTS] = JSONResponse(bare)
            assert await enrolment.add_identity(contoso.organization, ID) == ""


class TestRefused:
    async def test_one_of_another_tenant_is_named_after_the_wait(self, time: FakeTime) -> None:
        async with door(time, Policies(strangers=frozenset({ID}))) as contoso:
            with pytest.raises(IdentityNotFound) as raised:
                await contoso.join(wait=20)
            assert contoso.administrators == set()
        assert sum(time.slept) == 20
        assert raised.value.cause == (
            f"contoso: Azure DevOps finds no identity with the object id {ID}."
        )
        assert "the tenant that contoso is connected to" in raised.value.remedy

    @pytest.mark.parametrize(
        ("policies", "scope"),
        [
            (Policies(may_invite=False), "vso.memberentitlementmanagement_write"),
            (Policies(may_add_members=False), "vso.graph_manage"),
        ],
    )
    async def test_what_is_not_permitted_names_the_scope(
        self, time: FakeTime, policies: Policies, scope: str
    ) -> None:
        async with door(time, policies) as contoso:
            with pytest.raises(NotPermitted) as raised:
                await contoso.join()
            assert contoso.administrators == set()
        assert f"needs the scope {scope}" in raised.value.remedy
        assert "`az login`" in raised.value.remedy

    async def test_who_is_not_let_in_changed_nothing(self, time: FakeTime) -> None:
        async with door(time, secret="wrong") as contoso:
            with pytest.raises(NotSignedIn) as raised:
                await contoso.join()
            assert contoso.gate.heard == ["GET"]
        assert "lacks the scope vso.graph." in raised.value.remedy

    async def test_an_organization_that_is_none_is_named(self, time: FakeTime) -> None:
        async with door(time, name="contso") as contoso:
            with pytest.raises(OrganizationNotFound):
                await contoso.join()

    @pytest.mark.parametrize(
        ("errors", "said"),
        [
            ([{"key": 5000, "value": "No licence is left.\nBuy one."}], " (No licence is left."),
            (["Plain words"], " (Plain words)"),
            ([{"key": 1}, None, 7], " (7)"),
            ([], "added."),
            (None, "added."),
        ],
    )
    async def test_a_failure_inside_a_200_is_one(
        self, time: FakeTime, errors: object, said: str
    ) -> None:
        failed = {"isSuccess": False, "operationResult": {"isSuccess": False, "errors": errors}}
        async with door(time) as contoso:
            contoso.gate.by_path[ENTITLEMENTS] = JSONResponse(failed)
            with pytest.raises(RequestRefused) as raised:
                await contoso.join()
        assert raised.value.cause.startswith("contoso: the identity was not added")
        assert said in raised.value.cause
        assert "\n" not in raised.value.cause

    @pytest.mark.parametrize(
        ("path", "reply", "error"),
        [
            (ENTITLEMENTS, JSONResponse({"operationResult": 5}), BrokenReply),
            (ENTITLEMENTS, JSONResponse({}), RequestRefused),
            (ENTITLEMENTS, JSONResponse({"message": "Bad."}, 400), RequestRefused),
            ("graph/groups", JSONResponse({"value": [{"displayName": "x"}]}), BrokenReply),
            ("graph/groups", JSONResponse({"value": []}), RequestRefused),
            ("graph/serviceprincipals", HTMLResponse("<html>", 200), NotSignedIn),
            (MEMBERSHIPS, Response(status_code=404), IdentityNotFound),
            (MEMBERSHIPS, Response(status_code=401), NotSignedIn),
        ],
    )
    async def test_replies_of_other_kinds_have_their_meaning(
        self, time: FakeTime, path: str, reply: Response, error: type[PatWardenError]
    ) -> None:
        async with door(time) as contoso:
            contoso.gate.by_path[path] = reply
            with pytest.raises(error):
                await contoso.join()
            assert contoso.administrators == set()


class TestSimulator:
    async def test_people_may_let_nobody_in(self, time: FakeTime) -> None:
        person = World(NOW).person(0)
        async with door(time, signed_in=lambda _: person) as contoso:
            settings = Settings(bearer_token=SecretStr("of-a-person"))
            async with Services(settings, time.clock) as services:
                contoso.services = services
                with pytest.raises(NotPermitted) as raised:
                    await contoso.join()
        assert raised.value.remedy == (
            "To add an identity, sign in with `az login` as a user in the group "
            "Project Collection Administrators of contoso."
        )
