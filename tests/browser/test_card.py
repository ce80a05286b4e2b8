"""Cards as the renderer of Adaptive Cards shows them, in Chromium."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from pat_core.channels.card import digest_card, summary_card
from pat_core.channels.render import Renderer
from pat_core.digest import compose
from tests.browser.test_accessibility import TOOLS, need
from tests.browser.test_mail import HOSTILE, NOTICES, Scheme, summary_of_trouble_found
from tests.builders import ANA
from tests.fakes import NOW

RENDERER = TOOLS / "adaptivecards" / "dist" / "adaptivecards.min.js"
# What Teams does with the text of a card, as far as our cards have need of it.
SHOW = r"""([card, dark]) => {
  const ink = dark ? "#e8eaee" : "#242424", quiet = dark ? "#adadad" : "#616161";
  const colour = (plain, subtle = plain) => ({default: plain, subtle});
  const colours = {
    default: colour(ink, quiet),
    accent: colour(dark ? "#8ab4f8" : "#1a56db"),
    attention: colour(dark ? "#fbb4b4" : "#9b1c1c"),
    warning: colour(dark ? "#fbd38d" : "#7c4a03"),
  };
  const made = new AdaptiveCards.AdaptiveCard();
  made.hostConfig = new AdaptiveCards.HostConfig({
    fontFamily: "Segoe UI, Roboto, Helvetica, Arial, sans-serif",
    separator: {lineThickness: 1, lineColor: dark ? "#3d3d3d" : "#e0e0e0"},
    containerStyles: {default: {backgroundColor: "#00000000", foregroundColors: colours}},
  });
  AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
    const holder = document.createElement("span");
    holder.textContent = text.replace(/\\(.)/g, "$1");
    result.outputHtml = holder.innerHTML.replace(
      /&lt;at&gt;(.*?)&lt;\/at&gt;/g, "<strong>$1</strong>");
    result.didProcess = true;
  };
  made.parse(card);
  document.body.style.background = dark ? "#1f1f1f" : "#ffffff";
  document.getElementById("card").append(made.render());
}"""


def show(page: Page, message: dict[str, Any]) -> None:
    """Render the card of a message on an empty page."""
    need(RENDERER)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.set_content('<!DOCTYPE html><html lang="en"><title>A card</title><main id="card"></main>')
    page.add_script_tag(path=RENDERER)
    page.evaluate(SHOW, [message["attachments"][0]["content"], dark])


def digest_message() -> dict[str, Any]:
    return digest_card(compose([*NOTICES, *HOSTILE], ANA.address), Renderer(), NOW)


def summary_message() -> dict[str, Any]:
    return summary_card(summary_of_trouble_found())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("message", [digest_message(), summary_message()], ids=["digest", "ops"])
def test_the_renderer_shows_all_of_it_and_runs_none(
    browser: Browser, message: dict[str, Any], scheme: Scheme
) -> None:
    said: list[str] = []
    with browser.new_page(color_scheme=scheme, viewport={"width": 480, "height": 800}) as page:
        page.on("console", lambda line: said.append(line.text))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        show(page, message)
        shown = page.inner_text("main")
        assert page.locator("main script, main img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 480
    texts = [each for each in json.dumps(message).split('"') if each.startswith("Expires in")]
    assert all(text.split(" \\u00b7")[0] in shown for text in texts)
    assert "\\" not in shown
    assert said == []


def test_the_owner_is_mentioned_by_name_and_one_button_opens_the_tokens(browser: Browser) -> None:
    with browser.new_page(viewport={"width": 480, "height": 800}) as page:
        show(page, digest_message())
        assert page.inner_text("main strong") == "Ana Almeida"
        assert page.locator("main button").all_inner_texts() == ["Open tokens"]
