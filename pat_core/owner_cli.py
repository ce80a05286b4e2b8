"""The commands by which owners look after their own tokens, at a desk or in a pipeline."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from pat_core import console
from pat_core import owner_console as shown
from pat_core.acts import Acts
from pat_core.arguments import duration, run_to_end, settings_for
from pat_core.bootstrap import Services, system_clock
from pat_core.digest import date_and_time, shown_name
from pat_core.errors import ActionRefused, ExitStatus, NotSignedIn, PatWardenError, SettingsError
from pat_core.expiry import effective_expiry
from pat_core.model import Organization, Token, TokenReading
from pat_core.ports import Vault
from pat_core.renewal import Renewal
from pat_core.renewals import Due, due, living
from pat_core.rotation import Hands, Rotated, Rotator, Wish
from pat_core.rotations import LONGEST_OVERLAP, UNFINISHED, Rotation, RotationState, superseded
from pat_core.settings import sentence

app: Final = typer.Typer()
_YEAR: Final = timedelta(days=365)
_DAY: Final = timedelta(days=1)
Place = Annotated[str, typer.Option("--organization", "-o", help="The organization.")]
Id = Annotated[str, typer.Option("--id", help="The token's authorization id, as in `tokens`.")]
Lifetime = Annotated[str, typer.Option(help="How long the token is to live: 90d.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def tokens(
    organization: Place,
    *,
    every: Annotated[bool, typer.Option("--all", help="Show dead ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List your own tokens, the soonest expiry first."""
    found, status = run_to_end(_tokens(organization, every=every))
    if as_json:
        shown.put(shown.tokens_json(organization, found))
    else:
        shown.show_tokens(found, system_clock())
    raise typer.Exit(status)


