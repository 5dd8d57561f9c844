"""The six tables of a clip, from what stage `report` found in it and what a user chose for the tables."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from vidfer import __version__
from vidfer.media.audio import RATE
from vidfer.results.design import ClipDesign
from vidfer.results.pictures import Pictures, thumbnail_name
from vidfer.results.repool import agreement, counts
from vidfer.results.schema import OPTIONAL, TABLES, typed
from vidfer.results.seconds import build_seconds
from vidfer.results.segments import build_segments
from vidfer.types import DISPLAYED, EMOTIONS, SOUND_IS_FINE, ClipError, Status, UsageError

if TYPE_CHECKING:
    import pandas as pd


NO_MEDIA: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("duration_s", "fps", "width", "height", "container", "codec", "rotation")),
    **dict.fromkeys(("audio_codec", "sampling_rate", "channels", "loudness", "recorded_at", "step_s")),
    "cuts_s": (),
    "notes": (),
}
"""`media` in the summary of a file of which nothing is known.

The columns of table `clips`, `recorded_at` as ISO 8601, `step_s`, the time between two samples, `cuts_s`, the times at which
scenes begin, and `notes`, sentences on the tracks.
"""


def summary_of_nothing(called: str, error: ClipError) -> dict[str, Any]:
    """Return the summary of a clip in which nothing was found, but for `tables` and `analyzed_at`, which are of the run."""
    what = {"status": error.status, "message": error.message, "predominant": None, "margin": None}
    part = {**what, "distribution": None}
    faces = {"vote": None, **dict.fromkeys(("n_frames", "n_faces", "n_unusable", "n_uncertain", "n_people"), 0)}
    return {
        "clip": called,
        **what,
        "modalities": [],
        "faces": {**part, **faces},
        "sound": {**part, "n_windows": 0, "n_silent": 0, "n_no_voice": 0},
        "fused": {**part, "modalities": [], "method": None, "weights": {}},
        "people": [],
        "media": {**NO_MEDIA, "cuts_s": [], "notes": []},
        "elapsed_s": None,
        **dict.fromkeys(("settings", "denoise", "provenance", "bundle", "preset", "models")),
        "about": DISPLAYED,
    }


@dataclass(frozen=True)
class TableOptions:
    """What a user can choose for the tables; nothing that is stored depends on it.

    Args:
        grid: Seconds between the rows of seconds.csv.
        min_segment: Seconds that a segment lasts at least; shorter ones are left out.

    Raises:
        UsageError: A value is out of range.
    """

    grid: float = 1.0
    min_segment: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0.05 <= self.grid < math.inf:
            raise UsageError(f"--grid has to be at least 0.05 s, not {self.grid}")
        if not 0 <= self.min_segment < math.inf:
            raise UsageError(f"--min-segment has to be 0 s or more, not {self.min_segment}")


@dataclass(frozen=True, eq=False)
class Report:
    """What stage `report` found in one clip, whatever its name: tables without ids, and a summary.

    Args:
        summary: What `summary.json` holds. `clip`, `analyzed_at` (ISO 8601 with Z) and `elapsed_s` are of the run.
        frames: Columns of table `frames`, with `person` (Int64, from 1 in order of appearance) instead of ids.
        people: Columns of table `people` that do not depend on the clip's name.
        windows: Columns of table `windows` without ids.
        pictures: A frame, and of each person the best face image and a strip, by number.
    """

    summary: Mapping[str, Any]
    frames: "pd.DataFrame"
    people: "pd.DataFrame"
    windows: "pd.DataFrame"
    pictures: Pictures = field(default_factory=Pictures)

    @classmethod
    def empty(cls, summary: Mapping[str, Any]) -> "Report":
        """Return the report of a clip in which nothing was found."""
        import pandas as pd

        none = typed("frames", pd.DataFrame(index=range(0))).assign(person=pd.array([], "Int64"))
        people, windows = (typed(table, pd.DataFrame(index=range(0))) for table in ("people", "windows"))
        return cls(summary, none, people, windows)


def build_tables(
    report: Report, clip_id: str, options: TableOptions | None = None, design: ClipDesign | None = None
) -> "dict[str, pd.DataFrame]":
    """Build the six tables of a clip, each with all columns of its schema and exactly their types.

    Args:
        report: What was found in the clip.
        clip_id: The clip's place below the run's folder, with `/` between its parts.
        options: The grid, and how short a segment may be.
        design: What a study says of the clip; it adds columns after those of the schema.
    """
    options, design, summary = options or TableOptions(), design or ClipDesign(), report.summary
    abstain, step = (summary["settings"] or {}).get("abstain"), summary["media"]["step_s"] or 0.0
    end = clip_end(report)
    frames, windows = design.exclude(_named(report.frames, clip_id), report.windows, abstain)
    seconds = build_seconds(frames, windows[counts(windows)], options.grid, end, abstain)
    if windows.empty and len(seconds):
        seconds["sound_status"] = summary["sound"]["status"]
    found = {
        "frames": frames,
        "seconds": seconds,
        "segments": build_segments(frames, options.min_segment, step),
        "people": _named(report.people, clip_id).assign(thumbnail=_thumbnails(report)),
        "windows": windows,
        "clips": build_clip(summary, clip_id),
    }
    tables = {table: typed(table, rows.assign(clip_id=clip_id)[_order(table, rows)]) for table, rows in found.items()}
    return design.complete(tables, summary["settings"], end)


def record(options: TableOptions | None = None, design: ClipDesign | None = None) -> dict[str, Any]:
    """Return as JSON what tables were built with: `tables` in the summary, by which they can be built again."""
    return {**asdict(options or TableOptions()), **(design or ClipDesign()).record()}


def _thumbnails(report: Report) -> "pd.Series":
    """Name the file of each person's picture."""
    known = report.people["person"]
    return known.map(thumbnail_name).where(known.isin(list(report.pictures.faces))).astype("string")


