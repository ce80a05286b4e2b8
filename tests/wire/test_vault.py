"""The real SDK against a Key Vault on loopback, over TLS, as it answers and as it fails."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.secrets.aio import SecretClient
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pat_core.errors import VaultError, VaultRefused, VaultUnavailable
from pat_core.local.key_vault import Signed, VaultService, Version, key_vault
from pat_core.model import IssuedToken, Owner, VaultSecret
from pat_core.vault import CONTENT_TYPE, KeyVault
from pat_core.vault_name import secret_name
from tests.builders import ANA, BO, HOSTILE_NAMES, a_token
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio
NAME = "pat-contoso-ci-abcdef"
SECRET = "s3cretS3CRETs3cret"
ISSUED = IssuedToken(a_token("new", 90), SecretStr(SECRET))
TAGS = {
    "managed-by": "pat-warden",
    "organization": "contoso",
    "owner": "aad.ana",
    "owner-address": "ana@contoso.example",
    "authorization-id": "new",
}


@pytest.fixture
def service(time: FakeTime) -> VaultService:
    return VaultService(time.clock)


@asynccontextmanager
async def vault_of(service: VaultService, retries: int = 0) -> AsyncIterator[KeyVault]:
    async with key_vault(service, retry_total=retries, retry_backoff_factor=0.001) as client:
        yield KeyVault(client)


async def keep(service: VaultService, owner: Owner = ANA, issued: IssuedToken = ISSUED) -> None:
    async with vault_of(service) as vault:
        await vault.keep(NAME, owner, issued)


def holding(service: VaultService, tags: dict[str, str]) -> None:
    service.secrets[NAME] = [Version(NAME, "1", "theirs", "", {"enabled": True}, tags)]


def values(service: VaultService) -> list[str]:
    return [version.value for version in service.secrets.get(NAME, [])]


def error(status: int, code: str = "", inner: str = "", **headers: str) -> Response:
    body = {"code": code, "message": f"no {SECRET}", "innererror": {"code": inner}}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"error": body}, status, given)


def on_puts(reply: Response) -> Callable[[Request], Response | None]:
    return lambda request: reply if request.method == "PUT" else None


class Cut(Response):
    """Begins a reply and ends the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"100"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


class TestKeep:
    async def test_the_secret_is_there_until_its_token_ends(self, service: VaultService) -> None:
        async with key_vault(service) as client:
            made = await KeyVault(client).keep(NAME, ANA, ISSUED)
            found = await client.get_secret(NAME, made.version)
        assert (made.name, found.value) == (NAME, SECRET)
        assert found.properties.content_type == CONTENT_TYPE
        assert found.properties.not_before == ISSUED.token.valid_from
        assert found.properties.expires_on == ISSUED.token.valid_to
        assert found.properties.created_on == NOW

    async def test_its_tags_say_whose_it_is(self, service: VaultService) -> None:
        await keep(service)
        assert service.secrets[NAME][0].tags == TAGS

    async def test_an_owner_without_an_address_has_no_tag_for_it(
        self, service: VaultService
    ) -> None:
        await keep(service, replace(ANA, address=""))
        assert service.secrets[NAME][0].tags.keys() == TAGS.keys() - {"owner-address"}

    async def test_keeping_again_makes_a_new_version_of_the_same_secret(
        self, service: VaultService
    ) -> None:
        later = IssuedToken(a_token("later", 180), SecretStr("another"))
        async with vault_of(service) as vault:
            first = await vault.keep(NAME, ANA, ISSUED)
            second = await vault.keep(NAME, ANA, later)
            assert await vault.kept(NAME) == second
        assert first.version != second.version
        assert values(service) == [SECRET, "another"]
        assert second == VaultSecret(NAME, second.version, "aad.ana", "later", "contoso")

    async def test_the_tags_that_people_gave_it_stay(self, service: VaultService) -> None:
        holding(service, TAGS | {"team": "build", "authorization-id": "old"})
        await keep(service)
        assert service.secrets[NAME][-1].tags == TAGS | {"team": "build"}

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    async def test_a_token_of_a_hostile_name_is_kept(
        self, service: VaultService, name: str
    ) -> None:
        called = secret_name("contoso", name, "line")
        issued = IssuedToken(replace(ISSUED.token, display_name=name), ISSUED.secret)
        async with vault_of(service) as vault:
            made = await vault.keep(called, ANA, issued)
            assert await vault.kept(called) == made

    async def test_what_is_too_long_for_a_tag_still_tells_owners_apart(
        self, service: VaultService
    ) -> None:
        long, other = (replace(ANA, subject_descriptor="a" * 300 + end) for end in "xy")
        await keep(service, long)
        await keep(service, long)
        with pytest.raises(VaultRefused):
            await keep(service, other)
        assert len(values(service)) == 2


