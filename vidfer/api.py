"""Analyse clips: the function behind `vidfer analyze` and `vidfer.analyze`."""

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.columns import to_csv
from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.store import Store, default_store
from vidfer.stages.chain import ChainOptions, build_chain, name_models
from vidfer.stages.report import table_files
from vidfer.types import EMOTIONS, ClipError, Status, VidferError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from vidfer.media.find import Clip

OVERVIEW = (
    *("clip", "status", "predominant", "margin", "modalities"),
    *("faces_status", "faces_predominant", "sound_status", "sound_predominant", "people", *EMOTIONS, "message"),
)
"""Columns of `summary.csv`."""


@dataclass(frozen=True)
class ClipResult:
    """Predictions for one clip.

    Args:
        summary: What `summary.json` holds: `clip`, `status`, `predominant`, `margin`, `modalities`, `faces`, `sound`,
            `fused`, `people`, `settings`, `denoise`, `provenance`, `bundle`, `preset`, `models`.
        files: The tables by file name, as bytes; a clip that cannot be processed has them without rows.
    """

    summary: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def failed(cls, path: str | Path, error: ClipError) -> "ClipResult":
        """Return the result of a clip that could not even be begun."""
        what = {"status": error.status, "message": error.message, "predominant": None, "margin": None}
        part = {**what, "distribution": None}
        summary: dict[str, Any] = {
            "clip": shown(path),
            **what,
            "modalities": [],
            "faces": {
                **part,
                "vote": None,
                "n_frames": 0,
                "n_faces": 0,
                "n_unusable": 0,
                "n_uncertain": 0,
                "n_people": 0,
            },
            "sound": {**part, "n_windows": 0, "n_silent": 0, "n_no_voice": 0},
            "fused": {**part, "modalities": [], "method": None, "weights": {}},
            "people": [],
            **dict.fromkeys(("settings", "denoise", "provenance", "bundle", "preset", "models")),
        }
        return cls(summary, table_files({}))

    @property
    def status(self) -> Status:
        """What became of the clip; `ok` when its faces were classified."""
        return Status(self.summary["status"])

    @property
    def predominant(self) -> str | None:
        """The clip's predominant displayed expression, `uncertain`, or None without a prediction."""
        value: str | None = self.summary["predominant"]
        return value

    @property
    def margin(self) -> float | None:
        """The probability of the predominant expression less that of the second, in [0, 1]."""
        value: float | None = self.summary["margin"]
        return value

    @property
    def frames(self) -> "pd.DataFrame":
        """A row per face image: time in s, person, seven probabilities, box in px, quality."""
        return self._table("frames")

    @property
    def people(self) -> "pd.DataFrame":
        """A row per person: times in s, predominant expression, distribution, vote shares."""
        return self._table("people")

    @property
    def windows(self) -> "pd.DataFrame":
        """A row per window of sound: times in s, status, seven probabilities."""
        return self._table("windows")

    def _table(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        return pd.read_parquet(io.BytesIO(self.files[f"{name}.parquet"]))


def analyze(
    path: str | Path,
    *,
    options: ChainOptions | None = None,
    store: str | Path | None = None,
    progress: StageProgress | None = None,
) -> ClipResult:
    """Turn a video or sound file into tables of displayed facial expressions.

    A clip that cannot be processed is not an exception: its result says so in `status`.

    Args:
        path: The file.
        options: Sampling, models and rules; by default 5 frames a second and the shipped models on the CPU.
        store: Where computed artifacts are kept and found again; by default `$VIDFER_STORE` or the user's cache folder.
        progress: Called with a stage's name and the share of the clip it has done.

    Raises:
        VidferError: A weights file is missing or unusable, or the store is full or cannot be written.

    Example:
        >>> from vidfer import analyze
        >>> result = analyze("clip.mp4")  # doctest: +SKIP
        >>> result.predominant, result.people  # doctest: +SKIP
    """
    options = options or ChainOptions()
    chain = build_chain(options)
    place = Store(store if store is not None else default_store())
    try:
        with finished(chain, "report", Path(path), place, progress) as report:
            files = {name: (report.path / name).read_bytes() for name in report.names() if name != "summary.json"}
            return ClipResult({"clip": shown(path), **report.json("summary.json"), **name_models(options)}, files)
    except ClipError as error:
        return ClipResult.failed(path, error)


def shown(path: str | Path) -> str:
    """Return a path as text that any table, terminal or JSON can hold: control characters and stray bytes escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(repr(sign)[1:-1] if ord(sign) < 32 or 127 <= ord(sign) < 160 else sign for sign in text)


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


def write_result(result: ClipResult, folder: Path) -> None:
    """Write a clip's tables and `summary.json` into a folder, each file whole or not at all."""
    summary = json.dumps(result.summary, indent=2, ensure_ascii=False).encode() + b"\n"
    with results_folder(folder):
        for name, data in {**result.files, "summary.json": summary}.items():
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
