"""The mail as a person sees it, in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from pat_core.channels.render import Mail, Renderer
from pat_core.digest import compose
from pat_core.model import Deed, Notice
from pat_core.summary import Summary
from tests.builders import ANA, HOSTILE_NAMES, a_notice, a_token
from tests.fakes import NOW
from tests.unit.test_summary import RUN, SEEN, summary

Scheme = Literal["light", "dark"]
TOKEN = a_token("ci", 5)
NOTICES = [a_notice("expired", -1), a_notice("soon", 2), a_notice("ci-build-agent", 0.5)]
HOSTILE = [a_notice(name, 20) for name in HOSTILE_NAMES]

# For each text that can be seen: its colour, and that of what lies behind it.
COLOURS = """() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walk.nextNode()) {
    if (!walk.currentNode.textContent.trim()) continue;
    let box = walk.currentNode.parentElement;
    const ink = getComputedStyle(box).color;
    let ground = "rgba(0, 0, 0, 0)";
    for (; box && ground === "rgba(0, 0, 0, 0)"; box = box.parentElement)
      ground = getComputedStyle(box).backgroundColor;
    found.push([walk.currentNode.textContent.trim(), ink, ground]);
  }
  return found;
}"""


def digest() -> Mail:
    return Renderer().render(compose([*NOTICES, *HOSTILE], ANA.address), NOW)


def summary_of_trouble_found() -> Summary:
    trouble = replace(RUN, done=1, coverage=replace(SEEN, faults=HOSTILE_NAMES))
    poison = {"pat-users-poison": ["contoso, run x, 100 users"]}
    return summary(trouble, poison=poison, poisoned=1)


def summary_of_trouble() -> Mail:
    return Renderer().summary(summary_of_trouble_found())


def deeds() -> Mail:
    notices = [
        Notice(ANA, replace(TOKEN, display_name=name), 0, NOW, deed=deed, detail="It lives on.")
        for name, deed in zip(("ci", *HOSTILE_NAMES), cycle(Deed))
    ]
    return Renderer().render(compose(notices, ANA.address), NOW)


MAILS = [digest, summary_of_trouble, deeds]


def shown(browser: Browser, mail: Mail, width: int, scheme: Scheme, script: str) -> Any:  # noqa: ANN401 - whatever the page says
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.set_content(mail.html)
    answer = page.evaluate(script)
    page.close()
    assert faults == []
    return answer


def luminance(colour: str) -> float:
    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    parts = colour.removeprefix("rgb(").removesuffix(")").split(",")
    red, green, blue = (linear(int(part) / 255) for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("make", MAILS)
@pytest.mark.parametrize("width", [320, 640, 1200])
def test_it_never_has_to_be_scrolled_sideways(
    browser: Browser, width: int, make: Callable[[], Mail]
) -> None:
    wide = shown(browser, make(), width, "light", "document.documentElement.scrollWidth")
    assert wide <= width


@pytest.mark.parametrize("make", MAILS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    browser: Browser, scheme: Scheme, make: Callable[[], Mail]
) -> None:
    found = shown(browser, make(), 900, scheme, COLOURS)
    faint = [text for text, ink, ground in found if contrast(ink, ground) < 4.5]
    assert len(found) > 30
    assert faint == []


@pytest.mark.parametrize("make", MAILS)
def test_dark_mode_is_dark(browser: Browser, make: Callable[[], Mail]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert luminance(shown(browser, make(), 900, "light", ground)) > 0.8
    assert luminance(shown(browser, make(), 900, "dark", ground)) < 0.05
