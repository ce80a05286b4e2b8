"""What owners and the service do to embedded tokens, over loopback HTTP."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator

from pat_core.local.estate import Estate, serving_estate
from pat_core.local.policies import Policies
from pat_core.local.world import Person, Trait, World, people
from pat_core.model import Organization, Token
from tests.fakes import NOW, FakeTime

SPECS = Path(__file__).parents[3] / "shared" / "specs" / "azure-devops"
pytestmark = pytest.mark.anyio
WORLD = World(NOW)
OWNER, OTHER = WORLD.person(1), WORLD.person(7)
MANY = next(each for each in people(WORLD, 0, 80) if each.trait is Trait.MANY_TOKENS)
Body = dict[str, Any]


@asynccontextmanager
async def served(
    time: FakeTime, policies: Policies | None = None, path: Path | None = None
) -> AsyncIterator[Estate]:
    async with serving_estate(
        WORLD, time.clock, redirects=lambda _: False, changes_path=path, policies=policies
    ) as estate:
        yield estate


class Hand:
    """Calls made with one credential."""

    def __init__(self, organization: Organization, authorization: str) -> None:
        self._headers = {"X-TFS-FedAuthRedirect": "Suppress", "Authorization": authorization}
        self._base = f"{organization.base_url}/_apis/"

    async def call(
        self, method: str, path: str, body: object = None, **query: str
    ) -> httpx.Response:
        async with httpx.AsyncClient(headers=self._headers) as http:
            asked = {"api-version": "7.1-preview.1"} | query
            return await http.request(method, self._base + path, params=asked, json=body)

    async def pats(self, method: str, body: object = None, **query: str) -> Body:
        reply = await self.call(method, "tokens/pats", body, **query)
        assert reply.status_code == 200
        found: Body = reply.json()
        return found

    async def pages(self, **query: str) -> list[list[Body]]:
        pages, after = list[list[Body]](), ""
        while after or not pages:
            page = await self.pats("GET", continuationToken=after, **query)
            pages.append(page["patTokens"])
            after = page["continuationToken"]
        return pages


def owner(estate: Estate, person: Person = OWNER) -> Hand:
    return Hand(estate.organization, f"Bearer {estate.entra.token_for(person)}")


def with_secret(estate: Estate, secret: str) -> Hand:
    return Hand(estate.organization, f"Basic {b64encode(f':{secret}'.encode()).decode()}")


def service(estate: Estate) -> Hand:
    return with_secret(estate, estate.secret.get_secret_value())


def wanted(**other: object) -> Body:
    until = (NOW + timedelta(days=30, milliseconds=319)).isoformat().replace("+00:00", "Z")
    return {"displayName": "ci", "scope": "vso.code", "validTo": until, "allOrgs": False} | other


def until(days: int) -> str:
    return (NOW + timedelta(days=days)).isoformat()


def alive(person: Person = OWNER) -> Token:
    return next(t for t in WORLD.tokens(person) if t.is_valid and t.valid_to > NOW)


def end_of(result: Body) -> datetime:
    return datetime.fromisoformat(result["patToken"]["validTo"])


@pytest.mark.skipif(
    not SPECS.is_dir(),
    reason="Microsoft's contracts are not beside this checkout (../shared/specs)",
)
class TestContract:
    def check(self, definition: str, reply: Body) -> None:
        definitions = json.loads((SPECS / "tokens.json").read_text())["definitions"]
        schema = {"allOf": [definitions[definition]], "definitions": definitions}
        assert list(Draft4Validator(schema).iter_errors(without_nulls(reply))) == []
        known = definitions[definition]["properties"]
        assert reply.keys() <= known.keys()
        for token in [*reply.get("patTokens", []), reply.get("patToken")]:
            assert (token or {}).keys() <= definitions["PatToken"]["properties"].keys()

    async def test_every_reply_is_what_the_contract_says_but_for_nulls(
        self, time: FakeTime
    ) -> None:
        async with served(time) as estate:
            hand = owner(estate)
            made = await hand.pats("POST", wanted())
            which = made["patToken"]["authorizationId"]
            updated = await hand.pats("PUT", wanted(authorizationId=which))
            read = await hand.pats("GET", authorizationId=which)
            refused = await hand.pats("POST", wanted(allOrgs=True))
            listed = await hand.pats("GET", displayFilterOption="all")
        for result in (made, updated, read, refused):
            self.check("PatTokenResult", result)
        self.check("PagedPatTokens", listed)


def without_nulls(found: object) -> object:
    if isinstance(found, dict):
        return {key: without_nulls(value) for key, value in found.items() if value is not None}
    return [without_nulls(each) for each in found] if isinstance(found, list) else found


class TestCallers:
    async def test_a_pat_and_the_services_secret_are_refused(self, time: FakeTime) -> None:
        async with served(time) as estate:
            secret = (await owner(estate).pats("POST", wanted()))["patToken"]["token"]
            for hand in (with_secret(estate, secret), service(estate)):
                for method in ("GET", "POST", "PUT", "DELETE"):
                    reply = await hand.call(method, "tokens/pats", wanted())
                    assert reply.status_code == 403

    async def test_an_owner_may_not_do_what_the_service_may(self, time: FakeTime) -> None:
        async with served(time) as estate:
            hand = owner(estate)
            for path in ("graph/users", f"tokenadmin/personalaccesstokens/{OTHER.descriptor}"):
                assert (await hand.call("GET", path)).status_code == 403

    async def test_after_an_hour_one_is_asked_to_sign_in_again(self, time: FakeTime) -> None:
        async with served(time) as estate:
            hand = owner(estate)
            time.now += timedelta(hours=1)
            assert (await hand.call("GET", "tokens/pats")).status_code == 203

    @pytest.mark.parametrize("which", [alive(OTHER).authorization_id, "nonsense"])
    async def test_nobody_touches_somebody_elses_token(self, time: FakeTime, which: str) -> None:
        async with served(time) as estate:
            hand = owner(estate)
            replies = [
                await hand.pats("GET", authorizationId=which),
                await hand.pats("PUT", wanted(authorizationId=which)),
                await hand.pats("DELETE", authorizationId=which),
            ]
            assert estate.changes.tokens(OTHER) == WORLD.tokens(OTHER)
        assert {each["patTokenError"] for each in replies} == {"authorizationNotFound"}
        assert {each["patToken"] for each in replies} == {None}


class TestListing:
    async def test_all_are_listed_over_all_pages(self, time: FakeTime) -> None:
        async with served(time) as estate:
            pages = await owner(estate, MANY).pages(displayFilterOption="all")
        sizes = [len(page) for page in pages]
        found = [each["authorizationId"] for page in pages for each in page]
        assert sizes == [100, 30]
        assert sorted(found) == sorted(each.authorization_id for each in WORLD.tokens(MANY))

    async def test_each_token_stands_in_one_of_three_filters(self, time: FakeTime) -> None:
        async with served(time) as estate:
            shown = {
                state: list(chain(*await owner(estate, MANY).pages(displayFilterOption=state)))
                for state in ("active", "revoked", "expired")
            }
        names = [each["authorizationId"] for page in shown.values() for each in page]
        assert len(names) == len(set(names)) == len(WORLD.tokens(MANY))
        ends = [datetime.fromisoformat(e["validTo"]) for e in shown["expired"]]
        assert max(ends) <= NOW

    async def test_they_are_sorted_as_asked(self, time: FakeTime) -> None:
        async with served(time) as estate:
            page = await owner(estate, MANY).pats(
                "GET", **{"sortByOption": "displayName", "isSortAscending": "false", "$top": "7"}
            )
        names = [each["displayName"] for each in page["patTokens"]]
        assert (len(names), names) == (7, sorted(names, reverse=True))

    @pytest.mark.parametrize(
        "query",
        [{"$top": "101"}, {"displayFilterOption": "some"}, {"continuationToken": "100 /=="}],
        ids=["too many", "unknown filter", "unquoted token"],
    )
    async def test_a_wrong_request_is_a_400(self, time: FakeTime, query: Body) -> None:
        async with served(time) as estate:
            assert (await owner(estate).call("GET", "tokens/pats", **query)).status_code == 400

    async def test_no_body_that_cannot_be_read_makes_a_token(self, time: FakeTime) -> None:
        async with served(time) as estate:
            reply = await owner(estate).call("POST", "tokens/pats", ["no", "object"])
            assert estate.changes.tokens(OWNER) == WORLD.tokens(OWNER)
        assert reply.status_code == 400


class TestChanges:
    async def test_a_new_token_is_shown_with_its_secret_once(self, time: FakeTime) -> None:
        async with served(time) as estate:
            made = await owner(estate).pats("POST", wanted())
            token = made["patToken"]
            again = await owner(estate).pats("GET", authorizationId=token["authorizationId"])
        assert (made["patTokenError"], token["scope"], len(token["token"])) == (
            "none",
            "vso.code",
            84,
        )
        assert len(token["targetAccounts"]) == 1
        assert again["patToken"] == token | {"token": None}

    async def test_the_end_that_comes_back_is_not_quite_what_was_asked(
        self, time: FakeTime
    ) -> None:
        async with served(time) as estate:
            made = await owner(estate).pats("POST", wanted())
        # Azure DevOps keeps 300ths of a second; its own example says 23.319 and 23.32 too.
        assert made["patToken"]["validTo"] == "2026-12-23T08:00:00.32Z"

    @pytest.mark.parametrize("days", [300, 1], ids=["later", "sooner"])
    async def test_an_end_can_be_moved(self, time: FakeTime, days: int) -> None:
        token = alive()
        async with served(time) as estate:
            body = {"authorizationId": token.authorization_id, "validTo": until(days)}
            moved = await owner(estate).pats("PUT", body)
        assert end_of(moved) == NOW + timedelta(days=days)
        kept = moved["patToken"]["displayName"], moved["patToken"]["scope"]
        assert kept == (token.display_name, token.scope)
        assert moved["patToken"]["token"] is None

    async def test_both_apis_show_the_same_tokens(self, time: FakeTime) -> None:
        async with served(time) as estate:
            hand = owner(estate)
            await hand.pats("POST", wanted())
            gone = {"authorizationId": alive().authorization_id}
            assert (await hand.call("DELETE", "tokens/pats", **gone)).status_code == 204
            assert (await hand.call("DELETE", "tokens/pats", **gone)).status_code == 204
            mine = await hand.pats("GET", displayFilterOption="all")
            revoked = await hand.pats("GET", displayFilterOption="revoked")
            path = f"tokenadmin/personalaccesstokens/{OWNER.descriptor}"
            theirs = (await service(estate).call("GET", path, isPublic="false")).json()["value"]
        ids = {each["authorizationId"] for each in mine["patTokens"]}
        assert ids == {each["authorizationId"] for each in theirs}
        dead = {each["authorizationId"] for each in theirs if not each["isValid"]}
        assert dead == {each["authorizationId"] for each in revoked["patTokens"]}
        assert gone["authorizationId"] in dead

    async def test_it_goes_on_after_a_restart(self, time: FakeTime, tmp_path: Path) -> None:
        path = tmp_path / "changes.json"
        async with served(time, path=path) as estate:
            secret = (await owner(estate).pats("POST", wanted()))["patToken"]["token"]
            before = await owner(estate).pats("GET")
        async with served(time, path=path) as estate:
            assert await owner(estate).pats("GET") == before
            reply = await with_secret(estate, secret).call("GET", "connectionData")
        assert reply.status_code == 200


class TestPolicies:
    @pytest.mark.parametrize(
        ("policies", "body", "error"),
        [
            (Policies(max_days=10), wanted(), "patLifespanPolicyViolation"),
            (
                Policies(blocks_full_scope=True),
                wanted(scope="app_token"),
                "fullScopePatPolicyViolation",
            ),
            (Policies(blocks_creation=True), wanted(), "disablePatCreationPolicyViolation"),
            (Policies(), wanted(allOrgs=True), "globalPATCreationBlocked"),
            (Policies(), wanted(validTo=until(366)), "invalidValidTo"),
            (Policies(), wanted(validTo=until(0)), "invalidValidTo"),
            (Policies(), wanted(validTo="soon"), "invalidValidTo"),
            (Policies(), wanted(scope="everything"), "invalidScope"),
            (Policies(), wanted(displayName=" "), "displayNameRequired"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_a_refusal_stands_inside_a_200(
        self, time: FakeTime, policies: Policies, body: Body, error: str
    ) -> None:
        async with served(time, policies) as estate:
            result = await owner(estate).pats("POST", body)
            assert estate.changes.tokens(OWNER) == WORLD.tokens(OWNER)
        assert (result["patToken"], result["patTokenError"]) == (None, error)
        assert result["patTokenErrorMessage"]

    async def test_an_end_may_be_shortened_without_a_word(self, time: FakeTime) -> None:
        async with served(time, Policies(max_days=10, shortens=True)) as estate:
            made = await owner(estate).pats("POST", wanted())
        assert made["patTokenError"] == "none"
        assert end_of(made) == NOW + timedelta(days=10)

    async def test_an_extension_counts_from_when_the_token_was_made(self, time: FakeTime) -> None:
        async with served(time, Policies(max_days=10, shortens=True)) as estate:
            made = await owner(estate).pats("POST", wanted(validTo=until(5)))
            time.now += timedelta(minutes=50)
            which = made["patToken"]["authorizationId"]
            moved = await owner(estate).pats("PUT", wanted(authorizationId=which))
        assert end_of(moved) == NOW + timedelta(days=10)

    @pytest.mark.parametrize("state", ["revoked", "expired"])
    async def test_what_has_ended_cannot_be_extended(self, time: FakeTime, state: str) -> None:
        async with served(time) as estate:
            hand = owner(estate, MANY)
            page = await hand.pats("GET", displayFilterOption=state)
            which = page["patTokens"][0]["authorizationId"]
            result = await hand.pats("PUT", wanted(authorizationId=which))
        assert result["patTokenError"] == "expiredPatCannotBeExtended"


class TestRevocations:
    async def test_only_the_service_may_revoke_for_others(self, time: FakeTime) -> None:
        async with served(time) as estate:
            asked = [{"authorizationId": alive().authorization_id}]
            secret = (await owner(estate).pats("POST", wanted()))["patToken"]["token"]
            for hand in (owner(estate), with_secret(estate, secret)):
                reply = await hand.call("POST", "tokenadmin/revocations", asked, isPublic="false")
                assert reply.status_code == 403
            reply = await service(estate).call(
                "POST", "tokenadmin/revocations", asked, isPublic="false"
            )
            assert reply.status_code == 204
            token = estate.changes.token(OWNER, alive().authorization_id)
        assert token is not None
        assert not token.is_valid

    async def test_an_organization_may_refuse_the_service_too(self, time: FakeTime) -> None:
        async with served(time, Policies(service_may_revoke=False)) as estate:
            reply = await service(estate).call("POST", "tokenadmin/revocations", [])
        assert reply.status_code == 403

    async def test_it_may_take_its_time(self, time: FakeTime) -> None:
        hour = timedelta(hours=1)
        async with served(time, Policies(revocation_delay=hour)) as estate:
            made = (await owner(estate).pats("POST", wanted()))["patToken"]
            asked = [{"authorizationId": made["authorizationId"]}]
            await service(estate).call("POST", "tokenadmin/revocations", asked, isPublic="false")
            hand = with_secret(estate, made["token"])
            assert (await hand.call("GET", "connectionData")).status_code == 200
            time.now += hour
            assert (await hand.call("GET", "connectionData")).status_code == 203

    async def test_ssh_keys_are_something_else(self, time: FakeTime) -> None:
        async with served(time) as estate:
            asked = [{"authorizationId": alive().authorization_id}]
            await service(estate).call("POST", "tokenadmin/revocations", asked, isPublic="true")
            assert estate.changes.tokens(OWNER) == WORLD.tokens(OWNER)

    async def test_a_wrong_body_is_a_400(self, time: FakeTime) -> None:
        async with served(time) as estate:
            reply = await service(estate).call("POST", "tokenadmin/revocations", {"ids": []})
        assert reply.status_code == 400


class TestConnectionData:
    async def test_everybody_learns_who_they_are(self, time: FakeTime) -> None:
        async with served(time) as estate:
            secret = (await owner(estate).pats("POST", wanted()))["patToken"]["token"]
            hands = (owner(estate), with_secret(estate, secret), service(estate))
            by_bearer, by_pat, as_service = [
                (await hand.call("GET", "connectionData")).json() for hand in hands
            ]
        user = by_bearer["authenticatedUser"]
        assert by_pat == by_bearer
        assert user["subjectDescriptor"] == OWNER.descriptor
        assert user["providerDisplayName"] == OWNER.display_name
        assert user["properties"]["Account"]["$value"] == OWNER.mail_address
        assert as_service["authenticatedUser"]["id"] != user["id"]

    async def test_a_revoked_secret_opens_nothing(self, time: FakeTime) -> None:
        async with served(time) as estate:
            made = (await owner(estate).pats("POST", wanted()))["patToken"]
            hand = with_secret(estate, made["token"])
            assert (await hand.call("GET", "connectionData")).status_code == 200
            await owner(estate).call(
                "DELETE", "tokens/pats", authorizationId=made["authorizationId"]
            )
            reply = await hand.call("GET", "connectionData")
        assert (reply.status_code, reply.headers["content-type"]) == (
            203,
            "text/html; charset=utf-8",
        )

    async def test_an_expired_secret_opens_nothing(self, time: FakeTime) -> None:
        async with served(time) as estate:
            made = (await owner(estate).pats("POST", wanted()))["patToken"]
            time.now += timedelta(days=31)
            hand = with_secret(estate, made["token"])
            assert (await hand.call("GET", "connectionData")).status_code == 203
