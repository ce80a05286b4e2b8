"""How much harm a token can do."""

from __future__ import annotations

import pytest

from pat_core.risk import RISK_WORDS, Risk, risk_of


@pytest.mark.parametrize(
    ("scope", "risk"),
    [
        ("app_token", Risk.FULL_ACCESS),
        ("vso.code app_token", Risk.FULL_ACCESS),
        ("vso.tokens", Risk.RULES),
        ("vso.tokenadministration", Risk.RULES),
        ("vso.pats_manage", Risk.RULES),
        ("vso.pats", Risk.READ),
        ("vso.security_manage vso.code_write", Risk.RULES),
        ("vso.graph_manage", Risk.RULES),
        ("vso.code_write", Risk.SUPPLY),
        ("vso.code_full", Risk.SUPPLY),
        ("vso.build_execute vso.work", Risk.SUPPLY),
        ("vso.packaging_write", Risk.SUPPLY),
        ("vso.serviceendpoint_manage", Risk.SUPPLY),
        ("vso.work_write", Risk.WRITE),
        ("vso.wiki_write vso.code", Risk.WRITE),
        ("vso.code vso.work", Risk.READ),
        ("", Risk.READ),
        ("something new", Risk.READ),
    ],
)
def test_the_gravest_scope_says_it(scope: str, risk: Risk) -> None:
    assert risk_of(scope) is risk


def test_each_has_words() -> None:
    assert list(RISK_WORDS) == list(Risk)
