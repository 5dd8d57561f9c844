"""What `vidfer.analyze` returns: the predictions for one clip."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.results.tables import NO_MEDIA, Report, build_tables
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ClipResult:
    """Predictions for one clip.

    Args:
        summary: What `summary.json` holds: `clip`, `status`, `predominant`, `margin`, `modalities`, `faces`, `sound`,
            `fused`, `people`, `media`, `settings`, `denoise`, `provenance`, `bundle`, `preset`, `models`,
            `analyzed_at`, `elapsed_s`.
        tables: The six tables by name, with all columns and types of `vidfer.results.schema` also where they have no rows.
    """

    summary: dict[str, Any]
    tables: "dict[str, pd.DataFrame]"

    @classmethod
    def failed(cls, path: str | Path, error: ClipError, clip_id: str | None = None) -> "ClipResult":
        """Return the result of a clip that could not even be begun; its tables but `clips` have no rows."""
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
            "media": {**NO_MEDIA},
            "analyzed_at": now(),
            "elapsed_s": None,
            **dict.fromkeys(("settings", "denoise", "provenance", "bundle", "preset", "models")),
        }
        called = shown(Path(path).name) if clip_id is None else clip_id
        return cls(summary, build_tables(Report.empty(summary), called))

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
        """A row per sampled time and person, gaps included: status, seven probabilities, box in px, quality."""
        return self.tables["frames"]

    @property
    def people(self) -> "pd.DataFrame":
        """A row per person: times in s, predominant expression, distribution, vote shares."""
        return self.tables["people"]

    @property
    def windows(self) -> "pd.DataFrame":
        """A row per window of sound: times in s, status, seven probabilities."""
        return self.tables["windows"]


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def shown(path: str | Path) -> str:
    """Return a path as text that any table, terminal or JSON can hold: control characters and stray bytes escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(repr(sign)[1:-1] if ord(sign) < 32 or 127 <= ord(sign) < 160 else sign for sign in text)
