"""Rows of purged clips in tables that hold those of others: tables that a user may have edited, and parts of a manifest's run."""

import csv
import io
import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from vidfer.api.many import RUN
from vidfer.api.parts import CLIPS, Tally, without_clips
from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.columns import unescaped
from vidfer.results.edits import KEYS
from vidfer.results.files import DIVIDERS
from vidfer.results.run_folder import begins_with_bom
from vidfer.types import VidferError


def edited_tables(run: Path) -> list[Path]:
    """List the tables that a user may have written into, copies of earlier ones included."""
    return [
        path for name in KEYS for path in (run / f"{name}.csv", *run.glob(f"{name}-earlier*.csv")) if path.is_file()
    ]


def drop_rows(table: Path, ids: Collection[str]) -> None:
    """Remove clips' rows from a CSV that a user may have edited, and let nobody be the same as a person who is gone.

    Raises:
        VidferError: It is no CSV file any more.
    """
    try:
        text = table.read_bytes().decode("utf-8-sig")
        divider = max(DIVIDERS, key=text.partition("\n")[0].count)
        header, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=divider)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise VidferError(
            f"{table} is no CSV file in UTF-8 ({error}): save it as one, and run the same command again"
        ) from error
    if "clip_id" not in header:
        return
    at = header.index("clip_id")
    kept = [row for row in rows if len(row) > at and unescaped(row[at]) not in ids]
    changed = _join_again(header, kept, ids) or len(kept) < len(rows)
    if not kept and "-earlier" in table.name:
        table.unlink()
    elif changed:
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=divider, lineterminator="\n").writerows([header, *kept])
        write_atomic(table, ("\ufeff" if begins_with_bom(table) else "") + out.getvalue())


def _join_again(header: list[str], rows: list[list[str]], ids: Collection[str]) -> bool:
    """Point rows that name a person who is gone to the first of them; return whether there were any."""
    changed = False
    for name in ("same_as", "linked_to"):
        if not {name, "person"} <= set(header):
            continue
        at, first = header.index(name), dict[str, str]()
        for row in rows:
            if len(row) == len(header) and row[at].rpartition("#")[0] in ids:
                own = f"{unescaped(row[header.index('clip_id')])}#{row[header.index('person')]}"
                before = row[at]
                row[at] = first.get(before, "")
                first.setdefault(before, own)
                changed = True
    return changed


def remove_from_parts(run: Path, ids: Collection[str]) -> None:
    """Remove rows of clips from the parts of a manifest's run, those of table `clips` last, and count again what is left."""
    import pyarrow.parquet as pq

    parts = sorted(run.glob("*/part-*.parquet"), key=lambda path: (path.parent.name == CLIPS, path))
    for part in parts:
        without_clips(part, ids)
    tally = Tally()
    for part in sorted((run / CLIPS).glob("part-*.parquet")):
        tally.add(pq.read_table(part))
    with suppress(FileNotFoundError):
        facts = json.loads((run / RUN).read_bytes())
        statuses, predominant = (dict(each.most_common()) for each in (tally.statuses, tally.predominant))
        facts |= {
            "n_clips": tally.n_clips,
            "statuses": statuses,
            "predominant": predominant,
            "n_faults": tally.n_faults,
        }
        write_atomic(run / RUN, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
