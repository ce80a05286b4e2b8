"""Every kind of page that an owner may see, by name, filled with the small fixed cast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pat_core.expiry import effective_expiry
from pat_core.model import Standing, Token
from pat_core.rotations import Rotation, RotationState
from pat_core.views import Choices, Problem, TokenView
from pat_core.web.pages import Pages
from tests.builders import ANA, HOSTILE_NAMES, a_token
from tests.fakes import NOW

PAGES: Final = Pages()
WHO: Final = "Ana Almeida"
VAULT_URL: Final = "https://contoso-pats.vault.azure.net"
SECRET: Final = "aB3" * 28
CHOICES: Final = Choices(
    lifetimes_days=(7, 30, 90, 180),
    default_lifetime_days=90,
    can_snooze=True,
    has_vault=True,
    vault_url=VAULT_URL,
)
NO_VAULT: Final = replace(CHOICES, has_vault=False, vault_url="")
LOCKED: Final = Problem(
    409,
    "The token was not extended",
    "The policy of contoso allows no token to live longer than 90 days.",
    "Choose 90 days or fewer.",
)


def a_view(token: Token | None = None, **known: Rotation | Standing | None) -> TokenView:
    """A token of Ana's as its page sees it."""
    token = token or a_token("ci-build-agent", 5, scope="vso.build_execute vso.code_write")
    base = TokenView(ANA.organization, token, effective_expiry(token), Standing())
    return replace(base, **known)  # type: ignore[arg-type]


def a_rotation(state: RotationState = RotationState.SUPERSEDED, *, vault: bool = False) -> Rotation:
    """A rotation that is as far as that, with what is known of it by then."""
    made = state is not RotationState.REQUESTED
    return Rotation(
        "ci-build-agent",
        state,
        requested_at=NOW - timedelta(minutes=2),
        asked_valid_to=NOW + timedelta(days=90),
        overlap=timedelta(hours=24),
        vault_name="contoso-ci-build-agent-4f2a" if vault else "",
        vault_version="0f1e2d3c4b5a69788796a5b4c3d2e1f0" if vault and made else "",
        new_id="new-one" if made else "",
        new_valid_to=NOW + timedelta(days=90) if made else None,
        revoke_at=NOW + timedelta(hours=24) if state is RotationState.SUPERSEDED else None,
    )


def a_token_page(view: TokenView, choices: Choices = CHOICES) -> str:
    """The page of one token."""
    return PAGES.token(view, choices, who=WHO, now=NOW)


def in_state(state: RotationState, *, vault: bool = False, trouble: str = "") -> str:
    """The page of a token whose rotation is as far as that."""
    return a_token_page(a_view(rotation=replace(a_rotation(state, vault=vault), trouble=trouble)))


def kept_for(overlap: timedelta) -> Rotation:
    """A rotation whose old token lives on for so long."""
    return replace(a_rotation(), overlap=overlap, revoke_at=NOW + overlap)


def many() -> list[TokenView]:
    """Tokens in every condition, one of each."""
    old = a_token("nuget feed", -3, scope="vso.packaging")
    return [
        a_view(a_token("deploy", 0.7, scope="vso.release_manage vso.code"), origin=a_rotation()),
        a_view(),
        a_view(a_token("terraform", 2, scope="vso.project_manage")),
        a_view(a_token("report", 20), standing=Standing(snoozed_until=NOW + timedelta(days=3))),
        a_view(a_token("old script", 9), standing=Standing(lets_expire=True)),
        a_view(replace(a_token("everywhere", 60, scope="app_token"), is_global=True)),
        a_view(a_token("agent pool", 12), rotation=a_rotation()),
        a_view(a_token("wiki", 15), rotation=a_rotation(RotationState.HANDED_OVER)),
        a_view(old),
        a_view(a_token("leaked", 30, is_valid=False)),
    ]


