"""The owner's whole walk in Chromium, over the commands as a newcomer runs them."""

from __future__ import annotations

import csv
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route

from pat_core.local.outbox import read_stored, stored_names
from tests.azurite import free_ports
from tests.browser.test_accessibility import AXE, need
from tests.browser.test_mail import Scheme
from tests.browser.test_pages import violations_everywhere

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Serve:
    """A running `serve`, its folder, and the mails that it has written."""

    address: str
    folder: Path

    def links(self) -> list[tuple[str, str]]:
        """Recipients and links of mails about one token with a week to live, in a fixed order."""
        found, outbox = [], self.folder / "outbox"
        for name in stored_names(outbox):
            mail = read_stored(outbox, name)
            days = re.search(r"expires in (\d+) days", mail.subject) if mail else None
            # A policy of the embedded organization forbids new tokens with full access.
            may = mail and "full access" not in mail.part("html")
            if mail and may and not mail.is_card and days and int(days[1]) > 7:
                link = re.search(r'href="(http://127[^"]*/tokens/[^"]*)"', mail.part("html"))
                assert link
                found.append((mail.recipient, link[1]))
        return sorted(found)

    def tokens_made(self) -> int:
        """How many tokens were made since the organization was."""
        changes = self.folder / "changes.json"
        made = r'"secret_sha256": "\w'
        return len(re.findall(made, changes.read_text())) if changes.exists() else 0

    def state(self) -> tuple[bytes, list[object]]:
        """What Azure DevOps and the ledger hold, but for who is signed in."""
        changes = self.folder / "changes.json"
        with closing(sqlite3.connect(self.folder / "ledger.sqlite")) as ledger:
            tables = ledger.execute("select name from sqlite_master where type = 'table'")
            rows = [
                row
                for (table,) in tables.fetchall()
                for row in ledger.execute(f'select * from "{table}"').fetchall()  # noqa: S608 - its own names
                if "session" not in map(str, row)
            ]
        return changes.read_bytes() if changes.exists() else b"", rows


def post(address: str) -> None:
    urlopen(Request(address, method="POST"), timeout=60).read()  # noqa: S310 - loopback


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with served(tmp_path_factory.mktemp("desk")) as found:
        yield found


@contextmanager
def served(folder: Path) -> Iterator[Serve]:
    """What `serve` shows in an empty folder once its first scan is over and everybody is told."""
    (port,) = free_ports(1)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAT_")}
    command = [sys.executable, "-u", "-m", "pat_core", "serve", "--port", str(port)]
    running = subprocess.Popen(  # noqa: S603 - our own words
        command,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout
    assert "outbox" in running.stdout.readline()
    address = f"http://127.0.0.1:{port}"
    found = Serve(address, folder / ".local")
    before = -1
    while before < (before := len(found.links())) or before == 0:
        # Until no more come: the first scan is over then, and the order of the links is fixed.
        subprocess.run(["sleep", "1"], check=True)  # noqa: S607 - in every system
        post(f"{address}/admin/functions/send_digests")
    assert before > 8
    yield found
    running.send_signal(signal.SIGINT)
    running.wait(20)
    running.stdout.close()


@contextmanager
def signed_in(
    browser: Browser, serve: Serve, number: int, *, script: bool = True
) -> Iterator[tuple[Page, str]]:
    """A page on which somebody followed a mail's link and signed in; and that link."""
    context = browser.new_context(java_script_enabled=script)
    said: list[str] = []
    page = watched(context, said)
    recipient, link = serve.links()[number]
    page.goto(link)
    page.goto(f"{page.url}&login_hint={recipient}")
    page.locator("a").filter(has_text=recipient).first.click()
    assert page.url == link
    yield page, link
    context.close()
    assert said == []


def watched(context: BrowserContext, said: list[str]) -> Page:
    page = context.new_page()
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda fault: said.append(str(fault)))
    return page


def rotate(page: Page, where: str) -> None:
    page.get_by_label(where).check()
    page.locator("form[action$='/rotate'] button").click()
    page.wait_for_load_state()


class TestToThePage:
    @pytest.mark.parametrize(("number", "script"), [(0, True), (1, False)], ids=["script", "none"])
    def test_it_is_shown_once_stored_and_the_old_one_revoked(
        self, browser: Browser, serve: Serve, number: int, script: bool
    ) -> None:
        with signed_in(browser, serve, number, script=script) as (page, link):
            rotate(page, "Onto the next page")
            field = page.get_by_role("textbox", name="The new token")
            secret = field.input_value()
            assert len(secret) == 84
            assert not field.is_editable()
            assert page.get_by_role("button", name="Copy").is_visible() is script
            page.reload()
            assert secret not in page.content()
            assert page.get_by_role("textbox", name="The new token").count() == 0
            page.goto(link)
            # Chromium asks whether to send the form again, and has no page to show.
            with pytest.raises(Error, match="ERR_CACHE_MISS"):
                page.go_back()
            page.wait_for_url("chrome-error://**")
            page.goto(link)
            page.get_by_role("button", name="I have stored it").click()
            page.get_by_role("button", name="Revoke the old one now").click()
            page.goto(link)
            assert "revoked" in page.inner_text("main")
            page.get_by_role("link", name="a new token").first.click()
            assert page.url != link


