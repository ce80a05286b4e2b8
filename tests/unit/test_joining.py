from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pat_core.errors import IdentityNotFound, NotPermitted, RequestRefused
from pat_core.joining import BETWEEN, GROUP, Joining
from pat_core.model import Organization
from tests.fakes import FakeTime

pytestmark = pytest.mark.anyio
CONTOSO = Organization("contoso")
ID = "92e26ce8-8e7c-4555-bdab-813b34b8e53a"
MEMBER, ADMINS = "aadsp.bWU", "vssgp.cGNh"


@dataclass
class FakeEnrolment:
    """An organization that needs so many tries to find, list and admit an identity."""

    group: str = ADMINS
    finds_after: int = 0
    lists_after: int = 0
    admits_after: int = 0
    tells: str = MEMBER
    added: bool = False
    members: set[str] = field(default_factory=set)
    refuses: str = ""
    calls: list[str] = field(default_factory=list)

    async def find_group(self, organization: Organization, name: str) -> str:
        assert (organization, name) == (CONTOSO, GROUP)
        self.hear("find group")
        return self.group

    async def find_identity(self, organization: Organization, object_id: str) -> str:
        assert (organization, object_id) == (CONTOSO, ID)
        self.hear("find")
        listed = self.calls.count("find") > self.lists_after
        return MEMBER if self.added and listed else ""

    async def add_identity(self, organization: Organization, object_id: str) -> str:
        assert (organization, object_id) == (CONTOSO, ID)
        self.hear("add")
        if self.calls.count("add") <= self.finds_after:
            raise IdentityNotFound("contoso: no such identity.", remedy="Look.")
        self.added = True
        return self.tells

    async def is_member(self, organization: Organization, member: str, group: str) -> bool:
        assert (organization, group) == (CONTOSO, ADMINS)
        self.hear("look up")
        return member in self.members

    async def add_member(self, organization: Organization, member: str, group: str) -> None:
        assert (organization, group) == (CONTOSO, ADMINS)
        self.hear("admit")
        if self.calls.count("admit") <= self.admits_after:
            raise IdentityNotFound("contoso: not yet.")
        self.members.add(member)

    def hear(self, call: str) -> None:
        self.calls.append(call)
        if call == self.refuses:
            raise NotPermitted("contoso: no.", remedy="Ask.")


@dataclass
class Steps:
    enrolment: FakeEnrolment
    time: FakeTime
    told: list[str] = field(default_factory=list)

    async def join(self, wait: float = 120) -> bool:
        joining = Joining(self.enrolment, CONTOSO, ID, self.time.sleep, self.told.append)
        return await joining.join(wait)


def steps(time: FakeTime, **given: object) -> Steps:
    return Steps(FakeEnrolment(**given), time)  # type: ignore[arg-type]


class TestJoin:
    async def test_a_newcomer_becomes_a_user_and_an_administrator(self, time: FakeTime) -> None:
        new = steps(time)
        assert await new.join()
        assert new.enrolment.members == {MEMBER}
        assert new.told == [
            f"contoso: the identity {ID} is now a user, with the access level Basic.",
            "contoso: it is now in Project Collection Administrators.",
        ]
        assert time.slept == []

    async def test_the_second_time_nothing_is_written(self, time: FakeTime) -> None:
        new = steps(time)
        await new.join()
        new.enrolment.calls.clear()
        new.told.clear()
        assert not await new.join()
        assert new.enrolment.calls == ["find group", "find", "look up"]
        assert new.told == [
            f"contoso: the identity {ID} is a user already.",
            "contoso: it is in Project Collection Administrators already.",
        ]

    async def test_a_user_who_is_no_administrator_becomes_one(self, time: FakeTime) -> None:
        half = steps(time, added=True)
        assert await half.join()
        assert "add" not in half.enrolment.calls
        assert half.enrolment.members == {MEMBER}

    async def test_an_administrator_who_had_lost_the_access_level_gets_it(
        self, time: FakeTime
    ) -> None:
        lost = steps(time, members={MEMBER})
        assert await lost.join()
        assert lost.enrolment.calls == ["find group", "find", "add", "look up"]


class TestPreconditions:
    @pytest.mark.parametrize("given", [{"group": ""}, {"refuses": "find group"}])
    async def test_without_the_group_nothing_is_changed(
        self, time: FakeTime, given: dict[str, str]
    ) -> None:
        blind = steps(time, **given)
        with pytest.raises((RequestRefused, NotPermitted)):
            await blind.join()
        assert blind.enrolment.calls == ["find group"]

    async def test_what_was_done_before_a_refusal_is_told(self, time: FakeTime) -> None:
        half = steps(time, refuses="admit")
        with pytest.raises(NotPermitted):
            await half.join()
        assert [line.partition(" is ")[2] for line in half.told] == [
            "now a user, with the access level Basic."
        ]


class TestWaiting:
    @pytest.mark.parametrize(
        "given", [{"finds_after": 3}, {"admits_after": 3}, {"tells": "", "lists_after": 4}]
    )
    async def test_one_that_is_new_is_awaited(
        self, time: FakeTime, given: dict[str, object]
    ) -> None:
        new = steps(time, **given)
        assert await new.join()
        assert new.enrolment.members == {MEMBER}
        assert time.slept == [BETWEEN] * 3
        assert sum("does not find the identity" in line for line in new.told) == 1

    async def test_all_of_it_together_waits_no_longer_than_asked(self, time: FakeTime) -> None:
        slow = steps(time, finds_after=2, admits_after=99)
        with pytest.raises(IdentityNotFound):
            await slow.join(wait=23)
        assert sum(time.slept) == 23

    async def test_without_a_wait_it_is_tried_once(self, time: FakeTime) -> None:
        unknown = steps(time, finds_after=99)
        with pytest.raises(IdentityNotFound):
            await unknown.join(wait=0)
        assert (time.slept, unknown.enrolment.calls.count("add")) == ([], 1)
        assert unknown.told == []