class TestKept:
    async def test_what_is_not_there_is_none(self, service: VaultService) -> None:
        async with vault_of(service) as vault:
            assert await vault.kept(NAME) is None

    async def test_a_secret_without_our_tags_is_nobodys(self, service: VaultService) -> None:
        holding(service, {})
        async with vault_of(service) as vault:
            assert await vault.kept(NAME) == VaultSecret(NAME, "1")

    @pytest.mark.parametrize(
        "reply", [error(404, "NoSuchPage"), HTMLResponse("<html>", 404)], ids=["code", "HTML"]
    )
    async def test_a_404_of_something_else_does_not_say_that_it_is_not_there(
        self, service: VaultService, reply: Response
    ) -> None:
        service.before = lambda _: reply
        async with vault_of(service) as vault:
            with pytest.raises(VaultRefused, match="PAT_KEY_VAULT_URL"):
                await vault.kept(NAME)

    @pytest.mark.parametrize(
        "reply", [HTMLResponse("<html>"), JSONResponse({}), JSONResponse([]), Cut()]
    )
    async def test_an_answer_that_is_none_is_a_fault(
        self, service: VaultService, reply: Response
    ) -> None:
        service.before = lambda _: reply
        async with vault_of(service) as vault:
            with pytest.raises(VaultError, match="PAT_KEY_VAULT_URL"):
                await vault.kept(NAME)


class TestSomebodyElses:
    @pytest.mark.parametrize(
        "tags",
        [
            {},
            {"team": "build"},
            TAGS | {"owner": BO.subject_descriptor},
            TAGS | {"organization": "fabrikam"},
            TAGS | {"managed-by": "terraform"},
            {name: value for name, value in TAGS.items() if name != "managed-by"},
        ],
        ids=["no tags", "other tags", "owner", "organization", "managed by", "managed by nobody"],
    )
    async def test_a_secret_that_is_not_this_owners_is_refused_and_left(
        self, service: VaultService, tags: dict[str, str]
    ) -> None:
        holding(service, tags)
        with pytest.raises(VaultRefused, match="left as it is") as caught:
            await keep(service)
        assert caught.value.remedy
        assert (values(service), service.puts) == (["theirs"], 0)

    async def test_the_same_owner_of_another_organization_is_refused(
        self, service: VaultService
    ) -> None:
        await keep(service)
        with pytest.raises(VaultRefused):
            await keep(service, replace(ANA, organization="fabrikam"))
        assert values(service) == [SECRET]


class TestFaults:
    @pytest.mark.parametrize(
        ("reply", "kind", "says"),
        [
            (error(400, "BadParameter"), VaultRefused, "400 BadParameter"),
            (error(401), VaultRefused, "Key Vault Secrets Officer"),
            (error(403, "Forbidden", "ForbiddenByRbac"), VaultRefused, "Key Vault Secrets Officer"),
            (error(403, "Forbidden", "SecretDisabled"), VaultRefused, "Enable"),
            (error(404, "VaultNotFound"), VaultRefused, "PAT_KEY_VAULT_URL"),
            (error(409, "Conflict", "ObjectIsDeletedButRecoverable"), VaultRefused, "recover it"),
            (error(403, SECRET, SECRET), VaultRefused, "403"),
            (error(408), VaultUnavailable, "408"),
            (error(429, "Throttled", Retry_After="7"), VaultUnavailable, "429 Throttled"),
            (error(500), VaultUnavailable, "500"),
            (HTMLResponse("<html>", 502), VaultUnavailable, "502"),
            (HTMLResponse("<html>"), VaultUnavailable, "no answer"),
            (JSONResponse({"value": SECRET}), VaultUnavailable, "no answer"),
            (Cut(), VaultUnavailable, "no answer"),
        ],
    )
    async def test_each_reply_to_a_put_has_its_meaning(
        self, service: VaultService, reply: Response, kind: type[Exception], says: str
    ) -> None:
        service.before = on_puts(reply)
        with pytest.raises(VaultError, match=says) as caught:
            await keep(service)
        assert type(caught.value) is kind
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert SECRET not in repr(caught.value)
        assert values(service) == []

    async def test_the_name_of_a_deleted_secret_is_refused(self, service: VaultService) -> None:
        await keep(service)
        service.delete(NAME)
        with pytest.raises(VaultRefused, match="purge"):
            await keep(service)

    async def test_where_the_newest_version_is_disabled_nothing_is_overwritten(
        self, service: VaultService
    ) -> None:
        await keep(service)
        service.secrets[NAME][0].attributes["enabled"] = False
        with pytest.raises(VaultRefused, match="Enable"):
            await keep(service)
        assert service.puts == 1

    async def test_a_connection_cut_after_the_secret_was_kept_leaves_it_to_be_found(
        self, service: VaultService
    ) -> None:
        service.after = lambda _: Cut()
        async with vault_of(service) as vault:
            with pytest.raises(VaultUnavailable):
                await vault.keep(NAME, ANA, ISSUED)
            kept = await vault.kept(NAME)
        assert kept
        assert kept.authorization_id == ISSUED.token.authorization_id
        assert service.puts == 1

    async def test_where_the_sdk_tries_again_both_versions_hold_the_same_secret(
        self, service: VaultService
    ) -> None:
        replies = iter([Cut(), None])
        service.after = lambda _: next(replies)
        async with vault_of(service, retries=3) as vault:
            made = await vault.keep(NAME, ANA, ISSUED)
        assert values(service) == [SECRET, SECRET]
        assert made.version == service.secrets[NAME][-1].version


