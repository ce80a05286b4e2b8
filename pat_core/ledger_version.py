"""Which layout of the ledger this program writes, and the row that says which one a ledger has.

Pure. A ledger of version 1 has no such row, and neither has an empty one.
"""

from __future__ import annotations

from typing import Final

from pat_core.errors import LedgerTooNew
from pat_core.rows import LEDGER, Row

LEDGER_VERSION: Final = 2
UNDERSTOOD: Final = LEDGER_VERSION - 1
"""What the version before wrote is understood on reading, so that both may run for a while."""
VERSION_KEY: Final = "version"
FOR_FILE: Final = "Update PAT Warden, or set PAT_LOCAL_DIR to another folder."
FOR_TABLES: Final = "Deploy the newer version of PAT Warden again; nothing was changed."


def version_row(version: int, before: Row | None = None) -> Row:
    """The row that says which version a ledger has, in place of the one that said so before."""
    return Row(LEDGER, VERSION_KEY, {"version": version}, before.version if before else "")


def read_version(row: Row | None) -> int:
    """The version that a row gives; 1 where there is none."""
    return int(str(row.values["version"])) if row else 1


def known_version(row: Row | None, remedy: str, newest: int = LEDGER_VERSION) -> int:
    """The version that a row gives. Raises LedgerTooNew with the remedy for one after `newest`."""
    version = read_version(row)
    if version > newest:
        cause = f"The ledger has version {version}; this program knows up to {newest}."
        raise LedgerTooNew(cause, remedy=remedy)
    return version
