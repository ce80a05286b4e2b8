from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pat_core.azure_devops.client import ATTEMPTS, Client
from pat_core.azure_devops.credential import PatCredential
from pat_core.azure_devops.pace import Pace
from pat_core.bootstrap import http_transport
from pat_core.errors import (
    BrokenReply,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
    OwnerGone,
    RequestRefused,
    Throttled,
    Unavailable,
)
from pat_core.model import Organization
from pat_core.ports import SILENT, Meter
from pat_core.signals import THROTTLED
from tests.fakes import FakeMeter, FakeTime, Script, reply, scripted

pytestmark = pytest.mark.anyio

TOKEN = {
    "authorizationId": "952858d3-7084-4635-964e-3c2a57645185",
    "validFrom": "2026-07-19T00:00:00",
    "validTo": "2026-12-19T00:00:00",
}
ONE = reply(body={"value": [TOKEN], "continuationToken": None})
NONE = reply(body={"value": []})


@asynccontextmanager
async def client_of(
    script: Script, time: FakeTime, meter: Meter = SILENT
) -> AsyncIterator[tuple[Client, Organization]]:
    async with http_transport(16) as transport:
        client = Client(
            transport,
            PatCredential(SecretStr("hush")),
            Pace(clock=time.clock, sleep=time.sleep, most=16, patience=timedelta(hours=1)),
            clock=time.clock,
            sleep=time.sleep,
            jitter=lambda: 0.5,
            meter=meter,
        )
        yield client, Organization("contoso", base_url=script.base_url)


class TestSigning:
    async def test_a_pat_goes_as_the_password_of_basic(self, time: FakeTime) -> None:
        async with scripted(NONE) as script, client_of(script, time) as (client, organization):
            await client.tokens(organization, "aad.x")
        headers = script.heard[0].headers
        assert headers["authorization"] == "Basic Omh1c2g="
        assert headers["x-tfs-fedauthredirect"] == "Suppress"
        assert headers["accept"] == "application/json"


class TestPages:
    async def test_a_continuation_token_arrives_as_it_was_given(self, time: FakeTime) -> None:
        first = reply(body={"value": []}, X_MS_ContinuationToken="a+b/c== d%2B")
        async with scripted(first, NONE) as script, client_of(script, time) as (client, org):
            pages = [page async for page in client.user_pages(org)]
        assert len(pages) == 2
        assert "continuationToken=a%2Bb/c%3D%3D+d%252B&" in script.heard[1].target

    async def test_a_descriptor_stays_one_part_of_the_path(self, time: FakeTime) -> None:
        async with scripted(NONE) as script, client_of(script, time) as (client, org):
            await client.tokens(org, "aad.x/../y?z")
        assert "/personalaccesstokens/aad.x%2F..%2Fy%3Fz?isPublic=false" in script.heard[0].target

    async def test_every_page_of_tokens_is_read(self, time: FakeTime) -> None:
        first = reply(body={"value": [TOKEN], "continuationToken": TOKEN["authorizationId"]})
        last = reply(
            body={"value": [TOKEN], "continuationToken": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}
        )
        async with scripted(first, last) as script, client_of(script, time) as (client, org):
            reading = await client.tokens(org, "aad.x")
        assert len(reading.tokens) == 2
        assert len(script.heard) == 2

    async def test_pages_that_go_round_in_circles_end(self, time: FakeTime) -> None:
        again = reply(body={"value": []}, X_MS_ContinuationToken="same")
        async with scripted(again) as script, client_of(script, time) as (client, org):
            with pytest.raises(BrokenReply, match="twice"):
                [page async for page in client.user_pages(org)]


