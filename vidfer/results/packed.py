"""A clip's tables, summary and pictures as JSON, for what one process tells another: text that is read, and never run."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidfer.results.files import parquet_file, read_table
from vidfer.results.pictures import Pictures
from vidfer.results.tables import Report

if TYPE_CHECKING:
    import pandas as pd

Packed = dict[str, Any]
"""What `json.dumps` takes."""


def pack(summary: Mapping[str, Any], tables: "Mapping[str, pd.DataFrame]", pictures: Pictures) -> Packed:
    """Return them as JSON; tables are Parquet and pictures JPEG, both in base 64."""
    return {
        "summary": dict(summary),
        "tables": {name: _text(parquet_file(rows)) for name, rows in tables.items()},
        "faces": {str(person): _text(data) for person, data in pictures.faces.items()},
        "strips": {str(person): _text(data) for person, data in pictures.strips.items()},
        "poster": pictures.poster and _text(pictures.poster),
        "blurred": pictures.blurred,
    }


def unpack(packed: Packed) -> "tuple[dict[str, Any], dict[str, pd.DataFrame], Pictures]":
    """Return what was packed: the summary, the tables with their types, and the pictures."""
    tables = {name: read_table(b64decode(text)) for name, text in packed["tables"].items()}
    faces, strips = (
        {int(person): b64decode(text) for person, text in packed[name].items()} for name in ("faces", "strips")
    )
    poster = packed["poster"] and b64decode(packed["poster"])
    return packed["summary"], tables, Pictures(faces, strips, poster, packed["blurred"])


def pack_report(report: Report) -> Packed:
    """Return a report as JSON, without its pictures."""
    tables = {"frames": report.frames, "people": report.people, "windows": report.windows}
    return pack(report.summary, tables, Pictures())


def unpack_report(packed: Packed) -> Report:
    """Return the report that was packed."""
    summary, tables, _ = unpack(packed)
    return Report(summary, tables["frames"], tables["people"], tables["windows"])


def _text(data: bytes) -> str:
    return b64encode(data).decode()
