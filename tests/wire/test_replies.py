"""Every quirk of the replies, beside the sample that shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from pat_core.azure_devops.replies import (
    read_membership,
    read_my_tokens,
    read_tokens,
    read_users,
)
from pat_core.azure_devops.wire import Reply
from pat_core.errors import BrokenReply
from pat_core.model import Organization

CONTOSO = Organization("contoso")
ID = "952858d3-7084-4635-964e-3c2a57645185"
# As Microsoft's tokenadmin example has it: no zone, no name, no targets, born when it ended.
SAMPLE = {
    "clientId": "00000000-0000-0000-0000-000000000000",
    "authorizationId": ID,
    "validFrom": "2018-07-19T00:00:00",
    "validTo": "2018-07-19T00:00:00",
    "displayName": None,
    "scope": "app_token",
    "targetAccounts": None,
    "token": None,
    "isValid": True,
    "isPublic": False,
    "source": None,
}


def said(body: object, **headers: str) -> Reply:
    return Reply(200, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def tokens(*items: object, **envelope: object) -> Reply:
    return said({"value": list(items), **envelope})


class TestReadTokens:
    def test_a_time_without_zone_is_utc(self) -> None:
        (token,) = read_tokens(tokens(SAMPLE))[0].tokens
        assert token.valid_to == datetime(2018, 7, 19, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("2020-11-23T04:04:38.5233333Z", datetime(2020, 11, 23, 4, 4, 38, 523333, UTC)),
            ("2020-11-23T04:04:38.52Z", datetime(2020, 11, 23, 4, 4, 38, 520000, UTC)),
            ("2020-11-23T04:04:38.52-07:00", datetime(2020, 11, 23, 11, 4, 38, 520000, UTC)),
            ("9999-12-31T23:59:59.9999999", datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
            ("1601-01-01T00:00:00", datetime(1601, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_times_come_with_any_fraction_and_zone(self, written: str, read: datetime) -> None:
        (token,) = read_tokens(tokens(SAMPLE | {"validTo": written}))[0].tokens
        assert token.valid_to == read

    def test_a_time_that_leaves_the_calendar_in_utc_fails_the_token(self) -> None:
        broken = SAMPLE | {"validTo": "9999-12-31T23:59:59-07:00"}
        assert read_tokens(tokens(broken))[0].faults[0].startswith("token 1: validTo")

    @pytest.mark.parametrize("written", ["0001-01-01T00:00:00", "1600-12-31T23:59:59Z"])
    def test_a_time_that_the_ledger_refuses_is_no_beginning_and_fails_as_an_end(
        self, written: str
    ) -> None:
        (token,) = read_tokens(tokens(SAMPLE | {"validFrom": written}))[0].tokens
        assert token.valid_from == token.valid_to
        (mine,) = read_my_tokens(said({"patTokens": [SAMPLE | {"validFrom": written}]}))[0].tokens
        assert mine.valid_from == mine.valid_to
        reading, _ = read_tokens(tokens(SAMPLE | {"validTo": written}, SAMPLE))
        assert reading.faults == ("token 1: validTo: Value error, the time is before 1601",)
        assert len(reading.tokens) == 1

    def test_a_null_name_is_empty_and_a_null_target_is_not_global(self) -> None:
        (token,) = read_tokens(tokens(SAMPLE))[0].tokens
        assert token.display_name == ""
        assert not token.is_global

    def test_a_null_target_is_global_where_the_setting_says_so(self) -> None:
        (token,) = read_tokens(tokens(SAMPLE), null_means_global=True)[0].tokens
        assert token.is_global

    def test_a_revoked_token_is_read_as_such(self) -> None:
        (token,) = read_tokens(tokens(SAMPLE | {"isValid": False}))[0].tokens
        assert not token.is_valid

    def test_an_ssh_key_is_no_token(self) -> None:
        assert read_tokens(tokens(SAMPLE | {"isPublic": True}))[0].tokens == ()

    @pytest.mark.parametrize(
        "end",
        [
            {},
            {"continuationToken": None},
            {"continuationToken": ""},
            {"continuationToken": "00000000-0000-0000-0000-000000000000"},
        ],
    )
    def test_the_pages_end(self, end: dict[str, object]) -> None:
        assert read_tokens(tokens(SAMPLE, **end))[1] == ""

    def test_a_continuation_token_asks_for_more(self) -> None:
        assert read_tokens(tokens(SAMPLE, continuationToken=ID))[1] == ID

    def test_unknown_fields_are_ignored(self) -> None:
        assert read_tokens(tokens(SAMPLE | {"lastUsed": {"at": 1}}))[0].faults == ()

    def test_a_missing_field_fails_that_token_by_name_and_keeps_the_others(self) -> None:
        broken = {name: value for name, value in SAMPLE.items() if name != "validTo"}
        reading, after = read_tokens(tokens(broken, SAMPLE, continuationToken=ID))
        assert reading.faults == ("token 1: validTo is missing",)
        assert len(reading.tokens) == 1
        assert after == ID

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"value": 1}', b"{}", b'{"value": [1'])
    def test_what_is_no_page_of_tokens_is_broken(self, body: bytes) -> None:
        with pytest.raises(BrokenReply, match="cannot be read"):
            read_tokens(said(body))

    def test_a_fault_never_repeats_what_the_reply_held(self) -> None:
        reading, _ = read_tokens(tokens(SAMPLE | {"validTo": "s3cret", "token": "s3cret"}))
        assert "s3cret" not in "".join(reading.faults)


class TestReadMyTokens:
    def test_a_null_target_is_a_global_pat(self) -> None:
        one = SAMPLE | {"targetAccounts": [ID]}
        reading, after = read_my_tokens(said({"patTokens": [SAMPLE, one], "continuationToken": ""}))
        assert [token.is_global for token in reading.tokens] == [True, False]
        assert after == ""


class TestReadUsers:
    USER: ClassVar = {
        "descriptor": "aad.YWZk",
        "subjectKind": "user",
        "displayName": "Ana Silva",
        "mailAddress": "Ana@Contoso.example",
        "principalName": "ana@contoso.example",
    }

    def owners(self, *users: object) -> list[tuple[str, str]]:
        page = read_users(CONTOSO, tokens(*users))
        return [(owner.subject_descriptor, owner.address) for owner in page.owners]

    def test_the_next_page_is_named_in_a_header(self) -> None:
        reply = Reply(200, {"x-ms-continuationtoken": "a+b=="}, tokens(self.USER).body)
        assert read_users(CONTOSO, reply).continuation_token == "a+b=="

    def test_the_address_is_the_mail_address_in_lower_case(self) -> None:
        assert self.owners(self.USER) == [("aad.YWZk", "ana@contoso.example")]

    @pytest.mark.parametrize(
        ("principal", "address"),
        [
            ("ana@contoso.example", "ana@contoso.example"),
            ("CONTOSO\\ana", ""),
            ("ana_fabrikam.example#EXT#@contoso.example", ""),
            (None, ""),
        ],
    )
    def test_without_mail_address_the_principal_name_may_serve(
        self, principal: str | None, address: str
    ) -> None:
        user = self.USER | {"mailAddress": "", "principalName": principal}
        assert self.owners(user) == [("aad.YWZk", address)]

    @pytest.mark.parametrize(
        "other",
        [{"descriptor": "svc.x"}, {"descriptor": "aadsp.x"}, {"subjectKind": "group"}],
    )
    def test_only_users_own_tokens(self, other: dict[str, str]) -> None:
        assert self.owners(self.USER | other) == []

    def test_an_unreadable_user_is_counted_and_the_others_stay(self) -> None:
        page = read_users(CONTOSO, tokens({"displayName": "x"}, self.USER))
        assert page.faults == ("user 1: descriptor is missing",)
        assert len(page.owners) == 1


class TestReadMembership:
    def test_a_disabled_member_is_not_active(self) -> None:
        assert read_membership(said({"active": False})) is False

    def test_a_missing_state_is_broken(self) -> None:
        with pytest.raises(BrokenReply, match="active is missing"):
            read_membership(said({}))
