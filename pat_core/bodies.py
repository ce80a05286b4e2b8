"""What the JSON routes take and answer: they read, answer and are described by it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypeAliasType

from pat_core.rotations import LONGEST_OVERLAP, RotationState

MOST_BYTES: Final = 20_000
"""No body that we ask for is larger."""
SNOOZES_DAYS: Final = (1, 3, 7)
Time = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
LifetimeDays = TypeAliasType("LifetimeDays", int)
"""One of `PAT_LIFETIMES_DAYS`, which only the settings know."""


Hours = Annotated[float, Field(ge=0, le=LONGEST_OVERLAP / timedelta(hours=1), allow_inf_nan=False)]


class Body(BaseModel):
    """What is common to all: nothing is built before it is needed."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class Asked(Body):
    """What is asked for: JSON has to be exact, so that no misspelt word is taken for a default."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RunAsked(Asked):
    """The organizations to scan; none are all."""

    organizations: list[str] = []


class Nothing(Asked):
    """An action says all by its name."""


class RotationAsked(Asked):
    """How long the new token lives, where it goes, and how long the old one lives beside it.

    By default: the longest lifetime, into the Key Vault if there is one, 24 hours.
    """

    lifetime_days: LifetimeDays | None = None
    to: Literal["vault", "page"] | None = None
    overlap_hours: Hours | None = None


class ExtensionAsked(Asked):
    """How long the token lives from now on; by default the longest lifetime."""

    lifetime_days: LifetimeDays | None = None


class SnoozeAsked(Asked):
    """For how many days nothing is told."""

    days: Annotated[int, Field(json_schema_extra={"enum": [*SNOOZES_DAYS]})]


class Refusal(Body):
    """Why a run was not ordered or cannot be shown."""

    error: str


class RunOrdered(Body):
    """The run that was ordered."""

    run_id: str


class OrganizationProgress(Body):
    """How far the run of one organization is; `error` is what stopped it."""

    name: str
    started_at: Time
    finished: bool
    complete: bool
    listed: bool
    batches: int
    batches_done: int
    users: int
    users_done: int
    users_failed: int
    tokens: int
    error: str | None


class RunProgress(Body):
    """How far a run is, organization by organization."""

    run_id: str
    organizations: list[OrganizationProgress]


class Health(Body):
    """How old the last complete scan of each organization is, and how many owners are to be told.

    The organizations stand in the order of the settings; null is never.
    """

    status: Literal["healthy", "unhealthy"]
    version: str
    last_complete_scan_seconds: list[int | None]
    outbox: int


class WrongSettings(Body):
    """The names of the settings that are wrong."""

    status: Literal["unhealthy"]
    wrong_settings: list[str]


class LedgerAway(Body):
    """The ledger cannot be read: `unavailable`, or what to do where its version is newer."""

    status: Literal["unhealthy"]
    ledger: str


class Done(Body):
    """It was done."""

    done: Literal[True]


class VaultPlace(Body):
    """Where in the Key Vault the new token is."""

    name: str
    version: str


class RotationAnswer(Body):
    """How far a rotation is. `authorization_id` and `valid_to` are those of the new token.

    `secret` is there once, where the new token was to be shown. `old_revoked_at` is null until the
    new token is surely in its owner's hands.
    """

    state: RotationState
    authorization_id: str | None
    valid_to: Time | None
    old_revoked_at: Time | None
    secret: str | SkipJsonSchema[None] = Field(
        default_factory=lambda: None, exclude_if=lambda secret: secret is None
    )
    vault_secret: VaultPlace | SkipJsonSchema[None] = Field(
        default_factory=lambda: None, exclude_if=lambda place: place is None
    )


class ProblemDetails(Body):
    """What went wrong, and what can be done about it (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