class TestToTheVault:
    def test_its_place_is_shown_and_how_to_read_it(self, browser: Browser, serve: Serve) -> None:
        with signed_in(browser, serve, 2) as (page, _):
            rotate(page, "Into the Key Vault")
            text = page.inner_text("main")
            assert "az keyvault secret show" in text
            assert "pat-contoso-demo-" in text
            assert "AZDO" not in page.content()


class TestOtherChoices:
    def test_each_is_done_and_said(self, browser: Browser, serve: Serve) -> None:
        with signed_in(browser, serve, 8) as (page, _):
            page.locator("form[action$='/let-expire'] button").click()
            assert "not be reminded" in page.get_by_role("status").inner_text()
            page.locator("form[action$='/remind'] button").first.click()
            assert "reminded again" in page.get_by_role("status").inner_text()
            page.locator("form[action$='/snooze'] button").click()
            assert "reminded later" in page.get_by_role("status").inner_text()
            page.locator("form[action$='/extend'] button").click()
            assert "extended" in page.get_by_role("status").inner_text()


class TestRefusals:
    def test_a_policy_is_told_in_words_and_the_old_token_stays(
        self, browser: Browser, serve: Serve
    ) -> None:
        with signed_in_quietly(browser, serve, 0, whom="kofi.lindqvist@contoso.example") as page:
            page.goto(f"{serve.address}/tokens")
            # It has full access, which the embedded organization forbids to new tokens.
            page.get_by_role("link", name="migration script").first.click()
            before, link = serve.tokens_made(), page.url
            rotate(page, "Onto the next page")
            assert "forbids tokens with full access" in page.inner_text("main")
            assert serve.tokens_made() == before
            page.goto(link)
            assert page.locator("form[action$='/rotate'] button").count() == 1


