from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pat_core.expiry import GLOBAL_PATS_END
from pat_core.renewals import Due, due, living
from tests.builders import a_token
from tests.fakes import NOW

WEEK = timedelta(days=7)
A, B = (replace(a_token(name, 3), display_name="ci") for name in ("a", "b"))
NEW = replace(a_token("new", 90), display_name="ci", valid_from=NOW)


def test_what_expires_within_the_time_is_due_the_soonest_first() -> None:
    tokens = [a_token("late", 8), a_token("seventh", 7), a_token("first", 1)]
    assert [each.token.authorization_id for each in due(tokens, NOW, WEEK)] == ["first", "seventh"]


def test_the_dead_are_not_due() -> None:
    revoked = replace(a_token("revoked", 3), is_valid=False)
    assert due([revoked, a_token("expired", -1)], NOW, WEEK) == []
    assert living([revoked, a_token("expired", -1)], NOW) == []


def test_a_global_token_is_due_before_it_stops() -> None:
    token = replace(a_token("wide", 300), is_global=True)
    (found,) = due([token], GLOBAL_PATS_END - timedelta(days=6), WEEK)
    assert found == Due(token)


def test_a_newer_one_of_the_same_name_and_scope_stands_in() -> None:
    assert due([A, NEW], NOW, WEEK) == [Due(A, NEW)]


def test_one_newer_token_stands_in_for_one_only() -> None:
    assert due([A, B, NEW], NOW, WEEK) == [Due(A, NEW), Due(B)]


def test_another_name_or_scope_or_an_older_token_stands_in_for_nothing() -> None:
    others = [
        replace(NEW, display_name="other"),
        replace(NEW, scope="vso.build"),
        replace(NEW, valid_from=A.valid_from - timedelta(days=1)),
    ]
    assert due([A, *others], NOW, WEEK) == [Due(A)]
