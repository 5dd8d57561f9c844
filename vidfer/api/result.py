"""What `vidfer.analyze` returns: the predictions for one clip."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.stages.report import table_files
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    import pandas as pd


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


def shown(path: str | Path) -> str:
    """Return a path as text that any table, terminal or JSON can hold: control characters and stray bytes escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(repr(sign)[1:-1] if ord(sign) < 32 or 127 <= ord(sign) < 160 else sign for sign in text)
