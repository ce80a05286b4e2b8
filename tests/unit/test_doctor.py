from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pat_core.doctor import Verdict, examine
from pat_core.errors import NotPermitted, NotSignedIn, Unavailable
from pat_core.model import Organization, Owner, TokenReading
from tests.fakes import FakeAzureDevOps

pytestmark = pytest.mark.anyio
CONTOSO = Organization("contoso")


@dataclass
class FakePatient(FakeAzureDevOps):
    users: list[Owner] = field(default_factory=lambda: [Owner("contoso", "aad.ana")])
    mine: NotPermitted | None = None

    async def my_tokens(self, organization: Organization) -> TokenReading:
        if self.mine:
            raise self.mine
        return TokenReading(())


async def verdicts(patient: FakePatient) -> list[tuple[str, Verdict]]:
    return [(trial.permission, trial.verdict) for trial in await examine(patient, CONTOSO)]


class TestExamine:
    async def test_all_is_well(self) -> None:
        assert {verdict for _, verdict in await verdicts(FakePatient())} == {Verdict.OK}

    async def test_a_refused_permission_comes_with_its_remedy(self) -> None:
        refused = NotPermitted("contoso: no.", remedy="Do this.")
        trials = await examine(FakePatient(owned={"aad.ana": refused}), CONTOSO)
        (trial,) = [trial for trial in trials if trial.verdict is Verdict.REFUSED]
        assert (trial.permission, trial.detail) == (
            "read another user's tokens",
            "contoso: no. Do this.",
        )
        assert trial.needed

    async def test_who_cannot_sign_in_is_told_once_for_the_listing(self) -> None:
        patient = FakePatient(users=[], listing_fails=NotSignedIn("contoso: no."))
        assert await verdicts(patient) == [
            ("list users", Verdict.REFUSED),
            ("read my own tokens", Verdict.OK),
        ]

    async def test_a_broken_connection_leaves_it_unknown(self) -> None:
        patient = FakePatient(owned={"aad.ana": Unavailable("contoso: no answer.")})
        assert ("read another user's tokens", Verdict.UNKNOWN) in await verdicts(patient)

    async def test_ones_own_tokens_are_not_needed_to_scan(self) -> None:
        trials = await examine(FakePatient(mine=NotPermitted("a PAT is refused here")), CONTOSO)
        assert [trial.needed for trial in trials if trial.verdict is Verdict.REFUSED] == [False]

    async def test_an_organization_without_users_leaves_the_rest_unknown(self) -> None:
        assert (await verdicts(FakePatient(users=[])))[0] == ("list users", Verdict.UNKNOWN)
