"""Builds workbook.json, which Azure reads, from workbook.toml, which people read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
SOURCE: Final = FOLDER / "workbook.toml"
BUILT: Final = FOLDER / "workbook.json"
# The numbers that Azure Monitor gives to a kind of item, of query and of parameter.
_TEXT, _QUERY, _PARAMETERS = 1, 3, 9
_LOGS, _TIME_RANGE = 0, 4
_DAY: Final = 86_400_000


def build() -> str:
    """The workbook as JSON."""
    source = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    items = [_text("intro", f"# {source['title']}\n{source['about'].strip()}"), _period()]
    for section in source["sections"]:
        items.append(_text(section["title"], f"## {section['title']}\n{section['about'].strip()}"))
        items.extend(_chart(section["title"], chart) for chart in section["charts"])
    book = {"version": "Notebook/1.0", "items": items, "isLocked": False}
    return json.dumps(book, indent=2, ensure_ascii=False) + "\n"


def _text(name: str, markdown: str) -> dict[str, Any]:
    return {"type": _TEXT, "name": name, "content": {"json": markdown}}


def _period() -> dict[str, Any]:
    choices = [{"durationMs": days * _DAY} for days in (1, 7, 30, 90)]
    parameter = {
        "name": "Period",
        "type": _TIME_RANGE,
        "isRequired": True,
        "value": {"durationMs": 30 * _DAY},
        "typeSettings": {"selectableValues": choices, "allowCustom": True},
    }
    content = {"version": "KqlParameterItem/1.0", "parameters": [parameter], "style": "pills"}
    return {"type": _PARAMETERS, "name": "period", "content": content}


def _chart(section: str, chart: dict[str, str]) -> dict[str, Any]:
    content = {
        "version": "KqlItem/1.0",
        "query": chart["query"].strip(),
        "size": 0,
        "title": chart["title"],
        "timeContextFromParameter": "Period",
        "queryType": _LOGS,
        "resourceType": "microsoft.insights/components",
        "visualization": chart["shape"],
        "noDataMessage": "Nothing in this period.",
    }
    return {"type": _QUERY, "name": f"{section}: {chart['title']}", "content": content}


if __name__ == "__main__":
    BUILT.write_text(build(), encoding="utf-8", newline="\n")
