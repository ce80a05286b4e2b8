from __future__ import annotations

import errno
import json
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from pydantic import SecretStr

from pat_core.channels.render import Renderer
from pat_core.digest import compose, operation_id
from pat_core.errors import ChannelError
from pat_core.local.outbox import OutboxChannel, read_stored, stored_names
from pat_core.routes import webhook_recipient
from tests.builders import ANA, BO, HOSTILE_NAMES, a_notice
from tests.fakes import NOW, FakeTime
from tests.unit.test_summary import summary

pytestmark = pytest.mark.anyio
DIGEST = compose([a_notice("ci", 0.9), a_notice("dead", -1)], ANA.address)


@pytest.fixture
def outbox(tmp_path: Path, time: FakeTime) -> OutboxChannel:
    return OutboxChannel(tmp_path / "outbox", Renderer(), time.clock)


class TestSend:
    async def test_a_mail_and_what_it_is_about_are_left(
        self, outbox: OutboxChannel, tmp_path: Path
    ) -> None:
        await outbox.send(DIGEST, operation_id="op", claimed_at=NOW)
        names = sorted(path.name for path in (tmp_path / "outbox").iterdir())
        assert [name.split("-")[0] for name in names] == ["20261123T080000.000000Z"] * 2
        assert [name.rsplit(".", 1)[1] for name in names] == ["eml", "json"]
        about = json.loads((tmp_path / "outbox" / names[1]).read_text())
        assert about["recipient"] == ANA.address
        assert about["operation_id"] == "op"
        assert [(each["display_name"], each["window"]) for each in about["notices"]] == [
            ("dead", "expired"),
            ("ci", 1),
        ]

    async def test_the_mail_is_one_that_a_mail_program_reads(
        self, outbox: OutboxChannel, tmp_path: Path
    ) -> None:
        await outbox.send(DIGEST, operation_id="op", claimed_at=NOW)
        (path,) = (tmp_path / "outbox").glob("*.eml")
        message = message_from_bytes(path.read_bytes(), policy=default)
        assert message["To"] == ANA.address
        assert message["Subject"] == "[Azure DevOps] 1 token has expired, 1 expires within 1 day"
        assert [part.get_content_type() for part in message.iter_parts()] == [
            "text/plain",
            "text/html",
        ]

    async def test_the_same_again_is_the_same_file(
        self, outbox: OutboxChannel, tmp_path: Path, time: FakeTime
    ) -> None:
        await outbox.send(DIGEST, operation_id="op", claimed_at=NOW)
        time.now += timedelta(minutes=5)
        await outbox.send(DIGEST, operation_id="op", claimed_at=NOW)
        assert len(stored_names(tmp_path / "outbox")) == 1

    async def test_two_recipients_of_one_moment_have_two_files(
        self, outbox: OutboxChannel, tmp_path: Path
    ) -> None:
        other = compose([a_notice(owner=BO)], BO.address)
        for digest in (DIGEST, other):
            await outbox.send(digest, operation_id=operation_id(digest), claimed_at=NOW)
        assert len(stored_names(tmp_path / "outbox")) == 2

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    async def test_a_hostile_name_makes_no_header(
        self, outbox: OutboxChannel, tmp_path: Path, name: str
    ) -> None:
        await outbox.send(compose([a_notice(name)], ANA.address), operation_id="op", claimed_at=NOW)
        (path,) = (tmp_path / "outbox").glob("*.eml")
        message = message_from_bytes(path.read_bytes(), policy=default)
        assert message["Bcc"] is None
        assert message["To"] == ANA.address

    async def test_a_folder_that_cannot_be_written_is_named(
        self, tmp_path: Path, time: FakeTime
    ) -> None:
        (tmp_path / "file").write_text("")
        channel = OutboxChannel(tmp_path / "file", Renderer(), time.clock)
        with pytest.raises(ChannelError, match=r"file cannot be written: .*PAT_LOCAL_DIR"):
            await channel.send(DIGEST, operation_id="op", claimed_at=NOW)

    async def test_a_full_disk_leaves_no_half_mail(
        self, outbox: OutboxChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: Path, content: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(ChannelError, match="No space left on device"):
            await outbox.send(DIGEST, operation_id="op", claimed_at=NOW)
        assert list((tmp_path / "outbox").iterdir()) == []


class TestReadStored:
    @pytest.mark.parametrize(
        "name", ["../../etc/passwd", "", ".", "x" * 41, "20261123T080000.000000Z-" + "0" * 16]
    )
    def test_a_name_that_is_none_of_the_outboxs_brings_nothing(
        self, tmp_path: Path, name: str
    ) -> None:
        assert read_stored(tmp_path, name) is None

    def test_an_outbox_that_is_not_there_is_empty(self, tmp_path: Path) -> None:
        assert stored_names(tmp_path / "none") == []


class TestCard:
    RECIPIENT = webhook_recipient(SecretStr("https://contoso.logic.azure.com/s3cret"))

    async def test_a_routes_card_is_left_beside_the_mails(
        self, outbox: OutboxChannel, tmp_path: Path
    ) -> None:
        copies = compose([replace(a_notice("a_b", 5), is_copy=True)], self.RECIPIENT)
        for digest in (DIGEST, copies):
            await outbox.send(digest, operation_id="op", claimed_at=NOW)
        names = stored_names(tmp_path / "outbox")
        found = [read_stored(tmp_path / "outbox", name) for name in names]
        (card,) = (each for each in found if each and each.is_card)
        assert card.recipient == "a Teams channel"
        assert card.subject == '"a_b" expires in 5 days'
        assert card.card["body"][0]["text"] == '"a\\_b" expires in 5 days'

    async def test_a_summary_comes_as_mail_and_card(
        self, outbox: OutboxChannel, tmp_path: Path
    ) -> None:
        await outbox.report(summary())
        found = [
            read_stored(tmp_path / "outbox", each) for each in stored_names(tmp_path / "outbox")
        ]
        assert sorted(each.is_card for each in found if each) == [False, True]
