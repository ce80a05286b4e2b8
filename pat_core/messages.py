"""What stands on the queues: orders to list a page of users, or to scan a batch of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pat_core.coverage import LONGEST_FAULT, MOST_FAULTS
from pat_core.digest import visible
from pat_core.errors import BadMessage, MessageTooNew
from pat_core.model import Owner, UserPage
from pat_core.rows import short_hash

ORGANIZATIONS: Final = "pat-organizations"
"""The queue of orders to list users."""
USERS: Final = "pat-users"
"""The queue of orders to scan users."""
POISON: Final = "-poison"
"""How the host names the queue for what failed again and again."""
BATCH: Final = 100
LARGEST: Final = 46_000
"""Bytes of a message: a queue of Azure Storage takes 64 KB and keeps some for itself."""
_LONGEST_NAME: Final = 256
MOST_PAGES: Final = 10_000
"""5,000,000 users: a listing that goes on beyond has no end."""
Count = Annotated[int, Field(ge=0, le=1_000_000)]
MESSAGE_VERSION: Final = 1
_HIGHEST: Final = 1_000
"""A number beyond is no version of ours."""
_Fields = dict[str, Any]
_UPGRADES: Final[Mapping[int, Callable[[_Fields], _Fields]]] = {}
"""What makes a message of a version one of the next; where a shape changes, its old one goes in."""
RUN_ID: Final = r"^[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{6}$"
RunId = Annotated[str, Field(pattern=RUN_ID)]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    version: Literal[1] = MESSAGE_VERSION
    run_id: RunId
    organization: str

    @model_validator(mode="before")
    @classmethod
    def _of_this_version(cls, given: object) -> object:
        return upgraded(given) if isinstance(given, dict) else given

    def to_json(self) -> str:
        """The message. Everything beyond ASCII is escaped: a queue carries XML."""
        return json.dumps(self.model_dump(mode="json"), separators=(",", ":"))


class ListOrder(_Order):
    """List one page of an organization's users; the pages are counted from 1."""

    page: Annotated[int, Field(ge=1, le=MOST_PAGES)] = 1
    continuation_token: str = ""

    @property
    def key(self) -> str:
        """The page's name within its run: a page that is listed twice has one name."""
        return f"page|{short_hash(self.continuation_token)}"

    def following(self, continuation_token: str) -> ListOrder:
        """The order to list the next page."""
        after = {"page": self.page + 1, "continuation_token": continuation_token}
        return self.model_copy(update=after)


class ListedUser(BaseModel):
    """One user as an order carries them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    descriptor: str
    name: str = ""
    address: str = ""


class ScanOrder(_Order):
    """Scan a batch of users. `part` counts up when a rest is put back.

    `unlisted` counts users that could be listed but not read; `faults` says why, of the first few.
    """

    users: list[ListedUser]
    unlisted: Count = 0
    faults: list[str] = []
    part: Count = 0

    @property
    def key(self) -> str:
        """The batch's name within its run; it follows from what is in the batch."""
        content = "|".join((*(user.descriptor for user in self.users), "", *self.faults))
        return f"batch|{self.part:03d}-{short_hash(content)}"

    @property
    def owners(self) -> tuple[Owner, ...]:
        """The users as owners of tokens."""
        return tuple(
            Owner(self.organization, user.descriptor, user.name, user.address)
            for user in self.users
        )

    def rest(self, owners: Sequence[Owner]) -> ScanOrder:
        """The order to scan those that are left; their faults were counted already."""
        users = [_listed(owner) for owner in owners]
        left = {"users": users, "unlisted": 0, "faults": [], "part": self.part + 1}
        return self.model_copy(update=left)


Order = TypeVar("Order", bound=_Order)


def scan_orders(order: ListOrder, page: UserPage) -> Iterator[ScanOrder]:
    """A page of users as batches of 100 at most, each small enough for a message."""
    none = ScanOrder(run_id=order.run_id, organization=order.organization, users=[])
    batch, size = list[ListedUser](), 0
    for owner in page.owners:
        user = _listed(owner)
        length = len(json.dumps(user.model_dump())) + 1
        if len(batch) == BATCH or size + length > LARGEST:
            yield none.model_copy(update={"users": batch})
            batch, size = [], 0
        batch.append(user)
        size += length
    if batch:
        yield none.model_copy(update={"users": batch})
    if page.faults:
        # Pages count their users anew: without its number, two would have one batch between them.
        named = (f"page {order.page}, {fault}" for fault in page.faults[:MOST_FAULTS])
        words = [fault[:LONGEST_FAULT] for fault in named]
        yield none.model_copy(update={"unlisted": len(page.faults), "faults": words})


def read_order(kind: type[Order], message: str) -> Order:
    """The order that a message gives. Raises BadMessage with the reason, MessageTooNew."""
    try:
        return kind.model_validate_json(message)
    except ValidationError as fault:
        error = fault.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in error["loc"])
        reason = f"{field}: {error['msg']}" if field else error["msg"]
        raise BadMessage(f"The message cannot be read: {visible(reason)}.") from None


def upgraded(given: _Fields) -> _Fields:
    """What a message of this or an older version says, as one of this version.

    Raises MessageTooNew. What is no version at all is left to whoever reads the fields.
    """
    version = given.get("version")
    if not isinstance(version, int) or version > _HIGHEST:
        return given
    if version > MESSAGE_VERSION:
        raise MessageTooNew(
            f"The message has version {version}; this program knows up to {MESSAGE_VERSION}.",
            remedy="Deploy the newer version of PAT Warden again.",
        )
    while upgrade := _UPGRADES.get(version):
        version += 1
        given = {**upgrade(given), "version": version}
    return given


def _listed(owner: Owner) -> ListedUser:
    name = owner.display_name[:_LONGEST_NAME]
    return ListedUser(descriptor=owner.subject_descriptor, name=name, address=owner.address)