class Unsigned(Signed):
    """A credential that cannot sign in."""

    async def get_token(self, *_: str, **__: object) -> AccessToken:
        raise ClientAuthenticationError("no identity")


class TestAddress:
    async def test_a_name_that_no_dns_knows_is_no_vault(self, service: VaultService) -> None:
        async with SecretClient("https://no.invalid", Signed(service), retry_total=0) as client:
            with pytest.raises(VaultRefused, match="PAT_KEY_VAULT_URL"):
                await KeyVault(client).kept(NAME)

    async def test_where_nobody_listens_any_more_it_may_work_later(
        self, service: VaultService
    ) -> None:
        with socket.socket() as deaf:
            # Bound, so that nobody else gets the port; it never listens.
            deaf.bind(("127.0.0.1", 0))
            address = f"https://127.0.0.1:{deaf.getsockname()[1]}"
            async with SecretClient(address, Signed(service), retry_total=0) as client:
                with pytest.raises(VaultUnavailable):
                    await KeyVault(client).keep(NAME, ANA, ISSUED)

    async def test_a_server_without_a_known_certificate_is_no_vault(
        self, service: VaultService
    ) -> None:
        async with key_vault(service) as known:
            async with SecretClient(known.vault_url, Signed(service), retry_total=0) as client:
                with pytest.raises(VaultRefused, match="PAT_KEY_VAULT_URL"):
                    await KeyVault(client).keep(NAME, ANA, ISSUED)
        assert service.puts == 0

    async def test_a_vault_that_asks_to_sign_in_for_elsewhere_gets_nothing(
        self, service: VaultService
    ) -> None:
        async with key_vault(service, verify_challenge_resource=True) as client:
            with pytest.raises(VaultRefused, match="PAT_KEY_VAULT_URL"):
                await KeyVault(client).keep(NAME, ANA, ISSUED)
        assert service.puts == 0

    async def test_an_identity_that_cannot_sign_in_is_refused(self, service: VaultService) -> None:
        async with key_vault(service, credential=Unsigned(service)) as client:
            with pytest.raises(VaultRefused, match="cannot sign in"):
                await KeyVault(client).keep(NAME, ANA, ISSUED)


class TestSecrecy:
    async def test_no_log_holds_the_secret(
        self, service: VaultService, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ["", *logging.root.manager.loggerDict]:
            caplog.set_level(logging.DEBUG, logger=name)
        async with key_vault(service, logging_enable=True, retry_total=0) as client:
            vault = KeyVault(client)
            await vault.keep(NAME, ANA, ISSUED)
            await vault.kept(NAME)
            service.before = on_puts(error(403))
            with pytest.raises(VaultRefused):
                await vault.keep(NAME, ANA, ISSUED)
        assert "/secrets/" in caplog.text
        assert SECRET not in caplog.text
        assert SECRET not in repr([vars(record) for record in caplog.records])

    async def test_no_repr_holds_it(self, service: VaultService) -> None:
        await keep(service)
        assert SECRET not in repr(service)
