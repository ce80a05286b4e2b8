"""Takes the pictures of the README: `python -m tests.browser.pictures`."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from pat_core.channels.card import digest_card
from pat_core.channels.render import Renderer
from pat_core.digest import compose
from tests.browser.conftest import FLAGS
from tests.browser.test_card import show
from tests.browser.test_mail import Scheme
from tests.builders import ANA, a_notice
from tests.fakes import NOW

DOCS = Path(__file__).parents[2] / "docs"
DIGEST = compose(
    [
        a_notice("ci-build-agent", 0.9, scope="vso.build_execute vso.code"),
        a_notice("terraform", 6, scope="vso.code_manage vso.project_manage"),
        a_notice("nuget feed", 13, scope="vso.packaging"),
    ],
    ANA.address,
)


def mail(browser: Browser, scheme: Scheme) -> None:
    """A mail as it is read in light or in dark."""
    with browser.new_page(color_scheme=scheme, viewport={"width": 760, "height": 900}) as page:
        page.set_content(Renderer("https://pats.contoso.com").render(DIGEST, NOW).html)
        page.screenshot(path=DOCS / f"mail-{scheme}.png", full_page=True)


def card(browser: Browser) -> None:
    """A card as the renderer of Adaptive Cards shows it."""
    with browser.new_page(viewport={"width": 560, "height": 200}) as page:
        show(page, digest_card(DIGEST, Renderer("https://pats.contoso.com"), NOW))
        page.screenshot(path=DOCS / "card.png", full_page=True)


def main() -> None:
    """Take them all."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        mail(browser, "light")
        mail(browser, "dark")
        card(browser)
        browser.close()


if __name__ == "__main__":
    main()
