"""Mails and pages under axe-core (WCAG 2.2 A and AA) and html-validate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pat_core.channels.render import Mail
from tests.browser.test_mail import MAILS, Scheme

TOOLS = Path(__file__).parents[1] / "node_modules"
AXE = TOOLS / "axe-core" / "axe.min.js"
VALIDATE = TOOLS / ".bin" / "html-validate"
RULES = {
    "extends": ["html-validate:recommended"],
    # Outlook knows styles only inline, and the measures of a table only as attributes.
    "rules": {"no-inline-style": "off", "no-deprecated-attr": "off"},
}

RUN = """tags => axe.run({runOnly: tags, resultTypes: ["violations"]}).then(found => [
    found.passes.length, found.violations.map(each => [each.id, each.nodes[0].html])])"""


def need(tool: Path) -> None:
    if tool.exists() and shutil.which("node"):
        return
    reason = f"{tool.name} is not installed; `npm ci --prefix tests` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def violations(page: Page, tags: list[str]) -> list[list[str]]:
    """What axe-core finds on a page: each rule that is broken, and the first place that breaks it.

    Only that comes back from the browser: to hand over all that it found takes longer than to find.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    passes, broken = page.evaluate(RUN, tags)
    assert passes
    found: list[list[str]] = broken
    return found


@pytest.mark.parametrize("make", MAILS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 900])
def test_axe_finds_nothing(
    browser: Browser, make: Callable[[], Mail], scheme: Scheme, width: int
) -> None:
    need(AXE)
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_content(make().html)
    found = violations(page, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])
    page.close()
    assert found == []


@pytest.mark.parametrize("make", MAILS)
def test_the_html_is_valid(make: Callable[[], Mail], tmp_path: Path) -> None:
    need(VALIDATE)
    mail, rules = tmp_path / "mail.html", tmp_path / ".htmlvalidate.json"
    mail.write_text(make().html, encoding="utf-8")
    rules.write_text(json.dumps(RULES), encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - our own words
        [VALIDATE, "--config", rules, "--formatter", "text", mail],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
