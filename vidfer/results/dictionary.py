"""The data dictionary: the columns of `schema.py` as Frictionless `datapackage.json` and the tables of docs/reference/columns.md.

    python -m vidfer.results.dictionary docs/reference/columns.md

writes what stands below the mark in that file anew.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vidfer import __version__
from vidfer.pipeline.atomic import write_atomic
from vidfer.results.schema import OPTIONAL, SCHEMA_VERSION, TABLES, Column, Kind
from vidfer.types import DISPLAYED, EMOTIONS, VidferError

PACKAGE: Final = "datapackage.json"
MARK: Final = "<!-- Below: written by `make columns` from vidfer/results/schema.py. -->"

ABOUT: Final[Mapping[str, str]] = {
    "frames": "A row for each sampled time and person, from the first sighting to the last; times of nobody have one row.",
    "seconds": "A row for each interval of a regular grid and person, with the sound's columns beside.",
    "segments": "A row for each run of one smoothed expression of a person.",
    "people": "A row for each person of a clip.",
    "windows": "A row for each window of sound.",
    "clips": "A row for each clip.",
}
"""What a row of each table is."""

_FIELDS: Final[Mapping[Kind, Mapping[str, Any]]] = {
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean", "trueValues": ["TRUE"], "falseValues": ["FALSE"]},
    "time": {"type": "datetime"},
}
_WORDS: Final = {"string": "text", "int": "whole number", "float": "number", "bool": "TRUE or FALSE", "time": "time"}
_OWN: Final = "the user's own column"
_WITHOUT: Final = "the clip was analysed without it"


def datapackage(
    name: str, further: Mapping[str, Mapping[str, Kind]] | None = None, *, excel: bool = False
) -> dict[str, Any]:
    """Describe the CSV files of a folder of results as a tabular data package of Frictionless, version 1.

    Args:
        name: What the results are called, such as the name of their folder.
        further: By table the columns that come after those of the schema, in order, with their kinds.
        excel: Whether the CSV files begin with a byte order mark.
    """
    resources = []
    for table, columns in TABLES.items():
        known = {column.name: column for column in OPTIONAL[table]}
        more = (
            replace(known[each], kind=kind, missing=known[each].missing or _WITHOUT)
            if each in known
            else Column(each, kind, _OWN, missing="not given")
            for each, kind in (further or {}).get(table, {}).items()
        )
        resources.append(
            {
                "name": table,
                "profile": "tabular-data-resource",
                "path": f"{table}.csv",
                "description": f"{ABOUT[table]} {DISPLAYED} {table}.parquet has the same rows with all decimals.",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8-sig" if excel else "utf-8",
                "dialect": {"delimiter": ",", "lineTerminator": "\n", "header": True},
                "schema": {"fields": [_field(column) for column in (*columns, *more)], "missingValues": [""]},
            }
        )
    return {
        "profile": "tabular-data-package",
        "name": re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-") or "results",
        "title": name,
        "description": f"{DISPLAYED} By vidfer {__version__}.",
        "schemaVersion": SCHEMA_VERSION,
        "resources": resources,
    }


def package_file(name: str, further: Mapping[str, Mapping[str, Kind]], *, excel: bool) -> bytes:
    """Return what a folder's `datapackage.json` is to hold, see `datapackage`."""
    return json.dumps(datapackage(name, further, excel=excel), indent=1, ensure_ascii=False).encode() + b"\n"


def _field(column: Column) -> dict[str, Any]:
    """Describe a column as a field of a Table Schema; `unit` and `missing` are properties of vidfer's own."""
    constraints = {
        "required": not column.missing or None,
        "minimum": column.low,
        "maximum": column.high,
        "enum": list(column.values) or None,
    }
    field = {"name": column.name, **_FIELDS[column.kind], "description": column.meaning}
    field |= {name: text for name, text in (("unit", column.unit), ("missing", column.missing)) if text}
    return {**field, "constraints": {name: value for name, value in constraints.items() if value is not None}}


def columns_page() -> str:
    """Render every table's columns as Markdown; seven columns that differ in the expression alone share a row."""
    lines = [f"Version {SCHEMA_VERSION} of the schema."]
    for table, columns in TABLES.items():
        lines += ["", f"## {table}", "", ABOUT[table], "", *_rows(columns)]
        lines += ["", "With `--participants`, `--markers` or `--baseline` also:", "", *_rows(OPTIONAL[table])]
    return "\n".join(lines) + "\n"


def _rows(columns: Iterable[Column]) -> Iterator[str]:
    yield "| column | type | unit | values | meaning | missing |"
    yield "|---|---|---|---|---|---|"
    for names, column in _together(columns):
        cells = (names, _WORDS[column.kind], column.unit, _values(column), column.meaning, column.missing or "never")
        yield f"| {' | '.join(cells)} |"


def _together(columns: Iterable[Column]) -> Iterator[tuple[str, Column]]:
    """Yield columns with their names, those of the seven expressions as one."""
    first, last = EMOTIONS[0], EMOTIONS[-1]
    for column in columns:
        emotion = column.name.rpartition("_")[2]
        if emotion not in EMOTIONS:
            yield f"`{column.name}`", column
        elif emotion == first:
            other = column.name.removesuffix(first) + last
            yield (
                f"`{column.name}` ... `{other}`",
                replace(column, meaning=column.meaning.replace(first, "the expression")),
            )


def _values(column: Column) -> str:
    if column.values:
        shown = column.values
        answers = set(EMOTIONS) <= set(shown)
        return "one of the seven, `uncertain`" if answers else ", ".join(f"`{value}`" for value in shown)
    if column.low is None and column.high is None:
        return ""
    if column.high is None:
        return f"from {column.low:g}"
    return f"{column.low:g} to {column.high:g}"


def write_page(path: Path) -> None:
    """Write the columns into a page, below the line `MARK`; what stands above it stays.

    Raises:
        VidferError: The page has no such line.
    """
    text = path.read_text("utf-8")
    if MARK not in text:
        raise VidferError(f"{path} has no line '{MARK}', below which the columns are to be written")
    write_atomic(path, f"{text.partition(MARK)[0]}{MARK}\n\n{columns_page()}")


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