def person_id(clip_id: str, person: int) -> str:
    """Return the id of a clip's person, counted from 1 in order of appearance."""
    return f"{clip_id}#{person}"


def _named(rows: "pd.DataFrame", clip_id: str) -> "pd.DataFrame":
    """Give rows their person's id by column `person`."""
    ids = rows["person"].map(lambda person: person_id(clip_id, int(person)), na_action="ignore")  # floats in pandas 2.2
    return rows.assign(person_id=ids.astype("string"))


def _order(table: str, rows: "pd.DataFrame") -> list[str]:
    """Return the table's columns that are there."""
    columns = (*TABLES[table], *OPTIONAL[table])
    return [column.name for column in columns if column.name == "clip_id" or column.name in rows]


def clip_end(report: Report) -> float:
    """Return when the clip ends in s: the length that the file names, but not far beyond what could be read of it."""
    media, status = report.summary["media"], report.summary["status"]
    last, step = report.frames["time_s"].max(), media["step_s"] or 0.0
    read = max(
        last + step if len(report.frames) else 0.0, report.windows["end_s"].max() if len(report.windows) else 0.0
    )
    if media["duration_s"] is None:
        return float(read)
    slack = 0.0 if status == Status.PARTIAL else 3600.0  # a damaged header may name any length
    return float(min(media["duration_s"], read + slack))


def build_clip(summary: Mapping[str, Any], clip_id: str) -> "pd.DataFrame":
    """Build the row of table `clips` from a clip's summary."""
    import pandas as pd

    return pd.DataFrame([clip_row(summary, clip_id)])


def clip_row(summary: Mapping[str, Any], clip_id: str) -> dict[str, Any]:
    """Return what table `clips` says of a clip, by column, from its summary; columns that a run adds are not there."""
    faces, sound, fused, media = (summary[part] for part in ("faces", "sound", "fused", "media"))
    people = [person["person"] for person in summary["people"]]
    return {
        **{"clip_id": clip_id, "person_id": person_id(clip_id, people[0]) if len(people) == 1 else None},
        **{"path": summary["clip"], "status": summary["status"]},
        **{name: fused[name] for name in ("predominant", "margin")},
        "modalities": "+".join(fused["modalities"]) or None,
        **_distribution(fused),
        **{
            "faces_status": faces["status"],
            "faces_predominant": faces["predominant"],
            **_distribution(faces, "faces_"),
        },
        **{
            "sound_status": sound["status"],
            "sound_predominant": sound["predominant"],
            **_distribution(sound, "sound_"),
        },
        "agreement": agreement(*(part["predominant"] for part in (fused, faces, sound))),
        **{name: faces[name] for name in ("n_people", "n_frames", "n_faces", "n_unusable", "n_uncertain")},
        "n_windows": sound["n_windows"],
        **{name: value for name, value in media.items() if name not in ("step_s", "notes")},
        "recorded_at": _time(media["recorded_at"]),
        "analyzed_at": _time(summary.get("analyzed_at")),
        "elapsed_s": summary.get("elapsed_s"),
        "warnings": "; ".join(warnings(summary)) or None,
        "source_blake3": (summary["provenance"] or {}).get("source_blake3"),
        "vidfer": __version__,
    }


def _distribution(part: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    return {f"{prefix}{name}": (part["distribution"] or {}).get(name) for name in EMOTIONS}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """Collect what a user has to know about a clip, in sentences."""
    sound, message = summary["sound"], summary["message"]
    failed = sound["message"] if sound["status"] not in SOUND_IS_FINE else ""
    notes = [note for note in summary["media"]["notes"] if note not in message + failed]
    return list(dict.fromkeys(filter(None, [message, *notes, narrow_band(summary), failed])))


def narrow_band(summary: Mapping[str, Any]) -> str:
    """Say that sound was sampled at less than what features are computed from, so that they lack a part; else nothing."""
    rate = summary["media"]["sampling_rate"]
    if not rate or rate >= RATE or not summary["sound"]["n_windows"]:
        return ""
    return (
        f"the sound was sampled at {rate / 1000:g} kHz and has nothing above {rate / 2000:g} kHz: many of its features, and what "
        f"is predicted from them, are not comparable with those of sound sampled at {RATE / 1000:g} kHz or more"
    )
