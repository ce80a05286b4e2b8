"""Everything that goes wrong in a way we know, as one tree.

PatWardenError
├── SettingsError            settings or arguments are wrong
├── AzureDevOpsError
│   ├── NotSignedIn          the credential was not accepted
│   ├── NotPermitted         signed in, but not allowed to make this call
│   ├── OrganizationNotFound no such organization
│   ├── OwnerGone            no such user: the owner left the organization
│   ├── IdentityNotFound     no such service identity, or it is not known yet
│   ├── Throttled            asked to wait, longer than we are willing to
│   ├── Unavailable          broken connection or server fault, more often than we are willing to
│   ├── RequestRefused       the request itself was refused
│   ├── TokenRefused         a token may not be made or changed like that: a policy, a wrong value
│   ├── TokenNotFound        the caller has no such token
│   └── BrokenReply          the reply cannot be read
├── ActionRefused            what an owner asked for cannot be done to this token now
├── BadMessage               a message on a queue that is none of ours
├── MessageTooNew            a message on a queue that a newer version wrote
├── QueueUnavailable         a queue cannot be written or read
│   └── QueueRefused         this identity may not
├── EntraUnavailable         the keys of Microsoft Entra could not be fetched; later it may work
├── LedgerError
│   ├── Conflict             somebody else changed the row first
│   ├── LedgerTooNew         written by a newer version
│   ├── OtherCapitals        it knows an organization by other capitals
│   └── LedgerUnavailable    cannot be read or written
│       └── LedgerRefused    this identity may not
├── VaultError               a secret could not be kept or looked up in Key Vault
│   ├── VaultRefused         its name holds somebody else's secret, or this identity may not
│   └── VaultUnavailable     no answer; later it may work
└── ChannelError             a digest could not be handed over, or nobody knows whether it was
    ├── AddressRefused       this address will never be reached this way
    ├── ChannelBusy          the provider asked to wait; the digest was not taken
    └── ChannelMisconfigured nothing can leave this way until somebody mends it
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """What the command line ends with."""

    COMPLETE = 0
    INCOMPLETE = 1
    WRONG_SETTINGS = 2
    NOT_PERMITTED = 3


class PatWardenError(Exception):
    """One sentence for the cause; `remedy` says what a person can do.

    `permanent` says that trying again won't help.
    """

    permanent: ClassVar[bool] = True
    exit_status: ClassVar[ExitStatus] = ExitStatus.INCOMPLETE

    def __init__(self, cause: str, *, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}".rstrip()


class SettingsError(PatWardenError):
    """Settings or arguments are wrong; `faults` holds one sentence for each."""

    exit_status = ExitStatus.WRONG_SETTINGS

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class AzureDevOpsError(PatWardenError):
    """A call to Azure DevOps that brought no answer we can use."""


class NotSignedIn(AzureDevOpsError):
    """The credential was not accepted."""

    exit_status = ExitStatus.NOT_PERMITTED


class NotPermitted(AzureDevOpsError):
    """Signed in, but not allowed to make this call."""

    exit_status = ExitStatus.NOT_PERMITTED


class OrganizationNotFound(AzureDevOpsError):
    """No organization of that name answers."""

    exit_status = ExitStatus.WRONG_SETTINGS


class OwnerGone(AzureDevOpsError):
    """The user has left the organization."""


class IdentityNotFound(AzureDevOpsError):
    """Azure DevOps knows no such service identity: of another tenant, wrong, or too new."""

    permanent = False
    exit_status = ExitStatus.WRONG_SETTINGS


class Throttled(AzureDevOpsError):
    """Azure DevOps asked to wait longer than we are willing to; in `seconds` it may work."""

    permanent = False

    def __init__(self, cause: str, *, remedy: str = "", seconds: float = 60.0) -> None:
        super().__init__(cause, remedy=remedy)
        self.seconds = seconds


class Unavailable(AzureDevOpsError):
    """Broken connections or server faults, again and again; later it may work."""

    permanent = False


class RequestRefused(AzureDevOpsError):
    """The request itself was refused (400 and the like)."""


class TokenRefused(AzureDevOpsError):
    """Azure DevOps did not make or change a token; `code` is its `patTokenError`."""

    def __init__(self, cause: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(cause, remedy=remedy)
        self.code = code


class TokenNotFound(AzureDevOpsError):
    """The caller has no such token: it is somebody else's, or there is none."""


class BrokenReply(AzureDevOpsError):
    """The reply cannot be read: cut short, not JSON, a field missing."""

    permanent = False


class ActionRefused(PatWardenError):
    """What an owner asked for cannot be done to this token now; nothing was changed."""


class BadMessage(PatWardenError):
    """A message on a queue that is none of ours or cut short."""


class MessageTooNew(PatWardenError):
    """A message that a newer version wrote. An instance of that one may still take it."""

    permanent = False


class QueueUnavailable(PatWardenError):
    """A queue cannot be written or read now."""

    permanent = False


class QueueRefused(QueueUnavailable):
    """This identity may not use the queue; once it is given the role, trying again helps."""


class LedgerError(PatWardenError):
    """The ledger could not do what was asked."""


class Conflict(LedgerError):
    """Somebody else changed the row first; read it again and decide anew."""

    permanent = False


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer version of PAT Warden."""

    exit_status = ExitStatus.WRONG_SETTINGS


class OtherCapitals(LedgerError):
    """The ledger knows an organization by other capitals than the settings; nothing was changed."""

    exit_status = ExitStatus.WRONG_SETTINGS


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written now; nothing was changed."""

    permanent = False


class LedgerRefused(LedgerUnavailable):
    """This identity may not use the ledger; once it is given the role, trying again helps."""


class EntraUnavailable(PatWardenError):
    """The keys of Microsoft Entra could not be fetched; later it may work."""

    permanent = False


class VaultError(PatWardenError):
    """A secret could not be kept or looked up; what was there is unchanged."""


class VaultRefused(VaultError):
    """The name holds somebody else's secret, or this identity may not write there."""


class VaultUnavailable(VaultError):
    """Key Vault gives no answer now, and nobody knows whether it took what it was given."""

    permanent = False


class ChannelError(PatWardenError):
    """A digest may or may not have been taken by its channel; it stays in the outbox."""

    permanent = False


class AddressRefused(ChannelError):
    """This address will never be reached through this channel."""

    permanent = True


class ChannelBusy(ChannelError):
    """The provider asked to wait for so many `seconds`; the digest was not taken."""

    def __init__(self, cause: str, *, remedy: str = "", seconds: float = 60.0) -> None:
        super().__init__(cause, remedy=remedy)
        self.seconds = seconds


class ChannelMisconfigured(ChannelError):
    """Nothing can leave through this channel until somebody mends it; the digest waits."""


def restored(kind: str, cause: str, remedy: str) -> PatWardenError:
    """The error that was kept by the name of its class, its cause and its remedy."""
    known: dict[str, type[PatWardenError]] = {
        each.__name__: each for each in AzureDevOpsError.__subclasses__()
    }
    return known.get(kind, PatWardenError)(cause, remedy=remedy)
