"""The JSON routes held to their own description, over the embedded estate and real HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection

from function_app import app
from pat_core.admin_front import PARTS
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.local.world import ADMINISTRATOR, Person
from pat_core.messages import RUN_ID
from pat_core.model import NewToken, Token
from pat_core.openapi import description
from pat_core.posts import ACTIONS, AUTHORIZATION_ID
from pat_core.settings import Settings
from tests.estate import House, opened
from tests.fakes import FakeTime

LIFETIMES = Settings.model_fields["lifetimes_days"].default
ORGANIZATION = "contoso-demo"
LIFE = timedelta(days=20)
BEFORE = {"stored": ["rotate"], "restart": ["rotate"], "keep": ["rotate", "stored"]}
PEOPLE = 20
PAGES = {
    "GET tokens",
    "GET tokens/{organization}/{authorization_id}",
    "GET report",
    "GET report/chart",
    "GET report/export.csv",
    "GET report/forecast",
    "GET report/trail",
    "GET report/tokens/{organization}/{owner}/{authorization_id}",
    "POST report/tokens/{organization}/{owner}/{authorization_id}/revoke",
    "GET sign-in",
    "GET sign-in/callback",
    "POST sign-out",
    "GET static/{name}",
}
INNER = {
    "report/{part}": PARTS,
    "tokens/{organization}/{authorization_id}/{action}": ACTIONS,
}


@schemathesis.deserializer("application/jsonl")
def lines(_: object, response: schemathesis.Response) -> list[Any]:
    return [json.loads(line) for line in response.content.splitlines()]


def held() -> dict[str, Any]:
    """The description, with the name of the one organization that there is."""
    found = deepcopy(description(LIFETIMES))
    for methods in found["paths"].values():
        for operation in methods.values():
            for each in operation["parameters"]:
                if (each["name"], each["in"]) == ("organization", "path"):
                    each["schema"]["enum"] = [ORGANIZATION]
    wanted = found["components"]["schemas"]["RunAsked"]["properties"]["organizations"]
    wanted["items"]["enum"] = [ORGANIZATION]
    return found


schema = schemathesis.openapi.from_dict(
    held(),
    config=schemathesis.Config.from_dict(
        {
            "checks": {"positive_data_acceptance": {"expected-statuses": ["200", "202"]}},
            # The host refuses other methods, for all routes alike.
            "phases": {"coverage": {"unexpected-methods": ["DELETE"]}},
        }
    ),
)


@dataclass
class Lived:
    """A house in which somebody lives: scanned, with owners who make a token whenever asked."""

    house: House
    portal: BlockingPortal
    run_id: str
    session: str
    owners: list[tuple[Person, str]]
    turn: Iterator[int] = field(default_factory=count)
    http: requests.Session = field(default_factory=requests.Session)

    def headers(self, case: schemathesis.Case[Any]) -> dict[str, str]:
        """Who asks; whatever could be an id is made the id of what is there, and ready."""
        made_up = case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER)
        person, bearer = self.owners[next(self.turn) % len(self.owners)]
        owned = {"Authorization": f"Bearer {bearer}"}
        given = case.path_parameters
        if re.fullmatch(AUTHORIZATION_ID, str(given.get("authorization_id"))):
            token = self.token(person)
            given["authorization_id"] = token.authorization_id
            self.prepare(self.house.path(token), case.operation.path.rpartition("/")[2], owned)
        if re.fullmatch(RUN_ID, str(given.get("run_id"))):
            given["run_id"] = self.run_id
        if made_up:
            return {}
        return owned if "/tokens/" in case.path else {"Cookie": self.session}

    def token(self, person: Person) -> Token:
        """A new token, which any lifetime that may be chosen would lengthen."""
        wanted = NewToken(f"ci {next(self.turn)}", "vso.code", self.house.time.now + LIFE)
        return self.house.estate.changes.create(person, wanted).token

    def prepare(self, path: str, action: str, headers: dict[str, str]) -> None:
        for before in BEFORE.get(action, []):
            body = {"to": "page"} if before == "rotate" else {}
            where = f"{self.house.address}{path}/{before}"
            done = self.http.post(where, json=body, headers=headers)
            assert done.status_code == 200


async def scanned(house: House) -> tuple[str, str]:
    """The id of a run that is over, and the session of an administrator."""
    async with house.browser() as browser:
        run_id = (await browser.post("/runs")).json()["run_id"]
        await house.host.drain()
        await house.signed_in(browser, house.estate.simulator.world.person(ADMINISTRATOR))
        return run_id, browser.headers["cookie"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("house")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(opened(folder, FakeTime())) as house,
    ):
        run_id, session = portal.call(scanned, house)
        people = [house.someone(number) for number in range(PEOPLE)]
        owners = [(each, house.estate.entra.token_for(each)) for each in people]
        yield Lived(house, portal, run_id, session, owners)


@schema.parametrize()
@settings(max_examples=6, derandomize=True, deadline=None, database=None)
def test_each_route_is_as_it_is_described(lived: Lived, case: schemathesis.Case[Any]) -> None:
    excluded = []
    if "/runs" in case.path:
        excluded.append(ignored_auth)  # Azure Functions asks for the key, and is not here
    if "/report/" in case.path:
        excluded.append(negative_data_rejection)  # what cannot be read asks for nothing
    case.call_and_validate(
        base_url=lived.house.address,
        session=lived.http,
        headers=lived.headers(case),
        excluded_checks=excluded,
        allow_redirects=False,
    )


class TestDescription:
    def test_it_is_openapi(self) -> None:
        schema.validate()

    def test_it_is_served_to_anybody(self, lived: Lived) -> None:
        answer = requests.get(f"{lived.house.address}/openapi.json", timeout=30)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == description(LIFETIMES)

    def test_it_says_which_lifetimes_may_be_chosen(self) -> None:
        assert description((90, 30))["components"]["schemas"]["LifetimeDays"]["enum"] == [30, 90]

    def test_it_names_no_organization(self) -> None:
        assert ORGANIZATION not in json.dumps(description(LIFETIMES))

    def test_each_json_route_is_described_and_nothing_else_is(self) -> None:
        described = {
            f"{method.upper()} {path.lstrip('/')}"
            for path, methods in description(LIFETIMES)["paths"].items()
            for method in methods
        }
        assert described == set(registered()) - PAGES

    def test_it_says_who_is_asked_for_a_key(self) -> None:
        keyed = {
            f"{method.upper()} {path.lstrip('/')}"
            for path, methods in description(LIFETIMES)["paths"].items()
            for method, operation in methods.items()
            if {"functionKey": []} in operation["security"]
        }
        assert keyed == {name for name, level in registered().items() if level != "anonymous"}


def test_a_problem_is_as_described(lived: Lived) -> None:
    person, bearer = lived.owners[0]
    where = f"{lived.house.address}{lived.house.path(lived.token(person))}"
    owned = {"Authorization": f"Bearer {bearer}"}
    answers = [
        requests.post(f"{where}/{each}", headers=owned, timeout=30) for each in ("revoke", "rotate")
    ]
    assert [each.status_code for each in answers] == [200, 409]
    path = "/tokens/{organization}/{authorization_id}"
    schema[f"{path}/rotate"]["POST"].validate_response(answers[1])


def registered() -> dict[str, str]:
    """What answers HTTP, each action and each part by its own name, and whom it lets in."""
    host = Host(app, MemoryQueues(), FakeTime().clock)
    triggers = [each.trigger for each in host.functions.values() if each.kind == "httpTrigger"]
    return {
        f"{plain(trigger['methods'][0])} {route}": plain(trigger["authLevel"]).lower()
        for trigger in triggers
        for route in routes(trigger["route"])
    }


def routes(route: str) -> list[str]:
    stem = route.rpartition("/")[0]
    return [f"{stem}/{name}" for name in INNER[route]] if route in INNER else [route]


def plain(value: object) -> str:
    """A value of a binding, which is an enumeration in some versions of the library."""
    return str(getattr(value, "value", value))
