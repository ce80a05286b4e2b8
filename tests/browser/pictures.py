"""Takes the pictures of the README: `python -m tests.browser.pictures`."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from pat_core.channels.card import digest_card
from pat_core.channels.render import Renderer
from pat_core.digest import compose
from pat_core.model import Standing
from pat_core.rotations import Rotation, RotationState
from pat_core.views import Choices, TokenView
from pat_core.web.http import static
from pat_core.web.pages import Pages
from tests.browser.conftest import FLAGS
from tests.browser.test_card import show
from tests.browser.test_mail import Scheme
from tests.browser.test_walk import at_the_fleet, served
from tests.builders import ANA, a_notice
from tests.fakes import NOW

SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
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
    _shoot(browser, f"token-{scheme}", html, scheme, 760)


def tokens(browser: Browser) -> None:
    """All tokens of an owner."""
    views = [
        TokenView("contoso", notice.token, notice.expires_at, Standing())
        for notice in [*DIGEST.notices, a_notice("laptop git", 140, scope="vso.code_write")]
    ]
    html = Pages().tokens(views, shown="active", faults=[], who="Ana Almeida", now=NOW)
    _shoot(browser, "tokens", html, "light", 560)


def rotated(browser: Browser) -> None:
    """What comes of a rotation: the new token, once. This one was never one."""
    old = DIGEST.notices[0].token
    rotation = Rotation(
        old.authorization_id,
        RotationState.HANDED_OVER,
        NOW,
        NOW + timedelta(days=90),
        timedelta(hours=24),
        new_id="00000000-0000-4000-8000-000000000000",
        new_valid_to=NOW + timedelta(days=90),
    )
    view = TokenView("contoso", old, DIGEST.notices[0].expires_at, Standing(), rotation)
    html = Pages().rotated(
        view,
        rotation,
        secret="shown-once-" + "x" * 73,
        tried=True,
        who="Ana Almeida",
        now=NOW,
        vault_url="",
    )
    _shoot(browser, "rotated", html, "light", 560)


def fleet(browser: Browser) -> None:
    """The fleet of the embedded organization, as `make serve` shows it."""
    with TemporaryDirectory() as folder, served(Path(folder)) as serve:
        with at_the_fleet(browser, serve) as page:
            page.set_viewport_size({"width": 1200, "height": 1010})
            page.screenshot(path=DOCS / "fleet-light.png")
        with at_the_fleet(browser, serve, "dark") as page:
            page.set_viewport_size({"width": 1200, "height": 900})
            page.locator("#tokens").evaluate("each => each.scrollIntoView()")
            page.screenshot(path=DOCS / "fleet-dark.png")


def _shoot(browser: Browser, name: str, html: str, scheme: Scheme, height: int) -> None:
    size: ViewportSize = {"width": 900, "height": height}
    with browser.new_page(color_scheme=scheme, viewport=size) as page:
        page.set_content(html)
        page.add_style_tag(content=str(static("style.css").body))
        page.screenshot(path=DOCS / f"{name}.png")


def main() -> None:
    """Take them all."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        for scheme in SCHEMES:
            mail(browser, scheme)
            token(browser, scheme)
        card(browser)
        tokens(browser)
        rotated(browser)
        fleet(browser)
        browser.close()


if __name__ == "__main__":
    main()
