"""Tables of clips with a value of its kind in every cell, and a writer process that can be killed."""

import pandas as pd

from vidfer.results.clip_folder import write_clip
from vidfer.results.schema import TABLES, typed
from vidfer.results.tables import summary_of_nothing
from vidfer.types import ClipError, Status

SUMMARY = {**summary_of_nothing("a.mp4", ClipError(Status.NO_FACE, "no face")), "analyzed_at": "2026-01-02T03:04:05Z"}
"""The summary of a clip, whole."""

ROWS = {"frames": 3, "seconds": 2, "segments": 1, "people": 2, "windows": 2, "clips": 1}


def tables_of(clip_id, value=0.5, rows=None, **further):
    """Return the six tables of a clip, with `value` in every float; further columns are in all."""
    tables = {}
    for name, columns in TABLES.items():
        count = (ROWS if rows is None else rows)[name]
        cells = {"float": value, "int": 7, "bool": True, "time": "2026-01-02T03:04:05Z", "string": "happy"}
        first = {column.name: column.values[0] for column in columns if column.values and "happy" not in column.values}
        table = {column.name: [first.get(column.name, cells[column.kind])] * count for column in columns}
        table |= {"clip_id": [clip_id] * count, "person_id": [f"{clip_id}#{n + 1}" for n in range(count)]}
        if name == "people":
            table["person"] = [n + 1 for n in range(count)]
            table |= dict.fromkeys(("name", "same_as", "linked_to", "thumbnail"), [None] * count)
        table |= {key: [cell] * count for key, cell in further.items()}
        tables[name] = typed(name, pd.DataFrame(table))
    return tables


def write(run, clip_id, value=0.5, rows=None, excel=False, files=None, **further):
    """Write a clip's folder below a run's."""
    tables = tables_of(clip_id, value, rows, **further)
    write_clip(run / clip_id, clip_id, tables, {**SUMMARY, "clip": f"videos/{clip_id}"}, excel=excel, files=files)
    return tables