@app.command()
def rotate(
    organization: Place,
    authorization_id: Id = "",
    within: Annotated[
        int,
        typer.Option("--due", help="Each token that expires within so many days.", min=0, max=366),
    ] = 0,
    *,
    to_vault: Annotated[
        bool, typer.Option("--to-key-vault", help="Put new tokens into PAT_KEY_VAULT_URL.")
    ] = False,
    to_output: Annotated[bool, typer.Option("--print", help="Print new tokens.")] = False,
    overlap: Annotated[str, typer.Option(help="How long the old token works on: 0, 24h, 7d.")] = (
        "24h"
    ),
    lifetime: Lifetime = "90d",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Replace tokens of yours by new ones of the same name and scopes."""
    wish = Wish(
        duration("--lifetime", lifetime, _DAY, _YEAR),
        duration("--overlap", overlap, timedelta(0), LONGEST_OVERLAP),
        to_vault,
    )
    _check_choice(authorization_id, within, wish, to_output=to_output, as_json=as_json)
    raise typer.Exit(
        run_to_end(
            _rotate(organization, authorization_id, within, wish, ask=not yes, as_json=as_json)
        )
    )


@app.command()
def extend(
    organization: Place, authorization_id: Id, lifetime: Lifetime = "90d", *, as_json: Json = False
) -> None:
    """Have a token of yours live longer; its secret stays the same."""
    length = duration("--lifetime", lifetime, _DAY, _YEAR)
    token = run_to_end(_extend(organization, authorization_id, length))
    if as_json:
        shown.put(shown.token_json(token))
    else:
        shown.say(f"{shown_name(token.display_name)} lives until {date_and_time(token.valid_to)}.")


@app.command()
def revoke(
    organization: Place, authorization_id: Id, *, yes: Yes = False, as_json: Json = False
) -> None:
    """End a token of yours now, for good."""
    token = run_to_end(_revoke(organization, authorization_id, ask=not yes))
    if as_json:
        shown.put(shown.token_json(token))
    else:
        shown.say(f"{shown_name(token.display_name)} is revoked.")


@dataclass(frozen=True, slots=True)
class Bench:
    """What a command works with: the owner's hands, and a ledger on this machine."""

    shared: Services
    place: Organization

    @property
    def hands(self) -> Hands:
        """Whoever signed in here."""
        return self.shared.own_hands

    @property
    def now(self) -> datetime:
        """The time now."""
        return self.shared.clock()

    def renewal(self, vault: Vault | None) -> Renewal:
        """What rotates; without a vault new tokens can only be printed."""
        return Renewal(Rotator(self.shared.book, vault), self.hands, self.place)

    @property
    def acts(self) -> Acts:
        """What does the rest."""
        return Acts(self.shared.book, self.shared.settings.windows_days)


@asynccontextmanager
async def _bench(organization: str) -> AsyncIterator[Bench]:
    settings = settings_for([organization])
    async with Services(settings) as shared:
        yield Bench(shared, settings.organizations[0])


async def _tokens(organization: str, *, every: bool) -> tuple[list[Token], int]:
    async with _bench(organization) as bench:
        reading = await bench.hands.my_tokens(bench.place)
        status = _say_not_read(reading)
        if every:
            return sorted(reading.tokens, key=lambda token: token.valid_to), status
        return living(reading.tokens, bench.now), status


def _say_not_read(reading: TokenReading) -> int:
    """Say what could not be read; gives the exit status."""
    for fault in reading.faults:
        shown.say(f"Not read: {fault}")
    return ExitStatus.INCOMPLETE if reading.faults else ExitStatus.COMPLETE


async def _extend(organization: str, authorization_id: str, lifetime: timedelta) -> Token:
    async with _bench(organization) as bench:
        return await bench.acts.extend(bench.hands, bench.place, authorization_id, lifetime)


async def _revoke(organization: str, authorization_id: str, *, ask: bool) -> Token:
    async with _bench(organization) as bench:
        if ask:
            token = await bench.hands.my_token(bench.place, authorization_id)
            _ask(f"Revoke {shown_name(token.display_name)}? {_stops(token)}")
        return await bench.acts.revoke(bench.hands, bench.place, authorization_id)


async def _rotate(
    organization: str,
    authorization_id: str,
    within: int,
    wish: Wish,
    *,
    ask: bool,
    as_json: bool,
) -> int:
    async with _bench(organization) as bench:
        if wish.to_vault and not bench.shared.settings.key_vault_url:
            raise SettingsError([sentence("key_vault_url", "is not set")])
        renewal = bench.renewal(bench.shared.vault if wish.to_vault else None)
        status = int(ExitStatus.COMPLETE)
        if authorization_id:
            chosen = [await bench.hands.my_token(bench.place, authorization_id)]
        else:
            chosen, status = await _due(bench, within)
        if ask and chosen:
            _ask(_question(chosen, wish))
        await renewal.tidy()
        turns = _Turns(renewal, wish, as_json=as_json)
        return max([status, *[await turns.take(old) for old in chosen]])


async def _due(bench: Bench, within: int) -> tuple[list[Token], int]:
    """The tokens to rotate, and the exit status; what is left out, and why, is said."""
    reading = await bench.hands.my_tokens(bench.place)
    account = await bench.shared.book.account(await bench.hands.caller(bench.place))
    status = _say_not_read(reading)
    chosen = list[Token]()
    for each in due(reading.tokens, bench.now, within * _DAY):
        known = account.rotations.get(each.token.authorization_id)
        if known and known.state is RotationState.HANDED_OVER:
            # Whether anybody has the new token is not known: its turn says so, and fails.
            chosen.append(each.token)
        elif known and known.state in UNFINISHED:
            shown.say(f"{shown_name(each.token.display_name)}: left out, it is being replaced.")
        elif each.successor:
            _leave_out(each, each.successor)
        else:
            chosen.append(each.token)
    if not chosen:
        shown.say("No token is to be rotated.")
    return chosen, status


def _leave_out(each: Due, successor: Token) -> None:
    shown.say(
        f"{shown_name(each.token.display_name)}: left out, since a newer token of the same name "
        f"and scopes lives until {date_and_time(successor.valid_to)}. If that is another, use "
        f"--id {each.token.authorization_id}"
    )


@dataclass(frozen=True, slots=True)
class _Turns:
    """Rotates one token after the other; one that fails does not stop the rest."""

    renewal: Renewal
    wish: Wish
    as_json: bool

    async def take(self, old: Token) -> int:
        """The exit status of one rotation."""
        try:
            await self._rotate(old)
        except NotSignedIn:
            raise
        except PatWardenError as fault:
            shown.say(f"{shown_name(old.display_name)} ({old.authorization_id}):")
            console.show_error(fault)
            return int(fault.exit_status)
        return ExitStatus.COMPLETE

    async def _rotate(self, old: Token) -> None:
        renewal = self.renewal
        done = await renewal.rotator.rotate(
            renewal.hands, renewal.organization, old.authorization_id, self.wish
        )
        _check_new(done)
        # First seen off, then settled: whoever does not get the new token keeps the old one.
        if not self._hand_out(old, done) and done.secret:
            await renewal.rotator.withdraw(
                renewal.hands, renewal.organization, old.authorization_id
            )
            raise ActionRefused(
                "Standard output took nothing, so the new token is revoked. The old one stays.",
                remedy="See where the output goes, then rotate again.",
            )
        shown.show_settled(old, await renewal.settle(old.authorization_id))

    def _hand_out(self, old: Token, done: Rotated) -> bool:
        rotation, now = done.rotation, self.renewal.rotator.book.clock()
        if self.as_json:
            ends_at = rotation.revoke_at or rotation.ended_at
            planned = ends_at or superseded(rotation, old, now).revoke_at or now
            # Nothing here ends a global one after the overlap unless somebody comes back.
            sure = effective_expiry(old) if old.is_global and planned > now else planned
            return shown.put(shown.rotated_json(old, done, sure))
        return done.secret is None or shown.put(done.secret.get_secret_value())


def _check_new(done: Rotated) -> None:
    """Raise ActionRefused for a rotation of which nobody can have the new token any more."""
    rotation = done.rotation
    if done.secret or rotation.vault_version:
        return
    if rotation.state is RotationState.HANDED_OVER:
        raise ActionRefused(
            f"It was rotated {date_and_time(rotation.requested_at)}, and nobody said whether the "
            "new token was stored.",
            remedy=f"If you have it, end the old one: revoke --id {rotation.authorization_id}. "
            f"If not, end the new one: revoke --id {rotation.new_id}. Then rotate again.",
        )
    raise ActionRefused(_stands(rotation), remedy="Use the new one, or rotate that.")


def _stands(rotation: Rotation) -> str:
    return f"It was rotated {date_and_time(rotation.requested_at)} and is {rotation.state}."


def _stops(token: Token) -> str:
    where = ", in every organization" if token.is_global else ""
    return f"It stops working at once{where}."


def _question(chosen: list[Token], wish: Wish) -> str:
    for token in chosen:
        reach = ", global: it ends in every organization" if token.is_global else ""
        shown.say(f"  {shown_name(token.display_name)} ({token.authorization_id}){reach}")
    hours = wish.overlap // timedelta(hours=1)
    works = f"work on for {hours} hours" if hours else "stop at once"
    return f"Rotate what is listed above? Old tokens {works}."


def _ask(question: str) -> None:
    """Go on after a yes. Raises SettingsError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise SettingsError(["Nobody is here to be asked. Example: the same with --yes"])
    typer.confirm(question, abort=True, err=True)


def _check_choice(
    authorization_id: str, within: int, wish: Wish, *, to_output: bool, as_json: bool
) -> None:
    """Raise SettingsError where it is not clear what is to be rotated, and where to."""
    faults = []
    if bool(authorization_id) == bool(within):
        faults.append("Say which token, or which are due. Example: --id ID, or --due 7")
    if wish.to_vault == to_output:
        faults.append("Say where new tokens go. Example: --to-key-vault, or --print")
    if to_output and within and not as_json:
        faults.append("Several printed tokens cannot be told apart. Example: --print --json")
    if faults:
        raise SettingsError(faults)
