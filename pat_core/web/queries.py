"""Queries of the fleet as addresses: read from what a browser asks, and written into links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlencode

from pat_core.fleet import Query
from pat_core.listing import Flag, Order
from pat_core.model import EXPIRED
from pat_core.risk import Risk

FLEET: Final = "/report"
_LONGEST: Final = 100
_MOST_DAYS: Final = 366
Choice = TypeVar("Choice", bound=StrEnum)


def read_query(asked: Mapping[str, str]) -> Query:
    """The query that an address asks for; what cannot be read asks for nothing."""
    return Query(
        organization=asked.get("organization", "")[:_LONGEST],
        window=_window(asked.get("window", "")),
        flag=_one_of(Flag, asked.get("only", "")),
        risk=_one_of(Risk, asked.get("risk", "")),
        search=" ".join(asked.get("search", "")[:_LONGEST].split()),
        order=_one_of(Order, asked.get("sort", "")) or Order.EXPIRES,
        after=asked.get("after", "")[: _LONGEST * 3],
    )


def query_words(query: Query) -> dict[str, str]:
    """The parameters of a query, those that say something."""
    window = "expired" if query.window == EXPIRED else str(query.window or "")
    words = {
        "organization": query.organization,
        "window": window,
        "only": query.flag or "",
        "risk": query.risk or "",
        "search": query.search,
        "sort": "" if query.order is Order.EXPIRES else query.order.value,
        "after": query.after,
    }
    return {name: str(word) for name, word in words.items() if word}


def fleet_path(query: Query, part: str = "", **changes: object) -> str:
    """The address of a query with some of its fields changed, from the first page on."""
    words = query_words(replace(query, **({"after": ""} | changes)))  # type: ignore[arg-type] # as the fields are
    return f"{FLEET}{part}?{urlencode(words)}" if words else f"{FLEET}{part}"


def _window(text: str) -> int | None:
    if text == "expired":
        return EXPIRED
    if text.isascii() and text.isdecimal() and int(text) <= _MOST_DAYS:
        return int(text)
    return None


def _one_of(kind: type[Choice], text: str) -> Choice | None:
    return kind(text) if text in list(kind) else None
