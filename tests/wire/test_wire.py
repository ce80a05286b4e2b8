from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import urlencode

import pytest

from pat_core.azure_devops import wire
from pat_core.model import Organization
from tests.fakes import NOW

CONTOSO = Organization("contoso")
SERVER = Organization("main", base_url="https://server/collection/", api_version="6.0-preview.1")


class TestRequests:
    def test_users_are_asked_for_by_subject_type(self) -> None:
        assert wire.list_users(CONTOSO).url == (
            "https://vssps.dev.azure.com/contoso/_apis/graph/users"
            "?subjectTypes=aad%2Cmsa&api-version=7.1-preview.1"
        )

    def test_ssh_keys_are_left_out_of_tokens(self) -> None:
        assert wire.list_tokens(CONTOSO, "aad.YWZk").url == (
            "https://vssps.dev.azure.com/contoso/_apis/tokenadmin/personalaccesstokens/aad.YWZk"
            "?isPublic=false&api-version=7.1-preview.1"
        )

    def test_a_server_has_its_own_address_version_and_subject_types(self) -> None:
        assert wire.list_users(SERVER).url == (
            "https://server/collection/_apis/graph/users?api-version=6.0-preview.1"
        )

    @pytest.mark.parametrize("token", ["a+b", "a=b&c", "a b", "ä", "%2B", "#?/"])
    def test_a_continuation_token_is_quoted(self, token: str) -> None:
        url = wire.list_users(CONTOSO, token).url
        assert urlencode({"continuationToken": token}) in url
        assert url.count("api-version") == 1


def given(status: int = 200, **headers: str) -> wire.Reply:
    return wire.Reply(status, {key.replace("_", "-"): value for key, value in headers.items()}, b"")


class TestRetryAfter:
    @pytest.mark.parametrize("status", [200, 429, 503])
    def test_it_counts_on_any_status(self, status: int) -> None:
        assert wire.retry_after(given(status, retry_after="12"), NOW) == 12

    def test_it_may_be_a_date(self) -> None:
        date = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
        assert wire.retry_after(given(retry_after=date), NOW) == 90

    @pytest.mark.parametrize(
        ("text", "seconds"), [("", None), ("soon", None), ("0", 0), ("-5", None), ("999999", 3600)]
    )
    def test_nonsense_is_no_pause_and_a_long_one_is_an_hour(
        self, text: str, seconds: float | None
    ) -> None:
        assert wire.retry_after(given(retry_after=text), NOW) == seconds
