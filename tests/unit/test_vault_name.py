from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pat_core.vault_name import LONGEST, secret_name
from tests.builders import HOSTILE_NAMES

ANY_TEXT = st.text(st.characters(codec=None))


def middle(organization: str, display_name: str) -> str:
    return secret_name(organization, display_name, "line").rpartition("-")[0]


class TestSecretName:
    @pytest.mark.parametrize(
        ("display_name", "slug"),
        [
            ("CI build", "ci-build"),
            ("Déploiement été", "deploiement-ete"),
            ("a -- b__c", "a-b-c"),
            ("--x--", "x"),
            ("構築", "token"),
            ("", "token"),
            ("\U0001f600", "token"),
        ],
    )
    def test_people_find_it_by_the_tokens_name(self, display_name: str, slug: str) -> None:
        assert middle("contoso", display_name) == f"pat-contoso-{slug}"

    @given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
    def test_key_vault_takes_it_whatever_it_is_made_from(
        self, organization: str, display_name: str, line: str
    ) -> None:
        name = secret_name(organization, display_name, line)
        assert re.fullmatch(r"pat(-[0-9a-z]+){3,}", name)
        assert len(name) <= LONGEST

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_a_hostile_name_leaves_only_its_letters(self, name: str) -> None:
        assert re.fullmatch(r"pat-contoso(-[0-9a-z]+)+", middle("contoso", name))

    def test_where_all_is_long_each_part_is_cut_and_the_mark_stays_whole(self) -> None:
        name = secret_name("o" * 300, "n" * 300, "line")
        assert len(name) == LONGEST
        assert re.fullmatch(r"pat-o{50}-n{65}-[0-9a-z]{6}", name)

    def test_it_never_changes(self) -> None:
        assert secret_name("contoso", "CI", "aad.ana|CI|vso.code") == "pat-contoso-ci-g6pug6"

    def test_another_line_or_organization_has_another_name(self) -> None:
        lines = [("contoso", "a"), ("contoso", "b"), ("fabrikam", "a")]
        marks = {secret_name(organization, "CI", line)[-6:] for organization, line in lines}
        assert len(marks) == len(lines)
