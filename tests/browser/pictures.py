"""Takes the pictures of the README: `python -m tests.browser.pictures`."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from pat_core.channels.card import digest_card
from pat_core.channels.render import Renderer
from pat_core.digest import compose
from pat_core.model import Standing
from pat_core.views import Choices, TokenView
from pat_core.web.http import static
from pat_core.web.pages import Pages
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


def token(browser: Browser, scheme: Scheme) -> None:
    """A token's page with what its owner may choose."""
    notice = DIGEST.notices[0]
    view = TokenView("contoso", notice.token, notice.expires_at, Standing())
    choices = Choices(
        lifetimes_days=(30, 90, 180, 365),
        default_lifetime_days=90,
        can_snooze=False,
        has_vault=True,
    )
    html = Pages().token(view, choices, who="Ana Almeida", now=NOW)
    with browser.new_page(color_scheme=scheme, viewport={"width": 900, "height": 760}) as page:
        page.set_content(html)
        page.add_style_tag(content=static("style.css").body)
        page.screenshot(path=DOCS / f"token-{scheme}.png")


def main() -> None:
    """Take them all."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        for scheme in ("light", "dark"):
            mail(browser, scheme)
            token(browser, scheme)
        card(browser)
        browser.close()


if __name__ == "__main__":
    main()
