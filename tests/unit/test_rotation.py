"""A rotation by its owner: what it does to tokens, and what a crash at any step leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import pytest

from pat_core.book import Book, Entry
from pat_core.channels.render import Renderer
from pat_core.errors import (
    ActionRefused,
    NotPermitted,
    TokenNotFound,
    TokenRefused,
    Unavailable,
    VaultRefused,
    VaultUnavailable,
)
from pat_core.expiry import DEFAULT_WINDOWS_DAYS, GLOBAL_PATS_END
from pat_core.finishing import Finished, Finisher
from pat_core.local.memory_queues import MemoryQueues
from pat_core.model import Deed, Organization, TokenReading
from pat_core.ports import Store
from pat_core.rotation import Rotator, Wish
from pat_core.rotations import RotationState
from pat_core.rows import OWNERS, Change
from pat_core.summarize import Watch
from tests.builders import ANA
from tests.hands import Admin, Died
from tests.turns import CONTOSO, OLD, QUARTER, Bench

pytestmark = pytest.mark.anyio


class TestShown:
    async def test_the_secret_comes_once_and_no_second_token_is_made(self, bench: Bench) -> None:
        first = await bench.rotate()
        assert first.secret
        assert first.secret.get_secret_value() == "s3cret-1"
        assert (first.rotation.state, first.tried) == (RotationState.HANDED_OVER, True)
        again = await bench.rotate()
        assert again.secret is None
        assert again.rotation == first.rotation
        assert bench.azure.log == ["create new-1", "try new-1"]

    async def test_the_new_token_is_the_old_one_again(self, bench: Bench) -> None:
        await bench.rotate()
        new = bench.azure.tokens["new-1"]
        assert (new.display_name, new.scope) == (OLD.display_name, OLD.scope)
        assert new.valid_to == bench.time.now + QUARTER

    async def test_until_it_is_said_to_be_stored_the_old_one_is_revoked_by_nobody(
        self, bench: Bench
    ) -> None:
        await bench.rotate(hours=0)
        for _ in range(9):
            bench.time.now += timedelta(days=1)
            await bench.finish()
        assert bench.azure.alive() == {"old", "new-1"}

    async def test_once_it_is_stored_the_overlap_runs_and_the_old_one_dies(
        self, bench: Bench
    ) -> None:
        await bench.rotate()
        rotation = await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        assert rotation.revoke_at == bench.time.now + timedelta(hours=24)
        bench.time.now += timedelta(hours=23, minutes=59)
        assert await bench.finish() == Finished(waiting=1)
        assert "old" in bench.azure.alive()
        bench.time.now += timedelta(minutes=1)
        assert await bench.finish() == Finished(moved=1)
        assert bench.azure.alive() == {"new-1"}
        assert (await bench.rotation()).state is RotationState.DONE
        await bench.finish()
        assert await bench.hints() == 0
        assert bench.azure.log.count("admin revoke old") == 1

    async def test_without_an_overlap_it_dies_as_soon_as_the_new_one_is_stored(
        self, bench: Bench
    ) -> None:
        await bench.rotate(hours=0)
        assert "old" in bench.azure.alive()
        rotation = await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        assert rotation.state is RotationState.DONE
        assert bench.azure.log[-1] == "revoke old"

    async def test_who_has_not_stored_it_starts_again(self, bench: Bench) -> None:
        await bench.rotate()
        rotation = await bench.rotator.withdraw(bench.azure, CONTOSO, "old")
        assert rotation.state is RotationState.GIVEN_UP
        assert bench.azure.alive() == {"old"}
        again = await bench.rotate()
        assert again.secret
        assert again.secret.get_secret_value() == "s3cret-2"
        assert bench.azure.alive() == {"old", "new-2"}

    @pytest.mark.parametrize("helps", [True, False])
    async def test_starting_again_leaves_no_token_that_nobody_knows_of(
        self, bench: Bench, helps: bool
    ) -> None:
        def cut(name: str) -> None:
            if name == "revoke new-1":
                raise Unavailable("Cut.")

        await bench.rotate()
        bench.azure.before = cut
        await bench.rotator.withdraw(bench.azure, CONTOSO, "old")
        if helps:
            bench.azure.before = lambda _: None
            await bench.rotate()
            assert bench.azure.alive() == {"old", "new-2"}
            return
        with pytest.raises(Unavailable):
            await bench.rotate()
        bench.azure.before = lambda _: None
        await bench.finish()
        assert bench.azure.alive() == {"old"}

    async def test_once_it_is_stored_it_cannot_be_started_again(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        with pytest.raises(ActionRefused, match="superseded"):
            await bench.rotator.withdraw(bench.azure, CONTOSO, "old")

    async def test_the_old_one_may_live_longer_but_not_past_its_end(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        bench.time.now += timedelta(hours=20)
        rotation = await bench.rotator.keep_longer(bench.azure, CONTOSO, "old")
        assert rotation.revoke_at == bench.time.now + timedelta(days=7)
        bench.time.now += timedelta(days=5)
        rotation = await bench.rotator.keep_longer(bench.azure, CONTOSO, "old")
        assert rotation.revoke_at == OLD.valid_to

    async def test_its_owner_is_told_once_of_the_rotation_and_no_more_of_the_old_token(
        self, bench: Bench
    ) -> None:
        await bench.rotate()
        assert await bench.told() == []
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        assert await bench.told() == [Deed.ROTATED]
        assert (await bench.account()).tokens["old"].standing.lets_expire


class TestVault:
    async def test_it_goes_into_the_vault_and_is_shown_nowhere(self, bench: Bench) -> None:
        done = await bench.rotate(to_vault=True)
        assert done.secret is None
        assert done.rotation.state is RotationState.SUPERSEDED
        ((kept, secret),) = bench.vault.secrets[done.rotation.vault_name]
        assert (secret, kept.authorization_id) == ("s3cret-1", "new-1")
        assert done.rotation.vault_version == kept.version

    async def test_the_next_in_line_goes_under_the_same_name(self, bench: Bench) -> None:
        first = await bench.rotate(to_vault=True, hours=0)
        wish = Wish(QUARTER, to_vault=True)
        second = await bench.rotator.rotate(bench.azure, CONTOSO, "new-1", wish)
        assert second.rotation.vault_name == first.rotation.vault_name
        assert len(bench.vault.secrets[first.rotation.vault_name]) == 2

    async def test_another_living_token_of_the_same_name_keeps_its_place(
        self, bench: Bench
    ) -> None:
        await bench.rotate(to_vault=True)
        bench.azure.owns(replace(OLD, authorization_id="twin"))
        with pytest.raises(VaultRefused, match="same name"):
            await bench.rotator.rotate(bench.azure, CONTOSO, "twin", Wish(QUARTER, to_vault=True))
        assert bench.azure.log.count("create new-2") == 0

    @pytest.mark.parametrize("tags", [{"owner": "aad.other"}, {"organization": "fabrikam"}])
    async def test_for_a_place_that_is_somebody_elses_no_token_is_made(
        self, bench: Bench, tags: dict[str, str]
    ) -> None:
        first = await bench.rotate(to_vault=True, hours=0)
        versions = bench.vault.secrets[first.rotation.vault_name]
        versions[-1] = (replace(versions[-1][0], **tags), "")
        with pytest.raises(VaultRefused, match="not put there for this owner"):
            await bench.rotator.rotate(bench.azure, CONTOSO, "new-1", Wish(QUARTER, to_vault=True))
        assert "create new-2" not in bench.azure.log
        assert len(versions) == 1

    async def test_where_it_is_refused_nothing_is_left(self, bench: Bench) -> None:
        bench.vault.fails = VaultRefused("No.")
        with pytest.raises(VaultRefused):
            await bench.rotate(to_vault=True)
        assert bench.azure.alive() == {"old"}

    async def test_where_nobody_knows_the_vault_is_asked_later(self, bench: Bench) -> None:
        def cut(name: str) -> None:
            if name == "keep":
                raise VaultUnavailable("No answer.")

        bench.azure.after = cut
        with pytest.raises(VaultUnavailable):
            await bench.rotate(to_vault=True)
        bench.azure.after = lambda _: None
        bench.time.now += timedelta(minutes=16)
        await bench.finish()
        await bench.finish()
        assert (await bench.rotation()).state is RotationState.SUPERSEDED
        assert bench.azure.alive() == {"old", "new-1"}

    async def test_without_a_vault_nothing_is_made(self, bench: Bench) -> None:
        with pytest.raises(ActionRefused, match="No Key Vault"):
            await Rotator(bench.book).rotate(
                bench.azure, CONTOSO, "old", Wish(QUARTER, to_vault=True)
            )
        assert bench.azure.log == []


class TestRefused:
    async def test_a_policy_leaves_the_old_one_and_may_be_obeyed_at_once(
        self, bench: Bench
    ) -> None:
        def policy(name: str) -> None:
            if name.startswith("create"):
                raise TokenRefused("Too long.", code="patLifespanPolicyViolation")

        bench.azure.before = policy
        with pytest.raises(TokenRefused):
            await bench.rotate()
        bench.azure.before = lambda _: None
        assert (await bench.rotate()).secret

    async def test_a_new_token_that_does_not_work_is_revoked(self, bench: Bench) -> None:
        bench.azure.takes_new = False
        with pytest.raises(TokenRefused, match="The old one stays"):
            await bench.rotate()
        assert bench.azure.alive() == {"old"}

    async def test_one_that_cannot_be_tried_is_handed_over_and_said_so(self, bench: Bench) -> None:
        bench.azure.takes_new = None
        done = await bench.rotate()
        assert (done.tried, bool(done.secret)) == (None, True)

    async def test_an_unknown_token_is_not_found(self, bench: Bench) -> None:
        with pytest.raises(TokenNotFound):
            await bench.rotator.rotate(bench.azure, CONTOSO, "other", Wish(QUARTER))

    async def test_an_expired_one_is_refused(self, bench: Bench) -> None:
        bench.time.now += timedelta(days=11)
        with pytest.raises(ActionRefused):
            await bench.rotate()


class TestFinish:
    async def test_where_the_service_may_not_revoke_it_says_so_and_goes_on_trying(
        self, bench: Bench
    ) -> None:
        def forbid(name: str) -> None:
            if name.startswith("admin"):
                raise NotPermitted("Not permitted.", remedy="Ask.")

        bench.azure.before = forbid
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        bench.time.now += timedelta(hours=25)
        assert await bench.finish() == Finished(troubled=1)
        assert (await bench.rotation()).trouble == "Not permitted. Ask."
        watch = Watch(bench.store, bench.time.clock, [CONTOSO], DEFAULT_WINDOWS_DAYS)
        summary = await watch.summarize(MemoryQueues())
        assert summary.stuck == ("A token of Ana Almeida (contoso, old): Not permitted. Ask.",)
        assert "1 old token could not be revoked." in summary.troubles
        for text in (Renderer().summary(summary).html, Renderer().summary(summary).text):
            assert summary.stuck[0] in text
        bench.azure.before = lambda _: None
        await bench.finish()
        assert (await bench.rotation()).state is RotationState.DONE
        assert (await bench.rotation()).trouble == ""

    async def test_where_the_new_token_is_gone_the_old_one_is_kept(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        await bench.azure.revoke(CONTOSO, "new-1")
        bench.time.now += timedelta(hours=25)
        await bench.finish()
        assert bench.azure.alive() == {"old"}
        assert not (await bench.account()).tokens["old"].standing.lets_expire
        assert await bench.told() == [Deed.ROTATED, Deed.GIVEN_UP]

    async def test_where_the_end_of_the_new_one_is_ordered_the_old_one_is_kept(
        self, bench: Bench
    ) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        new = await bench.azure.my_token(CONTOSO, "new-1")
        # Azure DevOps may show it as valid for another hour.
        await bench.book.write(ANA, Entry(replace(new, is_valid=False), deed=Deed.TAKEN))
        bench.time.now += timedelta(hours=25)
        await bench.finish()
        assert "old" in bench.azure.alive()
        assert await bench.told() == [Deed.TAKEN, Deed.ROTATED, Deed.GIVEN_UP]

    @pytest.mark.parametrize("ends", ["by its owner", "by the timer"])
    async def test_a_token_that_was_replaced_twice_ends_as_was_said(
        self, bench: Bench, ends: str
    ) -> None:
        overlap = timedelta(hours=24)
        wish = Wish(QUARTER, overlap)
        for old in ("old", "new-1"):
            await bench.rotator.rotate(bench.azure, CONTOSO, old, wish)
            await bench.rotator.confirm(bench.azure, CONTOSO, old)
            wish = replace(wish, overlap=timedelta(hours=1))
        if ends == "by its owner":
            await bench.acts.revoke(bench.azure, CONTOSO, "new-1")
        bench.time.now += timedelta(hours=2)
        await bench.finish()
        assert bench.azure.alive() == {"old", "new-2"}
        bench.time.now += overlap
        await bench.finish()
        assert bench.azure.alive() == {"new-2"}
        assert Deed.GIVEN_UP not in await bench.told()

    async def test_where_the_next_was_not_stored_the_first_is_kept(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        await bench.rotator.rotate(bench.azure, CONTOSO, "new-1", Wish(QUARTER))
        await bench.acts.revoke(bench.azure, CONTOSO, "new-1")
        bench.time.now += timedelta(hours=25)
        await bench.finish()
        assert "old" in bench.azure.alive()

    @pytest.mark.parametrize("decides", ["keeps it", "revokes the new one"])
    async def test_who_decides_otherwise_as_it_is_revoked_is_heard(
        self, bench: Bench, decides: str
    ) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        bench.time.now += timedelta(hours=25)

        @dataclass
        class Meanwhile(Admin):
            async def tokens(self, organization: Organization, of: str) -> TokenReading:
                seen = await super().tokens(organization, of)
                if decides == "keeps it":
                    await bench.rotator.keep_longer(bench.azure, CONTOSO, "old")
                else:
                    await bench.acts.revoke(bench.azure, CONTOSO, "new-1")
                return seen

        assert await bench.finish(Meanwhile(bench.azure)) == Finished(troubled=1)
        assert "old" in bench.azure.alive()
        await bench.finish()
        assert "old" in bench.azure.alive()

    async def test_once_it_is_being_revoked_it_is_too_late_to_keep_it(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        bench.time.now += timedelta(hours=25)

        def cut(name: str) -> None:
            if name == "admin revoke old":
                raise Unavailable("Cut.")

        bench.azure.after = cut
        assert await bench.finish() == Finished(troubled=1)
        with pytest.raises(ActionRefused, match="too late"):
            await bench.rotator.keep_longer(bench.azure, CONTOSO, "old")
        assert (await bench.rotation()).trouble == "Cut."
        # Nobody says any more that the old one is kept.
        await bench.acts.revoke(bench.azure, CONTOSO, "new-1")
        assert (await bench.rotation()).state is RotationState.SUPERSEDED

    async def test_what_was_refused_may_still_be_kept(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        bench.time.now += timedelta(hours=25)

        def forbid(name: str) -> None:
            if name == "admin revoke old":
                raise NotPermitted("Not permitted.")

        bench.azure.before = forbid
        assert await bench.finish() == Finished(troubled=1)
        kept = await bench.rotator.keep_longer(bench.azure, CONTOSO, "old")
        assert kept.revoke_at
        assert kept.revoke_at > bench.time.now

    async def test_an_organization_that_is_not_in_the_settings_waits_for_its_return(
        self, bench: Bench
    ) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        bench.time.now += timedelta(hours=25)
        away = Finisher(bench.book, Admin(bench.azure), {}, bench.vault)
        assert await away.finish() == Finished(waiting=1)
        await bench.finish()
        assert bench.azure.alive() == {"new-1"}

    async def test_a_hint_that_is_followed_too_early_is_not_lost(self, bench: Bench) -> None:
        class Slow:
            """Lets the finisher look before each write of the owner's rows."""

            def __getattr__(self, name: str) -> object:
                return getattr(bench.store, name)

            async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
                if table == OWNERS:
                    await bench.finish()
                return await bench.store.write(table, changes)

        book = Book(cast("Store", Slow()), bench.time.clock)
        await Rotator(book).rotate(bench.azure, CONTOSO, "old", Wish(QUARTER))
        assert await bench.hints() == 1

    async def test_a_revoked_one_in_the_vault_stands_in_nobodys_way(self, bench: Bench) -> None:
        await bench.rotate(to_vault=True)
        new = await bench.azure.my_token(CONTOSO, "new-1")
        await bench.acts.revoke(bench.azure, CONTOSO, "new-1")
        # To its owner the lifecycle API shows it as any other.
        bench.azure.owns(new)
        bench.time.now += timedelta(minutes=1)
        await bench.rotate(to_vault=True)
        assert (await bench.rotation()).new_id == "new-2"

    async def test_a_token_that_was_made_by_hand_meanwhile_is_left_alone(
        self, bench: Bench
    ) -> None:
        def cut(name: str) -> None:
            if name.startswith("create"):
                raise Unavailable("Cut.")

        bench.azure.before = cut
        with pytest.raises(Unavailable):
            await bench.rotate()
        bench.azure.owns(
            replace(
                OLD,
                authorization_id="by-hand",
                valid_to=bench.time.now + QUARTER + timedelta(seconds=2),
            )
        )
        bench.time.now += timedelta(minutes=16)
        await bench.finish()
        assert bench.azure.alive() == {"old", "by-hand"}
        assert (await bench.rotation()).state is RotationState.GIVEN_UP


