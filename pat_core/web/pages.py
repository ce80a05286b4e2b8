"""The pages that owners see, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pat_core.rotations import Rotation
from pat_core.views import Choices, Problem, TokenView
from pat_core.web.words import FILTERS, GLOBALS

if TYPE_CHECKING:
    from jinja2 import Environment

Shown = Literal["active", "expired", "all"]


class Pages:
    """Makes pages; `who` is the signed-in person's name or address, "" for nobody."""

    def tokens(
        self,
        views: Iterable[TokenView],
        *,
        shown: Shown,
        faults: Sequence[str],
        who: str,
        now: datetime,
        left_out: Sequence[str] = (),
        is_admin: bool = False,
    ) -> str:
        """The list of those of an owner's tokens that are to be shown, aware UTC `now`.

        The soonest expiry comes first; those that are over follow, the latest first. `faults`
        holds a sentence for each organization that could not be read, `left_out` the names of those
        that do not accept the owner's sign-in.
        """
        listed = [
            view
            for view in _in_order(views, now)
            if shown == "all" or view.is_living(now) == (shown == "active")
        ]
        return self._page(
            "tokens.html",
            who,
            views=listed,
            shown=shown,
            faults=faults,
            left_out=left_out,
            now=now,
            is_admin=is_admin,
        )

    def token(
        self,
        view: TokenView,
        choices: Choices,
        *,
        who: str,
        now: datetime,
        told: str = "",
        problem: Problem | None = None,
    ) -> str:
        """The page of one token with its choices, aware UTC `now`.

        `told` is what was just done, `problem` why it was not.
        """
        return self._page(
            "token.html",
            who,
            view=view,
            choices=choices,
            rotation=view.rotation,
            vault_url=choices.vault_url,
            now=now,
            told=told,
            problem=problem,
        )

    def rotated(
        self,
        view: TokenView,
        rotation: Rotation,
        *,
        secret: str | None,
        tried: bool | None,
        who: str,
        now: datetime,
        vault_url: str = "",
    ) -> str:
        """What came of a rotation, aware UTC `now`; with a `secret`, the only page that shows it.

        `tried` is true where Azure DevOps took the new token, None where that could not be tried.
        """
        return self._page(
            "rotated.html",
            who,
            view=replace(view, rotation=rotation),
            rotation=rotation,
            secret=secret,
            tried=tried,
            now=now,
            vault_url=vault_url,
        )

    def problem(self, problem: Problem, *, who: str) -> str:
        """The page that says what went wrong."""
        return self._page("problem.html", who, problem=problem)

    def signed_out(self) -> str:
        """The page after signing out."""
        return self._page("signed_out.html", "")

    def _page(self, template: str, who: str, **words: object) -> str:
        return self._environment.get_template(template).render(who=who, **words)

    @cached_property
    def _environment(self) -> Environment:
        # Whoever follows a link is led to the sign-in first, without any page.
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - said above

        environment = Environment(
            loader=PackageLoader("pat_core.web"),
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(FILTERS)
        environment.globals.update(GLOBALS)
        return environment


def _in_order(views: Iterable[TokenView], now: datetime) -> list[TokenView]:
    def rank(view: TokenView) -> tuple[bool, float, str]:
        living = view.is_living(now)
        end = view.expires_at.timestamp()
        return not living, end if living else -end, view.name

    return sorted(views, key=rank)
