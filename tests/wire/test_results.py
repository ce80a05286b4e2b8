"""What an owner's calls bring, beside the sample that shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pat_core.azure_devops.results import (
    check,
    read_acceptance,
    read_caller,
    read_issued,
    read_token,
)
from pat_core.azure_devops.wire import Reply
from pat_core.errors import BrokenReply, TokenNotFound, TokenRefused
from pat_core.model import Organization

CONTOSO = Organization("contoso")
ID = "4ab5764f-4193-4f1d-b995-64144880b7d7"
# As Microsoft's lifecycle examples have it: seven digits of a second, or two.
SAMPLE = {
    "displayName": "new_token",
    "validTo": "2020-12-01T23:46:23.32Z",
    "scope": "app_token",
    "targetAccounts": ["38aaa865-2c70-4bf7-a308-0c6539c38c1a"],
    "validFrom": "2020-11-02T22:56:52.1033333Z",
    "authorizationId": ID,
    "token": "invented-by-us",
}


def said(body: object) -> Reply:
    return Reply(200, {}, json.dumps(body).encode())


def refused(code: object, message: str | None = None) -> Reply:
    return said({"patToken": None, "patTokenError": code, "patTokenErrorMessage": message})


class TestReadIssued:
    def test_the_sample_is_read_with_its_secret(self) -> None:
        issued = read_issued(said({"patToken": SAMPLE, "patTokenError": "none"}))
        assert issued.token.authorization_id == ID
        assert issued.token.valid_from == datetime(2020, 11, 2, 22, 56, 52, 103333, UTC)
        assert issued.secret.get_secret_value() == "invented-by-us"
        assert "invented" not in repr(issued)

    @pytest.mark.parametrize("error", [None, "", "none"])
    def test_no_error_is_told_in_three_ways(self, error: str | None) -> None:
        assert read_issued(said({"patToken": SAMPLE, "patTokenError": error})).token.scope

    def test_an_error_wins_over_what_else_is_there(self) -> None:
        empty = {"authorizationId": "00000000-0000-0000-0000-000000000000", "validTo": None}
        with pytest.raises(TokenRefused):
            read_issued(said({"patToken": empty, "patTokenError": "invalidScope"}))


class TestReadToken:
    def test_a_secret_is_not_looked_for(self) -> None:
        assert read_token(said({"patToken": SAMPLE | {"token": None}})).display_name == "new_token"

    def test_neither_an_error_nor_a_token_is_broken(self) -> None:
        with pytest.raises(BrokenReply, match="patToken is missing"):
            read_token(said({"patTokenError": "none"}))


class TestCheck:
    @pytest.mark.parametrize(
        "code",
        [
            "tokenNotFound",
            "authorizationNotFound",
            "hostAuthorizationNotFound",
            "invalidAuthorizationId",
        ],
    )
    def test_a_token_may_be_missed_in_four_ways(self, code: str) -> None:
        with pytest.raises(TokenNotFound):
            check(refused(code))

    def test_what_the_service_says_stands_beside_our_words(self) -> None:
        with pytest.raises(TokenRefused) as caught:
            check(refused("patLifespanPolicyViolation", "30 days at most."))
        assert str(caught.value) == (
            "The token would live longer than a policy of your company allows "
            "(30 days at most). Choose an earlier end."
        )

    def test_an_unknown_code_is_shown_with_the_services_own_message(self) -> None:
        with pytest.raises(TokenRefused, match="refused with moonPhase") as caught:
            check(refused("moonPhase", "wait\r\nfor\x1b[31m the\u202e moon" + "!" * 999))
        assert "(wait for [31m the moon!!" in caught.value.cause
        assert len(caught.value.cause) < 300
        assert caught.value.cause.isprintable()
        assert (caught.value.code, bool(caught.value.remedy)) == ("moonPhase", True)

    def test_a_code_is_shown_on_one_line_and_bounded(self) -> None:
        with pytest.raises(TokenRefused) as caught:
            check(refused("a\nb" * 999))
        assert len(caught.value.cause) < 300
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("code", [7, ["none"], {}])
    def test_a_code_that_is_none_is_broken(self, code: object) -> None:
        with pytest.raises(BrokenReply, match="patTokenError"):
            check(refused(code))


class TestReadCaller:
    def test_a_user_without_a_name_or_an_address_is_one(self) -> None:
        owner = read_caller(CONTOSO, said({"authenticatedUser": {"subjectDescriptor": "aad.x"}}))
        assert owner
        assert (owner.display_name, owner.address) == ("", "")

    @pytest.mark.parametrize("body", [[], {"authenticatedUser": "ana"}])
    def test_what_is_no_connection_data_is_broken(self, body: object) -> None:
        with pytest.raises(BrokenReply):
            read_caller(CONTOSO, said(body))


class TestReadAcceptance:
    @pytest.mark.parametrize(
        ("user", "verdict"),
        [
            ({"id": ID}, True),
            ({"id": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"}, False),
            ({"id": ID, "descriptor": "System:PublicAccess;x"}, False),
            ({}, None),
            (None, None),
        ],
    )
    def test_it_is_told_by_who_is_signed_in(self, user: object, verdict: bool | None) -> None:
        assert read_acceptance(said({"authenticatedUser": user})) is verdict
