"""Participants, conditions and whatever else a study knows of its clips, as columns of every table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.pipeline.paths import identity, is_file, is_folder, real
from vidfer.results.consent import COLUMNS as OF_CONSENT
from vidfer.results.consent import Consent
from vidfer.results.files import typed_values
from vidfer.results.schema import DTYPES, OPTIONAL, TABLES, Kind
from vidfer.results.sheets import ClipNames, Sheet, read_sheet
from vidfer.types import UsageError

if TYPE_CHECKING:
    import pandas as pd

PARTICIPANTS: Final = "participants.csv"
"""Name of the file that is used where it lies in a folder of clips."""

NAMED: Final = ("participant", "condition", "stimulus")
"""Columns with a meaning of their own; they are text whatever they hold, as those of consent are."""

_TEXTS: Final = (*NAMED, *OF_CONSENT)

_INTEGER: Final = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?|[-+]?\.\d+([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Study:
    """What files of participants say of the clips of a run.

    Args:
        kinds: Kind of each column, in the order of the files; see `DTYPES`.
        values: Value of each column by clip; None where it is missing.
        notes: What does not fit, in sentences.
        without_row: Ids of the clips that no row names.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    without_row: frozenset[str] = frozenset()

    def only(self, clip_id: str) -> "Study":
        """Return what is said of one clip, with all columns."""
        values = {clip_id: self.values[clip_id]} if clip_id in self.values else {}
        return Study(self.kinds, values, (), self.without_row & {clip_id})

    def consent(self, clip_id: str) -> Consent:
        """Return what is known of the consent to a clip's analysis."""
        return Consent.read(self.values.get(clip_id, {}))

    def with_consents(self, found: Mapping[str, Consent]) -> "Study":
        """Return the study with what else is known of the consent to clips of which it says nothing itself."""
        more = {clip: one.record() for clip, one in found.items() if not self.consent(clip).decides}
        said = {clip: record for clip, record in more.items() if record}
        kinds: dict[str, Kind] = dict(self.kinds)
        kinds |= {name: "string" for name in OF_CONSENT if any(name in one for one in said.values())}
        values = {**self.values, **{clip: {**self.values.get(clip, {}), **record} for clip, record in said.items()}}
        return replace(self, kinds=kinds, values=values)

    def extend(self, rows: "pd.DataFrame", clip_id: str, table: str) -> "pd.DataFrame":
        """Add the study's columns to rows of one clip after the others; those of consent to table `clips` alone."""
        import pandas as pd

        values = self.values.get(clip_id, {})
        added = {
            name: pd.Series([values.get(name)] * len(rows), index=rows.index, dtype=DTYPES[kind])
            for name, kind in self.kinds.items()
            if table == "clips" or name not in OF_CONSENT
        }
        return rows.assign(**added)


def read_study(sheets: Sequence[tuple[Path, Mapping[str, Path]]], *, named: bool = True) -> Study:
    """Read files of participants, each with the clips, by id, that it may name.

    Types are inferred once from all files: whole numbers, numbers, true and false, else text; with one number that begins with
    0, such as 007, the column is text. Rows of clips that are not in this run, and clips without a row, are named in `notes`.

    Args:
        sheets: The files.
        named: Whether the user named them; one that was found may be about other clips alone.

    Raises:
        UsageError: A file cannot be read, or one that was named has no row of a clip of the run; a row may mean several clips;
            two rows of a clip differ; a column has the name of one of vidfer's; a cell of consent is none, see `Consent`.
    """
    found: dict[str, tuple[Path, int, Mapping[str, str]]] = {}
    columns: dict[str, None] = {}
    notes, clips = [], set[str]()
    for path, own in sheets:
        sheet = read_sheet(path, ["clip"], _TEXTS).with_points(("clip", *_TEXTS))
        _refuse_own_columns(sheet)
        columns |= dict.fromkeys(name for name in sheet.columns if name != "clip")
        clips |= set(own)
        notes += _misspelt(sheet)
        notes += _match(sheet, own, found, named=named)
    without = frozenset(clips - set(found))
    if without:
        some = ", ".join(sorted(without)[:5]) + (", ..." if len(without) > 5 else "")
        files = " and ".join(str(path) for path, _ in sheets)
        notes.append(f"{files}: no row for {some}; columns of the study are missing there")
    cells = {name: [row.get(name, "") for _, _, row in found.values()] for name in columns}
    kinds: dict[str, Kind] = {name: "string" if name in _TEXTS else infer_kind(cells[name]) for name in columns}
    typed = {name: typed_values(cells[name], kinds[name]) for name in columns}
    values = {clip: {name: typed[name][at] for name in columns} for at, clip in enumerate(found)}
    return Study(kinds, values, tuple(notes), without)


