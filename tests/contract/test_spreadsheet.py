"""An export as LibreOffice Calc opens it: no complaint, whole, and nothing to calculate."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from pat_core.export import COLUMNS, csv_line, csv_lines
from tests.builders import HOSTILE_NAMES
from tests.unit.test_export import FORMULAS, a_listing, each

pytestmark = pytest.mark.anyio
NAMES = (*FORMULAS, *HOSTILE_NAMES, "Łucja Ångström, 李", '"quoted"; semi')
# Calc has no use for Java here, and is installed without it.
_NO_JAVA = "Warning: failed to launch javaldx - java may not function correctly"


@pytest.fixture(scope="module")
def calc() -> str:
    """LibreOffice's command."""
    found = shutil.which("soffice")
    if found is None:
        reason = "soffice is not installed; Debian's libreoffice-calc-nogui has it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def opened(calc: str, text: str, folder: Path, kind: str) -> Path:
    """The file that Calc makes of a CSV that it opened without a word of complaint."""
    (folder / "fleet.csv").write_bytes(text.encode())
    done = subprocess.run(  # noqa: S603 - our own words
        [
            calc,
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            "--headless",
            "--convert-to",
            kind,
            "--outdir",
            folder / "out",
            folder / "fleet.csv",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert [line for line in done.stderr.splitlines() if line != _NO_JAVA] == []
    return folder / "out" / f"fleet.{kind}"


def formulas(workbook: Path) -> list[str]:
    """What a workbook would calculate."""
    with ZipFile(workbook) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    return re.findall(r"<f[ >].*?</f>", sheet)


async def export(names: Iterable[str]) -> str:
    listings = [a_listing(name) for name in names]
    return "".join([line async for line in csv_lines(each(listings))])


async def test_nothing_in_it_is_calculated(calc: str, tmp_path: Path) -> None:
    assert formulas(opened(calc, await export(NAMES), tmp_path, "xlsx")) == []


def test_a_formula_would_be_seen(calc: str, tmp_path: Path) -> None:
    line = csv_line(["owner", "token"]) + "=1+1,ci\r\n"
    assert len(formulas(opened(calc, line, tmp_path, "xlsx"))) == 1


async def test_every_line_and_letter_is_there(calc: str, tmp_path: Path) -> None:
    text = await export(NAMES)
    back = opened(calc, text, tmp_path, "csv").read_text(encoding="utf-8-sig")
    found = list(csv.DictReader(StringIO(back, newline="")))
    sent = list(csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline="")))
    assert tuple(found[0]) == COLUMNS
    assert len(found) == len(NAMES)
    for column in ("owner", "expires", "may", "address"):
        assert [each[column] for each in found] == [each[column] for each in sent]
