"""The pages as their owners meet them, in Chromium, under the policy that they are served with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

import pat_core.web
from tests.browser.test_accessibility import AXE, RULES, VALIDATE, need, violations
from tests.browser.test_mail import Scheme, luminance
from tests.fleet_samples import FLEET_SAMPLES, a_chart
from tests.samples import SAMPLES as OWNER_SAMPLES
from tests.samples import SECRET

STATIC = Path(pat_core.web.__file__).parent / "static"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; img-src 'self'"
)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
HOME = "https://pats.contoso.example"
SAMPLES = OWNER_SAMPLES | FLEET_SAMPLES


def answer(route: Route) -> None:
    path = route.request.url.removeprefix(HOME)
    file = STATIC / path.removeprefix("/static/")
    if path.startswith("/static/") and file.exists():
        route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
        return
    if path.startswith("/report/chart"):
        route.fulfill(body=a_chart(), content_type="image/svg+xml")
        return
    html = SAMPLES[path.removeprefix("/")]()
    headers = {"Content-Security-Policy": POLICY}
    route.fulfill(body=html, content_type="text/html; charset=utf-8", headers=headers)


@contextmanager
def opened(
    browser: Browser, name: str, *, width: int = 900, scheme: Scheme = "light", script: bool = True
) -> Iterator[Page]:
    """A page that says nothing on the console and asks for nothing that is not there."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
    )
    context.route("**/*", answer)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    page.on("pageerror", lambda fault: said.append(str(fault)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.goto(f"{HOME}/{name}")
    yield page
    context.close()
    assert said == []


def violations_everywhere(page: Page) -> list[tuple[str, int, str, str]]:
    """What axe-core finds in light and in dark, on a narrow and on a wide window."""
    # What is folded away is to be read too.
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    broken: list[tuple[str, int, str, str]] = []
    for scheme in SCHEMES:
        # Else a button fades from one colour to the other while it is looked at.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in (320, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            broken += [(scheme, width, rule, place) for rule, place in violations(page, TAGS)]
    return broken


@pytest.mark.parametrize("name", SAMPLES)
def test_axe_finds_nothing(browser: Browser, name: str) -> None:
    need(AXE)
    with opened(browser, name, width=320) as page:
        assert violations_everywhere(page) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_it_never_has_to_be_scrolled_sideways(browser: Browser, name: str) -> None:
    with opened(browser, name) as page:
        for width, size in ((320, 100), (640, 200), (735, 100), (736, 100)):
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("size => document.documentElement.style.fontSize = `${size}%`", size)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, size)


def test_the_html_is_valid(tmp_path: Path) -> None:
    need(VALIDATE)
    rules = tmp_path / ".htmlvalidate.json"
    rules.write_text(json.dumps({"extends": RULES["extends"]}), encoding="utf-8")
    pages = [tmp_path / f"{name}.html" for name in SAMPLES]
    for page in pages:
        page.write_text(SAMPLES[page.stem](), encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - our own words
        [VALIDATE, "--config", rules, "--formatter", "text", *pages],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dark_mode_is_dark(browser: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, "token") as page:
        assert luminance(page.evaluate(ground)) > 0.8
    with opened(browser, "token", scheme="dark") as page:
        assert luminance(page.evaluate(ground)) < 0.05


def test_who_wants_no_motion_sees_none(browser: Browser) -> None:
    lasting = "getComputedStyle(document.querySelector('button')).transitionDuration"
    with opened(browser, "token") as page:
        assert page.evaluate(lasting) != "0s"
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate(lasting) == "0s"


class TestTheSecret:
    def test_a_click_copies_it_and_says_so(self, browser: Browser) -> None:
        with opened(browser, "rotated") as page:
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            page.get_by_role("button", name="Copy").click()
            page.get_by_role("status").get_by_text("Copied").wait_for()
            assert page.evaluate("navigator.clipboard.readText()") == SECRET

    def test_where_copying_is_not_allowed_it_is_selected(self, browser: Browser) -> None:
        with opened(browser, "rotated") as page:
            refuse = "() => { navigator.clipboard.writeText = () => Promise.reject('no'); }"
            page.evaluate(refuse)
            page.get_by_role("button", name="Copy").click()
            page.get_by_role("status").get_by_text("Not copied").wait_for()
            assert page.evaluate("document.getSelection().toString()") == SECRET

    @pytest.mark.parametrize("width", [320, 1280])
    def test_all_of_it_is_seen(self, browser: Browser, width: int) -> None:
        with opened(browser, "rotated", width=width) as page:
            field = page.get_by_role("textbox", name="The new token")
            assert field.evaluate("each => each.scrollHeight <= each.clientHeight")

    def test_without_a_script_there_is_no_button_that_does_nothing(self, browser: Browser) -> None:
        with opened(browser, "rotated", script=False) as page:
            assert not page.locator("#copy").is_visible()
            assert page.get_by_role("textbox", name="The new token").input_value() == SECRET


class TestTheKeyboard:
    def test_the_first_stop_leads_past_the_head(self, browser: Browser) -> None:
        with opened(browser, "token") as page:
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.id") == "main"

    def test_every_stop_is_seen(self, browser: Browser) -> None:
        with opened(browser, "token") as page:
            stops = page.locator("main :is(a, button, select, input:checked, summary)").count()
            page.locator("main").focus()
            for _ in range(stops - 1):
                page.keyboard.press("Tab")
                outline = "getComputedStyle(document.activeElement).outlineStyle"
                assert page.evaluate(outline) == "solid"

    def test_one_button_is_louder_than_the_rest(self, browser: Browser) -> None:
        for name in ("token", "rotated", "handed-over", "superseded-trouble", "given-up"):
            with opened(browser, name) as page:
                assert page.locator("main button.first").count() == 1
