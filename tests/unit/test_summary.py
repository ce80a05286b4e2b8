from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from pat_core.channels.render import Renderer
from pat_core.coverage import Coverage
from pat_core.delivered import Delivered
from pat_core.errors import NotPermitted
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.model import EXPIRED
from pat_core.run_records import RunReport
from pat_core.summary import OrganizationSummary, Summary
from tests.fakes import NOW

SEEN = Coverage(
    users=200,
    gone=5,
    tokens=374,
    no_address=4,
    full_access=27,
    global_tokens=2,
    windows=Counter({30: 38, 1: 3, EXPIRED: 19}),
    notices=Counter({30: 21}),
)
RUN = RunReport(
    "contoso",
    "run",
    NOW - timedelta(hours=2),
    SEEN,
    users=200,
    listed=True,
    batches=2,
    done=2,
    ended_at=NOW - timedelta(hours=1),
)


def summary(run: RunReport | None = RUN, **others: object) -> Summary:
    known = OrganizationSummary("contoso", run, run.ended_at if run and run.complete else None)
    made = Summary(NOW, DEFAULT_WINDOWS_DAYS, [known])
    return replace(made, **others)  # type: ignore[arg-type] # by name


class TestTroubles:
    def test_a_complete_run_has_none(self) -> None:
        assert summary().troubles == ()
        assert summary().subject == "[PAT Warden] Complete: 200 users scanned"

    @pytest.mark.parametrize(
        ("run", "says"),
        [
            (None, "contoso was never scanned."),
            (replace(RUN, started_at=NOW - timedelta(hours=49)), "no scan since 2 days ago."),
            (replace(RUN, listed=False), "the users are not all listed."),
            (replace(RUN, done=1), "1 of 2 batches are not scanned."),
            (replace(RUN, coverage=replace(SEEN, failed=3)), "3 of 200 users could not be read."),
            (
                replace(RUN, error=NotPermitted("contoso: no.", remedy="Ask.")),
                "the scan was stopped. contoso: no. Ask.",
            ),
        ],
        ids=["never", "old", "not listed", "batches", "failed", "error"],
    )
    def test_what_is_incomplete_is_the_first_line(self, run: RunReport | None, says: str) -> None:
        found = summary(run)
        assert says in found.troubles[0]
        assert found.subject.startswith("[PAT Warden] Incomplete: contoso")
        mail = Renderer().summary(found)
        assert mail.text.splitlines()[0] == found.subject.removeprefix("[PAT Warden] ")
        assert says in mail.text

    def test_what_was_given_up_or_not_sent_is_said(self) -> None:
        found = summary(poisoned=2, unsent=("Ana: Suppressed.",))
        assert found.troubles == (
            "2 messages given up: see the poison queues.",
            "1 owner could not be told.",
        )
        assert "Ana: Suppressed." in Renderer().summary(found).text
        assert "Ana: Suppressed." in Renderer().summary(found).html


class TestMail:
    def test_it_has_every_figure_as_html_and_as_text(self) -> None:
        mail = Renderer().summary(
            summary(
                delivered=Delivered(sent=40, notices=93, failed=1, failures=("a@b: refused.",)),
                waiting=7,
                poison={"pat-users-poison": ["contoso, run x, 100 users"]},
                poisoned=1,
            )
        )
        for text in (mail.html, mail.text):
            for figure in ("200", "374", "38", "27", "19", "21", "1 hour ago"):
                assert figure in text
            assert "40 mails with 93 notices sent, 1 could not be sent." in text
            assert "7 owners still to be told." in text
            assert "a@b: refused." in text
            assert "pat-users-poison: contoso, run x, 100 users" in text

    def test_a_hostile_fault_stays_text(self) -> None:
        hostile = replace(SEEN, failed=1, faults=("contoso: <script>alert(1)</script>",))
        mail = Renderer().summary(summary(replace(RUN, coverage=hostile)))
        assert "<script>" not in mail.html
        assert "&lt;script&gt;" in mail.html