class TestActs:
    async def test_extending_starts_the_token_anew(self, bench: Bench) -> None:
        await bench.acts.let_expire(bench.azure, CONTOSO, "old")
        changed = await bench.acts.extend(bench.azure, CONTOSO, "old", QUARTER)
        assert changed.valid_to == bench.time.now + QUARTER
        record = (await bench.account()).tokens["old"]
        assert record.token == changed
        assert not record.standing.lets_expire
        assert await bench.told() == [Deed.EXTENDED]

    async def test_a_shorter_time_is_no_extension(self, bench: Bench) -> None:
        with pytest.raises(ActionRefused, match="already"):
            await bench.acts.extend(bench.azure, CONTOSO, "old", timedelta(days=5))

    async def test_a_global_token_is_not_narrowed_by_extending_it(self, bench: Bench) -> None:
        bench.azure.owns(replace(OLD, is_global=True))
        with pytest.raises(ActionRefused, match="stop working on Tue 1 Dec 2026") as refused:
            await bench.acts.extend(bench.azure, CONTOSO, "old", QUARTER)
        assert "Rotate" in refused.value.remedy
        assert bench.azure.log == []

    async def test_no_old_token_is_said_to_live_past_the_end_of_global_ones(
        self, bench: Bench
    ) -> None:
        bench.azure.owns(replace(OLD, is_global=True))
        await bench.rotate(to_vault=True)
        kept = await bench.rotator.keep_longer(bench.azure, CONTOSO, "old")
        assert kept.revoke_at == bench.time.now + timedelta(days=7)
        bench.time.now += timedelta(days=5)
        kept = await bench.rotator.keep_longer(bench.azure, CONTOSO, "old")
        assert kept.revoke_at == GLOBAL_PATS_END

    async def test_revoking_is_told(self, bench: Bench) -> None:
        await bench.acts.revoke(bench.azure, CONTOSO, "old")
        assert bench.azure.alive() == set()
        assert await bench.told() == [Deed.REVOKED]

    async def test_revoking_the_old_one_ends_its_rotation(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        await bench.acts.revoke(bench.azure, CONTOSO, "old")
        assert (await bench.rotation()).state is RotationState.DONE
        assert bench.azure.alive() == {"new-1"}

    async def test_revoking_the_new_one_keeps_the_old_one(self, bench: Bench) -> None:
        await bench.rotate()
        await bench.rotator.confirm(bench.azure, CONTOSO, "old")
        await bench.acts.revoke(bench.azure, CONTOSO, "new-1")
        bench.time.now += timedelta(hours=25)
        await bench.finish()
        assert bench.azure.alive() == {"old"}

    @pytest.mark.parametrize(("days", "until"), [(1, 1), (3, 3), (7, 7), (30, 9)])
    async def test_a_snooze_ends_before_the_last_window(
        self, bench: Bench, days: int, until: int
    ) -> None:
        standing = await bench.acts.snooze(bench.azure, CONTOSO, "old", days)
        assert standing.snoozed_until == bench.time.now + timedelta(days=until)

    async def test_in_the_last_window_nothing_is_put_off(self, bench: Bench) -> None:
        bench.time.now += timedelta(days=9, hours=1)
        with pytest.raises(ActionRefused, match="about to expire"):
            await bench.acts.snooze(bench.azure, CONTOSO, "old", 1)

    async def test_who_changes_their_mind_is_reminded_again(self, bench: Bench) -> None:
        await bench.acts.let_expire(bench.azure, CONTOSO, "old")
        await bench.acts.remind(bench.azure, CONTOSO, "old")
        assert not (await bench.account()).tokens["old"].standing.lets_expire


class TestCrash:
    @pytest.mark.parametrize("to_vault", [False, True], ids=["shown", "vault"])
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("step", range(3))
    async def test_a_crash_at_any_act_strands_nobody(
        self, bench: Bench, to_vault: bool, when: str, step: int
    ) -> None:
        acts = 0

        def die(_: str) -> None:
            nonlocal acts
            acts += 1
            if acts == step + 1:
                raise Died

        setattr(bench.azure, when, die)
        with suppress(Died):
            await bench.rotate(to_vault=to_vault)
        bench.azure.before = bench.azure.after = lambda _: None
        await self.settled(bench)

    @pytest.mark.parametrize("to_vault", [False, True], ids=["shown", "vault"])
    @pytest.mark.parametrize("write", range(10))
    async def test_a_crash_at_any_write_strands_nobody(
        self, bench: Bench, to_vault: bool, write: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original, writes = bench.store.write, 0

        async def dying(table: str, changes: object) -> list[str]:
            nonlocal writes
            writes += 1
            if writes == write + 1:
                raise Died
            return await original(table, changes)  # type: ignore[arg-type] # passed on

        monkeypatch.setattr(bench.store, "write", dying)
        with suppress(Died):
            await bench.rotate(to_vault=to_vault)
        monkeypatch.undo()
        await self.settled(bench)

    async def settled(self, bench: Bench) -> None:
        """Whatever happened: after a while nobody's token is lost, and none is left over."""
        for _ in range(6):
            bench.time.now += timedelta(minutes=16)
            assert (await bench.finish()).troubled == 0
        account = await bench.account()
        rotation = account.rotations.get("old")
        in_vault = {
            kept.authorization_id for all_ in bench.vault.secrets.values() for kept, _ in all_
        }
        new = bench.azure.alive() - {"old"}
        assert "old" in bench.azure.alive()
        if rotation is None or rotation.state is RotationState.GIVEN_UP:
            assert new == set()
        else:
            assert len(new) == 1
            assert rotation.state in (RotationState.HANDED_OVER, RotationState.SUPERSEDED)
            assert rotation.state is RotationState.HANDED_OVER or new <= in_vault
        bench.time.now += timedelta(days=2)
        await bench.finish()
        if rotation is None or rotation.state is not RotationState.SUPERSEDED:
            assert "old" in bench.azure.alive()
        again = await bench.rotate()
        assert again.secret or again.rotation.blocks_new_rotation
