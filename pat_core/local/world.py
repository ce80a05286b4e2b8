"""The embedded organization: people and tokens that follow from a seed, none of them stored.

Person number i follows from the seed and i alone: a million people take no room, and more people
leave those that were there as they are. Dates are relative to when the world was born, so a later
run goes on in the same world.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from random import Random
from typing import Final

from pat_core.local.cast import ASCII, FIRST, LAST, LIFETIMES_DAYS, SERVICES, TOKENS
from pat_core.model import Token

ORGANIZATION: Final = "contoso-demo"
DOMAIN: Final = "contoso.example"
USERS: Final = 200
ADMINISTRATOR: Final = 0
"""The number of the person who runs PAT Warden."""
_MANY: Final = 130


class Trait(Enum):
    """What is special about a person. Each 40 people hold every trait once."""

    NONE = "none"
    SERVICE = "a service account"
    MANY_TOKENS = "a service account with 130 tokens"
    PRINCIPAL_ONLY = "an address only as principal name"
    NO_ADDRESS = "no address at all"
    GUEST = "a guest"
    PERSONAL = "a personal Microsoft account"
    LEFT = "listed, but no longer there"
    DISABLED = "no longer an active member"


_TRAITS: Final = {
    3: Trait.SERVICE,
    7: Trait.PRINCIPAL_ONLY,
    12: Trait.NO_ADDRESS,
    17: Trait.GUEST,
    22: Trait.PERSONAL,
    27: Trait.LEFT,
    32: Trait.DISABLED,
}
_ROUND: Final = 40
_GLOBAL_OWNER: Final = 6
# Later people have their number in their name, so that no table is needed to find them by it.
_NUMBER: Final = re.compile(r"\.([0-9]{1,9})(?:[@_]|$)")


@dataclass(frozen=True, slots=True)
class Person:
    """One user as Graph shows them."""

    number: int
    descriptor: str
    display_name: str
    mail_address: str
    principal_name: str
    trait: Trait


@dataclass(frozen=True, slots=True)
class World:
    """An organization of so many users, born at an aware UTC time."""

    born: datetime
    users: int = USERS
    seed: int = 1
    organization: str = ORGANIZATION

    def person(self, number: int) -> Person:
        """The person of that number, from 0."""
        draw = self._draw(1, number)
        trait = self._trait(number)
        first, last = draw.choice(FIRST), draw.choice(LAST)
        handle = f"{first}.{last}".lower().translate(ASCII)
        name = f"{first} {last}"
        if trait in (Trait.SERVICE, Trait.MANY_TOKENS):
            name = handle = SERVICES[number // _ROUND % len(SERVICES)]
        if number >= len(FIRST):
            handle += f".{number}"
        address = f"{handle}@{DOMAIN}"
        return Person(
            number,
            self._descriptor(number, "msa" if trait is Trait.PERSONAL else "aad"),
            name,
            "" if trait in (Trait.PRINCIPAL_ONLY, Trait.NO_ADDRESS) else address,
            _principal(trait, handle, address),
            trait,
        )

    def find(self, descriptor: str) -> Person | None:
        """The person of that descriptor, or None."""
        try:
            raw = urlsafe_b64decode(descriptor[4:] + "=" * (-len(descriptor[4:]) % 4))
        except ValueError:
            return None
        number = int.from_bytes(raw[-4:], "big")
        if number >= self.users:
            return None
        person = self.person(number)
        return person if person.descriptor == descriptor else None

    def named(self, name: str) -> Person | None:
        """The person who signs in by that name or has that address, in any case, or None."""
        number = _NUMBER.search(name)
        for each in [int(number[1])] if number else range(len(FIRST)):
            person = self.person(each)
            known = (person.principal_name, person.mail_address)
            if each < self.users and name.casefold() in (text.casefold() for text in known if text):
                return person
        return None

    def tokens(self, person: Person) -> tuple[Token, ...]:
        """All tokens of a person, those that are revoked or long expired among them."""
        draw = self._draw(2, person.number)
        return tuple(
            self._token(draw, person.number, index)
            for index in range(_how_many(draw, person.trait))
        )

    def _trait(self, number: int) -> Trait:
        if number == _ROUND + 3:
            return Trait.MANY_TOKENS
        return _TRAITS.get(number % _ROUND, Trait.NONE)

    def _token(self, draw: Random, number: int, index: int) -> Token:
        name, scope = draw.choice(TOKENS)
        lifetime = timedelta(days=draw.choice(LIFETIMES_DAYS))
        if draw.random() < 0.03:  # noqa: PLR2004 - a share of the cast
            lifetime = timedelta(hours=8)
        # Where it stands in its life: most have long to go, some have just ended.
        left = draw.random() * 1.25 - 0.25
        valid_to = (self.born + lifetime * left).replace(microsecond=0)
        digest = blake2b(f"{self.seed}|{number}|{index}".encode(), digest_size=16).hexdigest()
        return Token(
            authorization_id=_as_uuid(digest),
            display_name="" if draw.random() < 0.04 else _numbered(name, index),  # noqa: PLR2004 - a share of the cast
            scope=scope,
            valid_from=valid_to - lifetime,
            valid_to=valid_to,
            is_valid=draw.random() > 0.06,  # noqa: PLR2004 - a share of the cast
            is_global=number % _ROUND == _GLOBAL_OWNER and index == 0,
        )

    def _descriptor(self, number: int, kind: str) -> str:
        # The number stands in the last 4 bytes, so that no table is needed to find it again.
        mark = blake2b(f"{self.seed}|{number}".encode(), digest_size=12).digest()
        return f"{kind}." + urlsafe_b64encode(mark + number.to_bytes(4, "big")).decode().rstrip("=")

    def _draw(self, what: int, number: int) -> Random:
        return Random((self.seed << 64) + (what << 56) + number)  # noqa: S311 - a cast, no secret


def _principal(trait: Trait, handle: str, address: str) -> str:
    if trait is Trait.NO_ADDRESS:
        return f"CONTOSO\\{handle}"
    if trait is Trait.GUEST:
        return f"{handle}_fabrikam.example#EXT#@{DOMAIN}"
    return address


def _how_many(draw: Random, trait: Trait) -> int:
    if trait is Trait.MANY_TOKENS:
        return _MANY
    if trait is not Trait.NONE:
        return draw.randint(1, 4)
    return max(0, draw.randint(-5, 4))


def _numbered(name: str, index: int) -> str:
    return name if index < len(TOKENS) else f"{name} {index}"


def _as_uuid(digest: str) -> str:
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def people(world: World, start: int, stop: int) -> Iterator[Person]:
    """The people from one number up to another."""
    return (world.person(number) for number in range(start, min(stop, world.users)))
