"""What a token's page says was just done, and what it offers, is true of the token as it stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pat_core.model import Standing
from pat_core.rotations import RotationState
from pat_core.web.confirmations import confirmation
from tests.builders import a_token
from tests.fakes import NOW
from tests.samples import a_rotation, a_token_page, a_view, in_state, kept_for

DAY = timedelta(days=1)
KEEP = "Keep it until"


class TestConfirmation:
    def test_what_was_stored_ends_the_old_one_later_or_has_ended_it(self) -> None:
        later = a_view(rotation=a_rotation(RotationState.SUPERSEDED))
        assert confirmation("stored", later, NOW).startswith("Good. The old token lives until ")
        at_once = a_view(rotation=a_rotation(RotationState.DONE))
        assert confirmation("stored", at_once, NOW) == "Good. The old token no longer works."

    def test_it_names_the_time_until_which_the_old_one_is_kept(self) -> None:
        view = a_view(rotation=kept_for(DAY))
        said = confirmation("keep", view, NOW)
        assert said == "The old token lives until Tue 24 Nov 2026, 08:00 UTC."

    def test_a_new_token_that_could_not_be_revoked_is_not_said_to_be(self) -> None:
        open_end = a_rotation(RotationState.GIVEN_UP)
        assert "is being revoked" in confirmation("restart", a_view(rotation=open_end), NOW)
        ended = a_view(rotation=replace(open_end, ended_at=NOW))
        assert "was revoked" in confirmation("restart", ended, NOW)

    @pytest.mark.parametrize("action", ["stored", "keep", "restart", "", "burn"])
    def test_where_nothing_came_of_it_nothing_is_said(self, action: str) -> None:
        assert confirmation(action, a_view(), NOW) == ""
        waiting = a_view(rotation=a_rotation(RotationState.REQUESTED))
        assert confirmation(action, waiting, NOW) == ""

    @pytest.mark.parametrize("action", ["revoke", "let-expire", "snooze"])
    def test_an_address_that_somebody_made_up_is_not_believed(self, action: str) -> None:
        assert confirmation(action, a_view(), NOW) == ""

    def test_what_is_so_is_said(self) -> None:
        view = a_view()
        done = {
            "revoke": replace(view, token=replace(view.token, is_valid=False)),
            "let-expire": replace(view, standing=Standing(lets_expire=True)),
            "snooze": replace(view, standing=Standing(snoozed_until=NOW + DAY)),
            "remind": view,
            "extend": view,
        }
        assert all(confirmation(action, each, NOW) for action, each in done.items())


def test_a_token_whose_end_is_under_way_is_not_said_to_be_kept() -> None:
    origin = a_rotation(RotationState.SUPERSEDED)
    assert a_view(origin=origin).keeps_old
    assert not a_view(origin=replace(origin, is_ending=True)).keeps_old


class TestKeeping:
    @pytest.mark.parametrize(
        ("overlap", "end", "offers"),
        [
            (timedelta(0), 20, True),
            (6 * DAY, 20, True),
            (7 * DAY, 20, False),
            (7 * DAY - timedelta(minutes=59), 20, False),
            (1 * DAY, 5, True),
            (5 * DAY, 5, False),
        ],
    )
    def test_it_is_offered_where_it_adds_an_hour(
        self, overlap: timedelta, end: float, offers: bool
    ) -> None:
        view = a_view(a_token("old", end), rotation=kept_for(overlap))
        assert (KEEP in a_token_page(view)) is offers

    @pytest.mark.parametrize("end", [20, 5])
    def test_it_says_until_when(self, end: float) -> None:
        view = a_view(a_token("old", end), rotation=kept_for(DAY))
        assert view.keeps_until(NOW) == min(NOW + 7 * DAY, view.expires_at)

    def test_once_it_is_being_revoked_it_is_not_offered(self) -> None:
        ending = replace(kept_for(DAY), is_ending=True)
        assert KEEP not in a_token_page(a_view(rotation=ending))

    @pytest.mark.parametrize(
        "state", [each for each in RotationState if each is not RotationState.SUPERSEDED]
    )
    def test_nor_before_the_new_one_is_in_use_or_after(self, state: RotationState) -> None:
        assert KEEP not in in_state(state)


class TestBeforeItIsStored:
    @pytest.mark.parametrize(
        ("overlap", "end", "said"),
        [
            (DAY, 20, "lives on for 24 hours"),
            (7 * DAY, 5, "lives on until its own end"),
            (timedelta(0), 20, "no longer: it is revoked at once"),
        ],
    )
    def test_it_says_how_long_the_old_one_will_live(
        self, overlap: timedelta, end: float, said: str
    ) -> None:
        rotation = replace(a_rotation(RotationState.HANDED_OVER), overlap=overlap)
        assert said in a_token_page(a_view(a_token("old", end), rotation=rotation))
