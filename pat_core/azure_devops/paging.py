"""Follows the pages of a listing to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from pat_core.azure_devops.sending import Sender
from pat_core.azure_devops.wire import Reply, Request
from pat_core.errors import BrokenReply
from pat_core.messages import MOST_PAGES
from pat_core.model import TokenReading

Page = TypeVar("Page")


async def pages(
    sender: Sender,
    ask: Callable[[str], Request],
    read: Callable[[Reply], tuple[Page, str]],
) -> AsyncIterator[Page]:
    """Every page. `ask` makes the request after a continuation token, `read` gives the next one.

    Raises AzureDevOpsError, BrokenReply where the pages have no end.
    """
    after, seen = "", set[str]()
    while True:
        request = ask(after)
        page, after = read(await sender.reply(request))
        yield page
        if not after:
            return
        if after in seen:
            raise BrokenReply(
                f"{request.organization.name}: the call to {request.call.does} "
                "goes round in circles: a continuation token came twice."
            )
        seen.add(after)
        if len(seen) == MOST_PAGES:
            raise BrokenReply(
                f"{request.organization.name}: the call to {request.call.does} "
                f"has no end: there are more than {MOST_PAGES:,} pages."
            )


async def all_tokens(
    sender: Sender,
    ask: Callable[[str], Request],
    read: Callable[[Reply], tuple[TokenReading, str]],
) -> TokenReading:
    """Every page of tokens as one. Raises AzureDevOpsError."""
    found = [page async for page in pages(sender, ask, read)]
    if len(found) == 1:
        return found[0]
    return TokenReading(
        tuple(token for page in found for token in page.tokens),
        tuple(fault for page in found for fault in page.faults),
    )