class TestHarmless:
    def test_somebody_elses_token_and_none_at_all_look_the_same(
        self, browser: Browser, serve: Serve
    ) -> None:
        foreign = serve.links()[4][1]
        with signed_in_quietly(browser, serve, 3) as page:
            texts = []
            for path in (foreign, foreign[:-12] + "0" * 12, foreign.replace("contoso-demo", "x")):
                answer = page.goto(path)
                assert answer
                assert answer.status == 404
                texts.append(page.inner_text("main"))
        assert len(set(texts)) == 1

    def test_a_double_click_makes_one_new_token_and_shows_it(
        self, browser: Browser, serve: Serve
    ) -> None:
        with signed_in(browser, serve, 5) as (page, _):
            before = serve.tokens_made()
            page.get_by_label("Onto the next page").check()
            page.locator("form[action$='/rotate'] button").dblclick()
            assert page.get_by_role("textbox", name="The new token").input_value()
            assert serve.tokens_made() == before + 1

    def test_whoever_clicks_again_while_waiting_still_gets_the_first_answer(
        self, browser: Browser, serve: Serve
    ) -> None:
        with signed_in(browser, serve, 9) as (page, link):
            held: list[Route] = []
            page.route("**/rotate", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
            page.get_by_label("Onto the next page").check()
            button = page.locator("form[action$='/rotate'] button")
            button.scroll_into_view_if_needed()
            box = button.bounding_box()
            assert box
            for _ in range(2):
                # A locator's own click would wait for the answer.
                page.mouse.click(box["x"] + 9, box["y"] + 9)
                page.wait_for_timeout(200)
            assert len(held) == 1
            held[0].continue_()
            assert page.get_by_role("textbox", name="The new token").input_value()
            page.goto(link)
            page.get_by_role("button", name="start again").click()
            assert "can rotate again" in page.get_by_role("status").inner_text()

    def test_two_windows_at_once_make_one_new_token(self, browser: Browser, serve: Serve) -> None:
        with signed_in(browser, serve, 10) as (page, link):
            before, other = serve.tokens_made(), page.context.new_page()
            other.goto(link)
            for each in (page, other):
                each.get_by_label("Onto the next page").check()
            for each in (page, other):
                each.locator("form[action$='/rotate'] button").click(no_wait_after=True)
            for each in (page, other):
                each.wait_for_load_state()
            fields = [each.get_by_role("textbox", name="The new token") for each in (page, other)]
            page.get_by_role("heading", level=1).wait_for()
            assert sum(field.count() for field in fields) == 1
            assert serve.tokens_made() == before + 1

    def test_a_scanner_that_opens_every_link_changes_nothing(
        self, browser: Browser, serve: Serve
    ) -> None:
        with signed_in_quietly(browser, serve, 6) as page:
            before = serve.state()
            links = [link for _, link in serve.links()[:10]]
            page.goto(serve.links()[6][1])
            own = page.eval_on_selector_all("a", "all => all.map(each => each.href)")
            for link in [*links, *own]:
                if link.startswith(serve.address):
                    page.goto(link)
            assert serve.state() == before

    def test_after_signing_out_the_session_is_over(self, browser: Browser, serve: Serve) -> None:
        with signed_in(browser, serve, 7) as (page, link):
            page.get_by_role("button", name="Sign out").click()
            assert "signed out" in page.inner_text("main").lower()
            page.goto(link)
            assert "/authorize" in page.url


@contextmanager
def signed_in_quietly(
    browser: Browser, serve: Serve, number: int, *, whom: str = ""
) -> Iterator[Page]:
    """As `signed_in`, where the browser may complain of refusals; `whom` has another address."""
    with browser.new_context() as context:
        page = context.new_page()
        recipient, link = serve.links()[number]
        recipient = whom or recipient
        page.goto(link)
        page.goto(f"{page.url}&login_hint={recipient}")
        page.locator("a").filter(has_text=recipient).first.click()
        yield page


class TestTheFleet:
    """An administrator at the pages as they are served."""

    def test_a_filter_a_page_further_and_an_export(
        self, browser: Browser, serve: Serve, tmp_path: Path
    ) -> None:
        with at_the_fleet(browser, serve) as page:
            assert page.evaluate("document.querySelector('img.chart').naturalWidth") > 0
            first = page.locator("table.fleet tbody tr").count()
            page.get_by_role("link", name="Next page").click()
            assert 0 < page.locator("table.fleet tbody tr").count() <= first
            page.get_by_role("link", name="First page").click()
            page.get_by_label("Risk").select_option("full-access")
            page.get_by_role("button", name="Show", exact=True).click()
            assert "risk=full-access" in page.url
            shown = page.locator("table.fleet tbody tr")
            assert all("Full access" in text for text in shown.all_inner_texts())
            with page.expect_download() as download:
                page.get_by_role("link", name="CSV").click()
            file = tmp_path / "fleet.csv"
            download.value.save_as(file)
            text = file.read_text(encoding="utf-8-sig")
            found = list(csv.DictReader(StringIO(text, newline="")))
            assert {each["risk"] for each in found} == {"full-access"}
            assert len(found) >= shown.count()

    def test_axe_finds_nothing_on_any_of_them(self, browser: Browser, serve: Serve) -> None:
        need(AXE)
        with at_the_fleet(browser, serve) as page:
            token = page.locator("table.fleet th a").first.get_attribute("href")
            for path in ("/report", token, "/report/forecast", "/report/trail"):
                page.goto(f"{serve.address}{path}")
                assert violations_everywhere(page) == []

    def test_a_revocation_needs_a_reason_and_is_told(self, browser: Browser, serve: Serve) -> None:
        with at_the_fleet(browser, serve) as page:
            page.goto(f"{serve.address}/report?sort=created")
            # One that no mail was about, so that no other test wants it.
            row = page.locator("table.fleet tbody tr").filter(has_text="none yet").first
            row.locator("th a").click()
            revoke = page.get_by_role("button", name="Revoke")
            revoke.click()
            # Chromium itself asks for the reason, and nothing is sent.
            assert "told=" not in page.url
            page.get_by_label("Reason").fill("leaked in a build log")
            revoke.click()
            assert "told=revoke" in page.url
            assert "leaked in a build log" in page.inner_text("main")
            page.goto(f"{serve.address}/report/trail")
            assert "leaked in a build log" in page.inner_text("main")

    def test_whoever_is_no_administrator_is_told_so(self, browser: Browser, serve: Serve) -> None:
        kofi = "kofi.lindqvist@contoso.example"
        with signed_in_quietly(browser, serve, 0, whom=kofi) as page:
            answer = page.goto(f"{serve.address}/report")
            assert answer
            assert answer.status == 403
            assert "for administrators" in page.inner_text("h1")


@contextmanager
def at_the_fleet(browser: Browser, serve: Serve, scheme: Scheme = "light") -> Iterator[Page]:
    """The report as an administrator sees it who has just signed in."""
    context = browser.new_context(color_scheme=scheme, accept_downloads=True)
    said: list[str] = []
    page = watched(context, said)
    page.goto(f"{serve.address}/report")
    page.locator("a").filter(has_text="administrator").first.click()
    page.wait_for_load_state()
    assert page.url == f"{serve.address}/report"
    yield page
    context.close()
    assert said == []
