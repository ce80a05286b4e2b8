"""What is done to tokens is laid over the world, and outlives a restart."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pat_core.errors import SettingsError
from pat_core.local.changes import Changes
from pat_core.local.world import World
from pat_core.model import NewToken
from tests.fakes import NOW, FakeTime

WORLD = World(NOW)
PERSON = WORLD.person(1)
WANTED = NewToken("ci", "vso.code", NOW + timedelta(days=30))


class TestChanges:
    def test_without_any_the_tokens_are_the_worlds(self, time: FakeTime) -> None:
        changes = Changes(WORLD, time.clock)
        for number in range(60):
            person = WORLD.person(number)
            assert changes.tokens(person) == WORLD.tokens(person)

    def test_a_secret_has_84_characters_and_the_mark(self, time: FakeTime) -> None:
        secret = Changes(WORLD, time.clock).create(PERSON, WANTED).secret.get_secret_value()
        assert (len(secret), secret[76:80]) == (84, "AZDO")

    def test_all_that_was_done_outlives_a_restart(self, time: FakeTime, tmp_path: Path) -> None:
        path = tmp_path / "new" / "changes.json"
        changes = Changes(WORLD, time.clock, path)
        first, second, *_ = WORLD.tokens(PERSON)
        issued = changes.create(PERSON, WANTED)
        changes.update(PERSON, replace(first, display_name="renamed"))
        changes.revoke([second.authorization_id.upper()], NOW)
        later = Changes(WORLD, time.clock, path)
        assert later.tokens(PERSON) == changes.tokens(PERSON)
        assert later.token(PERSON, issued.token.authorization_id) == issued.token
        assert later.owner_of(issued.secret.get_secret_value()) == PERSON

    def test_no_secret_is_kept(self, time: FakeTime, tmp_path: Path) -> None:
        path = tmp_path / "changes.json"
        issued = Changes(WORLD, time.clock, path).create(PERSON, WANTED)
        assert issued.secret.get_secret_value() not in path.read_text()

    def test_a_revocation_acts_when_its_time_has_come(self, time: FakeTime) -> None:
        changes = Changes(WORLD, time.clock)
        issued = changes.create(PERSON, WANTED)
        changes.revoke([issued.token.authorization_id], NOW + timedelta(hours=1))
        assert changes.owner_of(issued.secret.get_secret_value()) == PERSON
        time.now += timedelta(hours=1)
        assert changes.owner_of(issued.secret.get_secret_value()) is None
        assert not changes.tokens(PERSON)[-1].is_valid

    def test_a_later_revocation_does_not_put_off_an_earlier_one(self, time: FakeTime) -> None:
        changes = Changes(WORLD, time.clock)
        token = changes.create(PERSON, WANTED).token
        changes.revoke([token.authorization_id], NOW)
        changes.revoke([token.authorization_id], NOW + timedelta(hours=1))
        assert not changes.tokens(PERSON)[-1].is_valid

    def test_an_expired_secret_signs_nobody_in(self, time: FakeTime) -> None:
        changes = Changes(WORLD, time.clock)
        issued = changes.create(PERSON, WANTED)
        time.now = WANTED.valid_to
        assert changes.owner_of(issued.secret.get_secret_value()) is None

    def test_an_update_leaves_the_secret_as_it_was(self, time: FakeTime) -> None:
        changes = Changes(WORLD, time.clock)
        issued = changes.create(PERSON, WANTED)
        changes.update(PERSON, replace(issued.token, display_name="renamed"))
        assert changes.owner_of(issued.secret.get_secret_value()) == PERSON

    def test_what_was_done_in_another_world_is_forgotten(
        self, time: FakeTime, tmp_path: Path
    ) -> None:
        path = tmp_path / "changes.json"
        Changes(WORLD, time.clock, path).create(PERSON, WANTED)
        younger = World(NOW + timedelta(days=1))
        assert Changes(younger, time.clock, path).tokens(PERSON) == younger.tokens(PERSON)

    @pytest.mark.parametrize("text", ["", "[]", json.dumps({"born": "long ago"})])
    def test_a_file_that_holds_something_else_is_named(
        self, time: FakeTime, tmp_path: Path, text: str
    ) -> None:
        path = tmp_path / "changes.json"
        path.write_text(text)
        with pytest.raises(SettingsError, match="Delete the file"):
            Changes(WORLD, time.clock, path)
