from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from pat_core import doctor
from pat_core.doctor import (
    Verdict,
    examine,
    examine_channels,
    examine_rotation,
    examine_storage,
)
from pat_core.errors import (
    AzureDevOpsError,
    ChannelError,
    ChannelMisconfigured,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    NotPermitted,
    NotSignedIn,
    QueueRefused,
    QueueUnavailable,
    Unavailable,
    VaultError,
    VaultRefused,
    VaultUnavailable,
)
from pat_core.ledger.sqlite import SqliteStore
from pat_core.local.memory_queues import MemoryQueues
from pat_core.model import IssuedToken, Organization, Owner, TokenReading, VaultSecret
from pat_core.ports import Waiting
from pat_core.rows import Row
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


class ClosedStore(SqliteStore):
    fails: LedgerError

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        raise self.fails


class ClosedQueues(MemoryQueues):
    fails: QueueUnavailable

    async def waiting(self, queue: str) -> Waiting:
        raise self.fails


class SilentQueues(MemoryQueues):
    async def waiting(self, queue: str) -> Waiting:
        await asyncio.sleep(60)
        return await super().waiting(queue)


@dataclass
class FakeReach:
    answer: bool | ChannelError

    async def reach(self) -> bool:
        if isinstance(self.answer, ChannelError):
            raise self.answer
        return self.answer


class TestExamineStorage:
    async def test_the_ledger_and_each_queue_are_read(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "ledger.sqlite")
        trials = await examine_storage(store, MemoryQueues())
        store.close()
        assert [(each.permission, each.verdict, each.needed) for each in trials] == [
            ("read the ledger", Verdict.OK, True),
            ("see the queue pat-organizations", Verdict.OK, True),
            ("see the queue pat-users", Verdict.OK, True),
        ]

    @pytest.mark.parametrize(
        ("ledger", "queue", "verdict"),
        [
            (LedgerRefused("No."), QueueRefused("No."), Verdict.REFUSED),
            (LedgerUnavailable("No answer."), QueueUnavailable("No answer."), Verdict.UNKNOWN),
        ],
    )
    async def test_what_is_refused_is_told_from_what_gave_no_answer(
        self, tmp_path: Path, ledger: LedgerError, queue: QueueUnavailable, verdict: Verdict
    ) -> None:
        store, queues = ClosedStore(tmp_path / "ledger.sqlite"), ClosedQueues()
        store.fails, queues.fails = ledger, queue
        trials = await examine_storage(store, queues)
        store.close()
        assert [(each.verdict, each.error) for each in trials] == [
            (verdict, ledger),
            (verdict, queue),
            (verdict, queue),
        ]

    async def test_one_that_is_silent_is_not_awaited_for_long(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor, "_WAIT", 0.3)
        store, queues = SqliteStore(tmp_path / "ledger.sqlite"), SilentQueues()
        trials = await examine_storage(store, queues)
        store.close()
        assert [each.verdict for each in trials] == [Verdict.OK, Verdict.UNKNOWN, Verdict.UNKNOWN]
        assert "Check the name of the storage account" in trials[-1].detail


class TestExamineChannels:
    async def test_one_that_cannot_be_asked_is_unknown_and_fails_nothing(self) -> None:
        (mail, card) = await examine_channels(
            {"email": FakeReach(answer=True), "teams": FakeReach(answer=False)}
        )
        assert (mail.organization, mail.verdict, mail.needed) == ("email", Verdict.OK, True)
        assert (card.organization, card.verdict, card.needed) == ("teams", Verdict.UNKNOWN, False)
        assert "doctor --send-test ADDRESS" in mail.detail
        assert "doctor --send-test ADDRESS" in card.detail

    @pytest.mark.parametrize(
        ("fault", "verdict"),
        [
            (ChannelMisconfigured("No.", remedy="Mend it."), Verdict.REFUSED),
            (ChannelError("No answer."), Verdict.UNKNOWN),
        ],
    )
    async def test_one_that_lets_nobody_in_says_so(
        self, fault: ChannelError, verdict: Verdict
    ) -> None:
        (trial,) = await examine_channels({"email": FakeReach(fault)})
        assert (trial.verdict, trial.needed, trial.detail) == (verdict, True, str(fault))

    async def test_none_that_is_set_up_is_no_trial(self) -> None:
        assert await examine_channels({}) == []