def hostile() -> list[TokenView]:
    """Tokens, organizations and troubles by people who mean no good."""
    trouble = replace(a_rotation(vault=True), trouble=HOSTILE_NAMES[0], vault_name=HOSTILE_NAMES[1])
    views = [
        a_view(a_token(name, 5 + place, scope=name), rotation=trouble)
        for place, name in enumerate(HOSTILE_NAMES)
    ]
    return [replace(view, organization=view.token.display_name) for view in views]


def a_list(views: list[TokenView], *faults: str) -> str:
    """The list of all of them."""
    return PAGES.tokens(views, shown="all", faults=faults, who=WHO, now=NOW)


def shown_once(*, tried: bool | None = True) -> str:
    """The one page that shows a secret."""
    rotation = a_rotation(RotationState.HANDED_OVER)
    return PAGES.rotated(a_view(), rotation, secret=SECRET, tried=tried, who=WHO, now=NOW)


def into_vault() -> str:
    """The page after a rotation whose token went to the vault."""
    rotation = a_rotation(vault=True)
    return PAGES.rotated(
        a_view(), rotation, secret=None, tried=True, who=WHO, now=NOW, vault_url=VAULT_URL
    )


_FAULT: Final = "fabrikam could not be read: you may not list tokens there."
_LAST_DAY: Final = replace(NO_VAULT, can_snooze=False)
SAMPLES: Final[dict[str, Callable[[], str]]] = {
    "tokens": lambda: a_list(many()),
    "tokens-faults": lambda: a_list(many()[:2], _FAULT),
    "tokens-none": lambda: PAGES.tokens([], shown="active", faults=(), who=WHO, now=NOW),
    "tokens-left-out": lambda: PAGES.tokens(
        many()[:2], shown="all", faults=(), left_out=["fabrikam", "tailspin"], who=WHO, now=NOW
    ),
    "tokens-hostile": lambda: a_list(hostile(), *HOSTILE_NAMES),
    "token": lambda: a_token_page(a_view()),
    "token-last-day": lambda: a_token_page(many()[0], _LAST_DAY),
    "token-snoozed": lambda: a_token_page(many()[3]),
    "token-left": lambda: a_token_page(many()[4]),
    "token-global": lambda: a_token_page(many()[5]),
    "token-expired": lambda: a_token_page(many()[8]),
    "token-revoked": lambda: a_token_page(many()[9]),
    "token-hostile": lambda: a_token_page(hostile()[3]),
    "token-problem": lambda: PAGES.token(a_view(), CHOICES, who=WHO, now=NOW, problem=LOCKED),
    "token-told": lambda: PAGES.token(
        a_view(), CHOICES, who=WHO, now=NOW, told="It now lives until Mon 22 Feb 2027."
    ),
    "requested": lambda: in_state(RotationState.REQUESTED),
    "issued": lambda: in_state(RotationState.ISSUED, vault=True, trouble="The vault is silent."),
    "handed-over": lambda: in_state(RotationState.HANDED_OVER),
    "handed-over-vault": lambda: in_state(RotationState.HANDED_OVER, vault=True),
    "superseded": lambda: in_state(RotationState.SUPERSEDED),
    "superseded-longest": lambda: a_token_page(a_view(rotation=kept_for(timedelta(days=5)))),
    "superseded-vault": lambda: in_state(RotationState.SUPERSEDED, vault=True),
    "superseded-trouble": lambda: in_state(
        RotationState.SUPERSEDED, trouble="The service may not revoke tokens in contoso."
    ),
    "done": lambda: in_state(RotationState.DONE, vault=True),
    "given-up": lambda: in_state(RotationState.GIVEN_UP, trouble="The new token was not stored."),
    "rotated": shown_once,
    "rotated-vault": into_vault,
    "problem": lambda: PAGES.problem(
        Problem(404, "No such token", "contoso has no token of yours by that name."), who=WHO
    ),
    "problem-sign-in": lambda: PAGES.problem(
        Problem(
            401,
            "Azure DevOps does not accept your sign-in",
            "contoso: the call to read who makes the calls: not signed in (status 401).",
            "Sign in again with the account that you use in contoso.",
        ),
        who=WHO,
    ),
    "signed-out": PAGES.signed_out,
}
