from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from pat_core.doctor import Verdict, examine, examine_rotation
from pat_core.errors import (
    AzureDevOpsError,
    NotPermitted,
    NotSignedIn,
    Unavailable,
    VaultError,
    VaultRefused,
    VaultUnavailable,
)
from pat_core.model import IssuedToken, Organization, Owner, TokenReading, VaultSecret
from tests.fakes import FakeAzureDevOps

pytestmark = pytest.mark.anyio
CONTOSO = Organization("contoso")


@dataclass
class FakePatient(FakeAzureDevOps):
    users: list[Owner] = field(default_factory=lambda: [Owner("contoso", "aad.ana")])
    mine: NotPermitted | None = None
    revoking_fails: NotPermitted | None = None
    revoked: list[str] = field(default_factory=list)

    async def my_tokens(self, organization: Organization) -> TokenReading:
        if self.mine:
            raise self.mine
        return TokenReading(())

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        if self.revoking_fails:
            raise self.revoking_fails
        self.revoked += authorization_ids


@dataclass
class FakeVault:
    fails: VaultError | None = None

    async def kept(self, name: str) -> VaultSecret | None:
        if self.fails:
            raise self.fails
        return None

    async def keep(self, name: str, owner: Owner, issued: IssuedToken) -> VaultSecret:
        raise AssertionError(name)


@dataclass
class FakeSignIn:
    fails: AzureDevOpsError | None = None

    async def prove(self) -> None:
        if self.fails:
            raise self.fails


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
            ("revoke old tokens", Verdict.OK),
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

    async def test_whether_old_tokens_may_be_revoked_is_tried_on_a_token_of_nobody(self) -> None:
        patient = FakePatient(revoking_fails=NotPermitted("contoso: no.", remedy="Ask."))
        trials = {each.permission: each for each in await examine(patient, CONTOSO)}
        tried = trials["revoke old tokens"]
        assert (tried.verdict, tried.detail, tried.needed) == (
            Verdict.REFUSED,
            "contoso: no. Ask.",
            False,
        )
        patient.revoking_fails = None
        for _ in range(2):
            await examine(patient, CONTOSO)
        assert len(set(patient.revoked)) == 2
        assert all(UUID(each) for each in patient.revoked)


class TestExamineRotation:
    async def test_only_what_is_set_up_is_tried(self) -> None:
        assert await examine_rotation(None, None) == []
        tried = await examine_rotation(FakeVault(), FakeSignIn())
        assert [(each.organization, each.verdict) for each in tried] == [
            ("Entra", Verdict.OK),
            ("Key Vault", Verdict.OK),
        ]

    @pytest.mark.parametrize(
        ("vault", "entra", "verdict"),
        [
            (VaultRefused("No."), NotSignedIn("No."), Verdict.REFUSED),
            (VaultUnavailable("No answer."), Unavailable("No answer."), Verdict.UNKNOWN),
        ],
    )
    async def test_what_is_refused_is_told_from_what_gave_no_answer(
        self, vault: VaultError, entra: AzureDevOpsError, verdict: Verdict
    ) -> None:
        tried = await examine_rotation(FakeVault(vault), FakeSignIn(entra))
        assert {each.verdict for each in tried} == {verdict}
