from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pat_core.errors import SettingsError
from pat_core.expiry import DEFAULT_WINDOWS_DAYS, current_window
from pat_core.local.world import Trait, World, people
from pat_core.local.world_file import load_world
from pat_core.model import EXPIRED
from tests.fakes import NOW

WORLD = World(NOW)


class TestWorld:
    def test_it_follows_from_its_seed(self) -> None:
        assert list(people(WORLD, 0, 50)) == list(people(World(NOW), 0, 50))
        assert list(people(WORLD, 0, 50)) != list(people(World(NOW, seed=2), 0, 50))

    def test_more_people_leave_the_others_as_they_are(self) -> None:
        larger = replace(WORLD, users=100_000)
        assert list(people(larger, 0, 200)) == list(people(WORLD, 0, 1000))
        assert larger.tokens(larger.person(3)) == WORLD.tokens(WORLD.person(3))

    def test_a_person_is_found_by_descriptor(self) -> None:
        assert all(WORLD.find(each.descriptor) == each for each in people(WORLD, 0, 200))

    @pytest.mark.parametrize("descriptor", ["", "aad.", "aad.YWZk", "aad.\xe4", "vssgp.x" * 50])
    def test_an_unknown_descriptor_finds_nobody(self, descriptor: str) -> None:
        assert WORLD.find(descriptor) is None

    def test_who_has_not_joined_yet_is_not_found(self) -> None:
        later = replace(WORLD, users=1000).person(500)
        assert WORLD.find(later.descriptor) is None

    def test_ids_are_unique(self) -> None:
        ids = [t.authorization_id for p in people(WORLD, 0, 200) for t in WORLD.tokens(p)]
        assert len(ids) == len(set(ids))


class TestTheDefaultOrganization:
    def test_it_holds_everyone_a_scan_can_meet(self) -> None:
        assert {person.trait for person in people(WORLD, 0, 200)} == set(Trait)

    def test_there_are_tokens_in_each_window(self) -> None:
        found = Counter(
            current_window(token, NOW, DEFAULT_WINDOWS_DAYS)
            for person in people(WORLD, 0, 200)
            for token in WORLD.tokens(person)
        )
        assert found.keys() == {*DEFAULT_WINDOWS_DAYS, EXPIRED, None}

    def test_there_are_tokens_of_each_kind(self) -> None:
        tokens = [t for person in people(WORLD, 0, 200) for t in WORLD.tokens(person)]
        assert any(not token.is_valid for token in tokens)
        assert any(not token.display_name for token in tokens)
        assert any(token.scope == "app_token" for token in tokens)
        assert any(token.valid_to - token.valid_from < timedelta(days=1) for token in tokens)


class TestLoadWorld:
    def test_a_later_run_goes_on_in_the_same_world(self, tmp_path: Path) -> None:
        first = load_world(tmp_path / "w" / "world.json", users=0, now=NOW)
        assert first == WORLD
        again = load_world(tmp_path / "w" / "world.json", users=0, now=NOW + timedelta(days=9))
        assert again == first

    def test_people_join_when_more_are_asked_for(self, tmp_path: Path) -> None:
        load_world(tmp_path / "world.json", users=10, now=NOW)
        assert load_world(tmp_path / "world.json", users=500, now=NOW).users == 500
        assert load_world(tmp_path / "world.json", users=0, now=NOW).users == 500

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1}'])
    def test_a_file_that_holds_no_world_is_named(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "world.json").write_text(text)
        with pytest.raises(SettingsError, match=r"world\.json holds no embedded world.*Delete"):
            load_world(tmp_path / "world.json", users=0, now=NOW)

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SettingsError, match=r"PAT_LOCAL_DIR|Delete the file"):
            load_world(tmp_path / "file" / "world.json", users=0, now=NOW)


class TestNames:
    def test_everyone_is_found_by_the_name_they_sign_in_with(self) -> None:
        world = World(NOW, users=130)
        for person in people(world, 0, 130):
            found = world.named(person.principal_name.upper())
            # Two of the first may share a name, as in life.
            assert found is not None
            assert found.principal_name == person.principal_name

    @pytest.mark.parametrize("name", ["", "nobody@contoso.example", "nobody.9@x", "x.999999999@x"])
    def test_nobody_else_is(self, name: str) -> None:
        assert World(NOW).named(name) is None
