from __future__ import annotations

import pytest

from pat_core.local.cast import TOKENS
from pat_core.scopes import in_words


class TestInWords:
    @pytest.mark.parametrize(
        ("scope", "words"),
        [
            ("app_token", "full access"),
            ("vso.code app_token", "full access"),
            ("vso.code", "read code"),
            ("vso.code_write vso.packaging", "read and write code, read packages"),
            ("vso.code_status", "read and write the status of code"),
            ("vso.build_execute", "read and run builds"),
            ("vso.variablegroups_read", "read variable groups"),
            ("vso.tokenadministration", "read everyone's tokens"),
            ("vso.memberentitlementmanagement_write", "read and write member entitlements"),
            ("vso.extension.data_write", "read and write extension data"),
            ("vso.tomorrow_brew", "vso.tomorrow_brew"),
            ("vso.code vso.code", "read code"),
            ("", "nothing that Azure DevOps names"),
        ],
    )
    def test_a_scope_is_said_in_words(self, scope: str, words: str) -> None:
        assert in_words(scope) == words

    def test_of_many_the_last_are_counted(self) -> None:
        scope = " ".join(f"vso.x{number}" for number in range(20))
        assert in_words(scope) == "vso.x0, vso.x1, vso.x2, vso.x3, vso.x4, and 15 more"

    def test_every_scope_of_the_embedded_world_is_known(self) -> None:
        assert not [scope for _, scope in TOKENS if "vso." in in_words(scope)]
