"""Which of an owner's tokens are to be replaced now. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pat_core.expiry import effective_expiry
from pat_core.model import Token


@dataclass(frozen=True, slots=True)
class Due:
    """A token that expires soon, and the one that already stands in for it, where there is one."""

    token: Token
    successor: Token | None = None


def living(tokens: Iterable[Token], now: datetime) -> list[Token]:
    """The tokens that work now, the soonest expiry first."""
    found = (each for each in tokens if each.is_valid and effective_expiry(each) > now)
    return sorted(found, key=lambda each: (effective_expiry(each), each.display_name))


def due(tokens: Iterable[Token], now: datetime, within: timedelta) -> list[Due]:
    """The tokens that expire within a time, the soonest first.

    A longer-lived one of the same name and scope stands in for one of them and for no other: two
    tokens that are called alike need two.
    """
    kinds = defaultdict[tuple[str, str], list[Token]](list)
    soon = list[Token]()
    for token in living(tokens, now):
        if effective_expiry(token) - now <= within:
            soon.append(token)
        else:
            kinds[token.display_name, token.scope].append(token)
    return [Due(each, _take(kinds[each.display_name, each.scope], each)) for each in soon]


def _take(newer: list[Token], token: Token) -> Token | None:
    for each in newer:
        if each.valid_from > token.valid_from:
            newer.remove(each)
            return each
    return None