class TestTryingAgain:
    async def test_a_429_is_made_again_after_its_pause(self, time: FakeTime) -> None:
        wait = reply(429, {}, Retry_After="7")
        async with scripted(wait, ONE) as script, client_of(script, time) as (client, org):
            assert len((await client.tokens(org, "aad.x")).tokens) == 1
        assert 7.0 in time.slept
        assert len(script.heard) == 2

    async def test_each_429_is_counted_where_it_came_from(self, time: FakeTime) -> None:
        wait, meter = reply(429, {}, Retry_After="7"), FakeMeter()
        async with (
            scripted(wait, wait, ONE) as script,
            client_of(script, time, meter) as (client, org),
        ):
            await client.tokens(org, "aad.x")
        assert meter.of(THROTTLED) == [(1, "contoso"), (1, "contoso")]

    async def test_a_retry_after_on_a_200_delays_the_next_call(self, time: FakeTime) -> None:
        slow = reply(body={"value": [TOKEN]}, Retry_After="3")
        async with scripted(slow, ONE) as script, client_of(script, time) as (client, org):
            await client.tokens(org, "aad.x")
            assert sum(time.slept) == 0
            await client.tokens(org, "aad.y")
        assert sum(time.slept) == 3

    async def test_a_throttling_code_in_a_refusal_counts_as_throttled(self, time: FakeTime) -> None:
        blocked = reply(403, {"message": "TF400733: the request was blocked"})
        async with scripted(blocked, ONE) as script, client_of(script, time) as (client, org):
            assert len((await client.tokens(org, "aad.x")).tokens) == 1

    @pytest.mark.parametrize("fault", [reply(500, {}), reply(body={}, cut=9)])
    async def test_a_server_fault_or_a_body_cut_short_is_tried_again(
        self, time: FakeTime, fault: bytes
    ) -> None:
        async with scripted(fault, fault, ONE) as script, client_of(script, time) as (client, org):
            assert len((await client.tokens(org, "aad.x")).tokens) == 1
        assert [pause for pause in time.slept if pause] == [0.5, 1.0]
        assert len(script.heard) == 3

    @pytest.mark.parametrize(
        ("fault", "error", "calls"),
        [
            (reply(502, {}), Unavailable, ATTEMPTS),
            (reply(429, {}), Throttled, ATTEMPTS),
            # aiohttp makes a GET once more by itself where the connection ends without a reply.
            (b"", Unavailable, 2 * ATTEMPTS),
        ],
    )
    async def test_tries_are_bounded(
        self, time: FakeTime, fault: bytes, error: type[Exception], calls: int
    ) -> None:
        async with scripted(fault) as script, client_of(script, time) as (client, org):
            with pytest.raises(error, match="contoso: the call to read the tokens of a user"):
                await client.tokens(org, "aad.x")
        assert len(script.heard) == calls

    async def test_a_refusal_is_not_tried_again(self, time: FakeTime) -> None:
        async with scripted(reply(400, {"message": "bad page"})) as script:
            async with client_of(script, time) as (client, org):
                with pytest.raises(RequestRefused, match=r"status 400 \(bad page\)"):
                    await client.tokens(org, "aad.x")
        assert len(script.heard) == 1


class TestRefusals:
    @pytest.mark.parametrize("status", [200, 203])
    async def test_a_sign_in_page_means_not_signed_in(self, time: FakeTime, status: int) -> None:
        page = reply(status, raw=b"<!DOCTYPE html><title>Sign in</title>")
        async with scripted(page) as script, client_of(script, time) as (client, org):
            with pytest.raises(NotSignedIn, match="PAT_ADMIN_TOKEN is wrong, has expired"):
                await client.tokens(org, "aad.x")

    async def test_a_redirect_is_not_followed(self, time: FakeTime) -> None:
        away = reply(302, {}, Location="/_signin")
        async with scripted(away) as script, client_of(script, time) as (client, org):
            with pytest.raises(NotSignedIn):
                await client.tokens(org, "aad.x")
        assert len(script.heard) == 1

    async def test_a_pat_is_told_that_the_lifecycle_api_needs_entra(self, time: FakeTime) -> None:
        async with scripted(reply(403, {})) as script, client_of(script, time) as (client, org):
            with pytest.raises(NotPermitted, match="this API needs a Microsoft Entra token; a"):
                await client.my_tokens(org)

    async def test_a_user_who_left_is_gone(self, time: FakeTime) -> None:
        async with scripted(reply(404, {})) as script, client_of(script, time) as (client, org):
            with pytest.raises(OwnerGone):
                await client.tokens(org, "aad.x")
            assert await client.is_active(org, "aad.x") is False

    async def test_a_page_that_is_not_found_says_nothing_of_the_user(self, time: FakeTime) -> None:
        page = reply(404, raw=b"<!DOCTYPE html><title>Not found</title>")
        async with scripted(page) as script, client_of(script, time) as (client, org):
            with pytest.raises(RequestRefused, match="read the tokens of a user found nothing"):
                await client.tokens(org, "aad.x")
            with pytest.raises(RequestRefused, match="status 404"):
                await client.is_active(org, "aad.x")

    async def test_an_unknown_organization_is_named(self, time: FakeTime) -> None:
        async with scripted(reply(404, raw=b"<html>")) as script:
            async with client_of(script, time) as (client, org):
                with pytest.raises(OrganizationNotFound, match="contoso: no such organization"):
                    [page async for page in client.user_pages(org)]