def read_consents(clips: Mapping[str, Path]) -> dict[str, Consent]:
    """Read what `participants.csv` in each clip's folder, or in the nearest one above that has it, says of consent to it.

    Files that say nothing of consent are left alone, whatever they are about; clips of which none is known are not in the result.

    Args:
        clips: The clips' files by id.

    Raises:
        UsageError: A file cannot be read, or a cell of consent is none, or a row may mean several clips.
    """
    found: dict[str, tuple[Path, int, Mapping[str, str]]] = {}
    places = {clip: identity(path) for clip, path in clips.items()}
    # ids are of the run, and other ones for whoever wrote the file
    files = {str(place): place for place in places.values()}
    folders = dict.fromkeys(folder for place in files.values() for folder in place.parents)
    for path, own in find_participants(list(folders), files):
        sheet = read_sheet(path, [], ("clip", *OF_CONSENT))
        said = [name for name in OF_CONSENT if name in sheet.columns]
        if "clip" not in sheet.columns or not said:
            continue
        rows = tuple((line, {name: row[name] for name in ("clip", *said)}) for line, row in sheet.rows if row["clip"])
        _match(replace(sheet, columns=("clip", *said), rows=rows), own, found, named=False)
    return {clip: Consent.read(found[str(place)][2]) for clip, place in places.items() if str(place) in found}


def _misspelt(sheet: Sheet) -> list[str]:
    """Say which columns look like those of consent and are none: they refuse no clip."""
    others = {_plain(name): name for name in sheet.columns if name not in OF_CONSENT}
    near = {name: get_close_matches(name, others, 1, 0.8) for name in OF_CONSENT if name not in sheet.columns}
    return [
        f"{sheet.path}: column {others[found[0]]} decides about no clip: write {name} if that is meant"
        for name, found in near.items()
        if found
    ]


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_")


def _refuse_own_columns(sheet: Sheet) -> None:
    own = {column.name for part in (TABLES, OPTIONAL) for table in part.values() for column in table} - set(NAMED)
    if taken := [name for name in sheet.columns if name in own]:
        raise UsageError(f"{sheet.path}: vidfer's tables have a column {taken[0]} of their own: rename it")


def _match(
    sheet: Sheet, clips: Mapping[str, Path], found: dict[str, tuple[Path, int, Mapping[str, str]]], *, named: bool
) -> list[str]:
    """Enter each row under its clip; return notes on those of no clip."""
    names, unknown, matched = ClipNames(clips, sheet.path), [], False
    for line, row in sheet.rows:
        if not row["clip"]:
            raise UsageError(f"{sheet.path}, line {line}: no clip is named")
        clip = names.find(row["clip"], line)
        if clip is None:
            unknown.append((line, row["clip"]))
            continue
        matched = True
        values = {name: cell for name, cell in row.items() if name != "clip"}
        Consent.read(values, f"{sheet.path}, line {line}: ")
        path, other, before = found.setdefault(clip, (sheet.path, line, values))
        if differ := [name for name in {**before, **values} if before.get(name, "") != values.get(name, "")]:
            where = f"line {other}" if path == sheet.path else f"{path}, line {other}"
            raise UsageError(f"{sheet.path}, line {line}: {row['clip']} has another {differ[0]} than in {where}")
    notes = names.unmatched(unknown)
    if unknown and not matched and named:
        raise UsageError(
            f"{notes[0]}: none of its rows does; clips are named by their files, such as {next(iter(clips))}"
        )
    return notes


def infer_kind(cells: Iterable[str]) -> Kind:
    """Return the narrowest kind that holds all texts of a column, empty ones aside; text where there is none."""
    given = [cell for cell in cells if cell]
    if not given:
        return "string"
    if all(cell.upper() in ("TRUE", "FALSE") for cell in given):
        return "bool"
    if all(_INTEGER.fullmatch(cell) for cell in given):
        return "int"
    numbers = all(_DECIMAL.fullmatch(cell) and len(cell) < 18 and isfinite(float(cell)) for cell in given)
    return "float" if numbers else "string"


def find_participants(paths: Sequence[Path], clips: Mapping[str, Path]) -> list[tuple[Path, dict[str, Path]]]:
    """Find `participants.csv` in each folder that was named, or beside a file that was, with the clips, by id, below it.

    A clip below several such folders belongs to the nearest.
    """
    named = [path if is_folder(path) else path.parent for path in paths]
    files = {real(folder): folder / PARTICIPANTS for folder in named if is_file(folder / PARTICIPANTS)}
    found: dict[Path, dict[str, Path]] = {}
    for clip, path in clips.items():
        owner = next((folder for folder in identity(path).parents if folder in files), None)
        if owner:
            found.setdefault(owner, {})[clip] = path
    return [(files[folder], own) for folder, own in found.items()]
