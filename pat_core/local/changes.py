"""What was done to tokens of the embedded organization, laid over a world that never changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from secrets import choice
from string import ascii_letters, digits
from typing import Final
from uuid import uuid4

from pydantic import SecretStr, TypeAdapter, ValidationError

from pat_core.errors import SettingsError
from pat_core.local.kept import keep
from pat_core.local.world import Person, World
from pat_core.model import IssuedToken, NewToken, Token
from pat_core.ports import Clock

_CHARACTERS: Final = ascii_letters + digits
_MARK: Final = "AZDO"


@dataclass(frozen=True, slots=True)
class Changed:
    """A token that was created or updated; of a secret made here, only what it hashes to."""

    token: Token
    secret_sha256: str = ""


@dataclass(slots=True)
class _Book:
    """All that was done since a world was born: by descriptor and authorization id, and by id."""

    born: datetime
    changed: dict[str, dict[str, Changed]] = field(default_factory=dict)
    revoked: dict[str, datetime] = field(default_factory=dict)


_BOOK: Final = TypeAdapter(_Book)


class Changes:
    """The tokens of a world as they are now, and what can be done to them.

    What was done is kept in a file (`path` of None: in memory alone) and belongs to the world that
    it was done in: what another one left there is forgotten. Raises SettingsError for a file that
    cannot be read or written.
    """

    def __init__(self, world: World, clock: Clock, path: Path | None = None) -> None:
        self.world = world
        self._clock = clock
        self._path = path
        kept = _read(path) if path else None
        self._book = kept if kept and kept.born == world.born else _Book(world.born)

    def now(self) -> datetime:
        """The time in the embedded organization, aware UTC."""
        return self._clock()

    def tokens(self, person: Person) -> tuple[Token, ...]:
        """All tokens of a person as they are now, the newest last."""
        changed = self._book.changed.get(person.descriptor, {})
        known = {token.authorization_id: token for token in self.world.tokens(person)}
        known |= {each: change.token for each, change in changed.items()}
        return tuple(self._as_it_is(token) for token in known.values())

    def token(self, person: Person, authorization_id: str) -> Token | None:
        """One token of a person, or None where they have none of that id."""
        wanted = authorization_id.lower()
        return next((t for t in self.tokens(person) if t.authorization_id == wanted), None)

    def create(self, person: Person, wanted: NewToken) -> IssuedToken:
        """A new token of a person, valid from now."""
        token = Token(str(uuid4()), wanted.display_name, wanted.scope, self.now(), wanted.valid_to)
        secret = _new_secret()
        self._change(person, Changed(token, _hashed(secret)))
        return IssuedToken(token, SecretStr(secret))

    def update(self, person: Person, token: Token) -> None:
        """Let a token of a person be as given; its secret stays what it was."""
        changed = self._book.changed.get(person.descriptor, {})
        before = changed.get(token.authorization_id, Changed(token))
        self._change(person, replace(before, token=token))

    def revoke(self, authorization_ids: Iterable[str], at: datetime) -> None:
        """End tokens at a time, aware UTC; what ends sooner already stays so."""
        for each in map(str.lower, authorization_ids):
            self._book.revoked[each] = min(at, self._book.revoked.get(each, at))
        self._keep()

    def owner_of(self, secret: str) -> Person | None:
        """Whom a secret that was made here signs in now, or None: it has ended or is unknown."""
        hashed = _hashed(secret)
        for descriptor, changed in self._book.changed.items():
            for change in changed.values():
                if change.secret_sha256 == hashed and self._is_alive(change.token):
                    return self.world.find(descriptor)
        return None

    def _is_alive(self, token: Token) -> bool:
        return self._as_it_is(token).is_valid and token.valid_to > self.now()

    def _as_it_is(self, token: Token) -> Token:
        ends = self._book.revoked.get(token.authorization_id)
        return replace(token, is_valid=False) if ends and ends <= self.now() else token

    def _change(self, person: Person, change: Changed) -> None:
        of_person = self._book.changed.setdefault(person.descriptor, {})
        of_person[change.token.authorization_id] = change
        self._keep()

    def _keep(self) -> None:
        if self._path:
            keep(self._path, _BOOK.dump_json(self._book, indent=1).decode())


def _read(path: Path) -> _Book | None:
    try:
        return _BOOK.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise SettingsError(
            [f"{path} holds no changes of an embedded world. Delete the file to begin anew."]
        ) from None


def _new_secret() -> str:
    drawn = "".join(choice(_CHARACTERS) for _ in range(80))
    # Where Azure DevOps marks its own, so that leaks can be searched for.
    return drawn[:76] + _MARK + drawn[76:]


def _hashed(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
