"""The folder of a run: a folder for each clip, and an overview of all."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.api.result import ClipResult, shown
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.columns import to_csv
from vidfer.results.thumbnails import thumbnail_files
from vidfer.types import EMOTIONS, VidferError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vidfer.media.find import Clip

OVERVIEW = (
    *("clip", "status", "predominant", "margin", "modalities"),
    *("faces_status", "faces_predominant", "sound_status", "sound_predominant", "people", *EMOTIONS, "message"),
)
"""Columns of `summary.csv`."""


def result_folders(clips: "Sequence[Clip]", out: Path) -> dict[Path, Path]:
    """Give each clip a folder below `out`, by its place, that holds no other clip's results of this run or an earlier one."""
    folders: dict[Path, Path] = {}
    taken = {out / "summary.csv"}
    for clip, place in clips:
        folder, number = out / place, 1
        while folder in taken or _belongs_to_another_clip(folder, clip):
            number += 1
            folder = (out / place).with_name(f"{place.name}-{number}")
        taken.add(folder)
        folders[clip] = folder
    return folders


def _belongs_to_another_clip(folder: Path, clip: Path) -> bool:
    try:
        owner = str(json.loads((folder / "summary.json").read_bytes())["clip"])
    except (OSError, ValueError, KeyError, TypeError):  # no results of a clip
        return False
    same_file = Path(owner).parent.resolve() / Path(owner).name == clip.parent.resolve() / clip.name
    return owner != shown(clip) and not same_file


def write_result(result: ClipResult, folder: Path, *, show_faces: bool = False) -> None:
    """Write a clip's tables, `summary.json` and pictures of people into a folder, each file whole or not at all.

    The pictures are blurred unless `show_faces`.
    """
    summary = json.dumps(result.summary, indent=2, ensure_ascii=False).encode() + b"\n"
    files = {"summary.json": summary, **thumbnail_files(result.pictures, show_faces=show_faces)}
    for name, rows in result.tables.items():
        out = io.BytesIO()
        rows.to_parquet(out, compression="zstd", index=False)
        plain = rows.astype(object).where(rows.notna(), None)
        files |= {
            f"{name}.parquet": out.getvalue(),
            f"{name}.csv": to_csv({str(key): plain[key].tolist() for key in plain}),
        }
    with results_folder(folder):
        for name, data in files.items():
            write_atomic(folder / name, data)


def write_overview(summaries: list[dict[str, Any]], out: Path) -> None:
    """Bring `summary.csv` up to date: a row per clip; those of other clips that it holds already are kept.

    Raises:
        VidferError: It cannot be written, or what lies there is no such table.
    """
    known, columns = _read_overview(out)
    rows = [_overview_row(summary) for summary in summaries]
    fresh = to_csv({name: [row[name] for row in rows] for name in OVERVIEW}).decode()
    for row in csv.DictReader(io.StringIO(fresh, newline="")):
        known[row["clip"]] = {**known.get(row["clip"], {}), **row}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*OVERVIEW, *columns], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(known.values())
    with results_folder(out):
        write_atomic(out / "summary.csv", text.getvalue())


def _read_overview(out: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Read `summary.csv`: its rows by clip, none where there is no such file, and the columns that are not vidfer's."""
    path, remedy = out / "summary.csv", "move it away, or give another folder by --out"
    try:
        text = path.read_text("utf-8-sig") if path.exists() else ",".join(OVERVIEW)
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True)
        rows = {row["clip"]: row for row in reader} if "clip" in (reader.fieldnames or ["clip"]) else None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VidferError(f"{path} is no overview of vidfer's: {remedy}") from error
    if rows is None:
        raise VidferError(f"{path} is no overview of vidfer's: {remedy}")
    if any(None in row for row in rows.values()):
        raise VidferError(f"{path} has rows longer than its header: {remedy}")
    return rows, [name for name in reader.fieldnames or () if name not in OVERVIEW]


def _overview_row(summary: dict[str, Any]) -> dict[str, Any]:
    parts = {f"{part}_{name}": summary[part][name] for part in ("faces", "sound") for name in ("status", "predominant")}
    distribution = summary["fused"]["distribution"] or dict.fromkeys(EMOTIONS)
    return {
        **{**summary, **parts, **distribution},
        **{"modalities": "+".join(summary["modalities"]), "people": len(summary["people"])},
    }
