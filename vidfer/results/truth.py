"""Predictions of a run beside what is known of its clips: the rows that can be judged, and which are left out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.results.edits import read_edits
from vidfer.types import EMOTIONS, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from vidfer.results.run import Run

Modality = Literal["clip", "faces", "sound"]

UNCERTAIN: Final = "uncertain"

_PREFIX: Final[dict[Modality, str]] = {"clip": "", "faces": "faces_", "sound": "sound_"}


@dataclass(frozen=True)
class Judged:
    """The clips of a run with a known expression and a prediction, N >= 1.

    Args:
        target: The truth `(N,)`, an index into `EMOTIONS`.
        answers: The predominant expression `(N,)`, one of `EMOTIONS` or `uncertain`.
        probabilities: `(N, 7)`.
        unlabelled: How many clips have no truth.
        unknown: Truths that are none of the seven, with how many clips have each; these are left out.
        unanswered: How many labelled clips have no prediction.
    """

    target: npt.NDArray[np.int64]
    answers: tuple[str, ...]
    probabilities: npt.NDArray[np.float64]
    unlabelled: int
    unknown: dict[str, int]
    unanswered: int

    @property
    def left_out(self) -> str:
        """Say which clips do not count, or nothing."""
        unknown = sum(self.unknown.values())
        parts = (
            (self.unlabelled, "without a label"),
            (unknown, "with an unknown label"),
            (self.unanswered, "without a prediction"),
        )
        said = [f"{count} {why}" for count, why in parts if count]
        return f"left out: {', '.join(said)}" if said else ""


def judge(clips: "pd.DataFrame", truth: "pd.Series[str]", modality: Modality = "clip") -> Judged:
    """Put predictions beside the truth.

    Args:
        clips: Table `clips` of a run.
        truth: What each of its rows shows: one of the seven in any case, or missing.
        modality: Whose prediction: the clip's answer, that of the faces alone, or of the sound alone.

    Raises:
        UsageError: No clip has both.
    """
    labels = truth.astype("string").str.strip().str.lower().replace("", None)
    known = labels.isin(EMOTIONS)
    unknown = labels[labels.notna() & ~known].value_counts().to_dict()
    prefix = _PREFIX[modality]
    rows = clips[known & clips[f"{prefix}predominant"].notna()]
    if rows.empty:
        names = ", ".join(EMOTIONS)
        if unknown and not known.any():
            raise UsageError(f"--truth: '{next(iter(unknown))}' is none of the seven expressions: {names}")
        raise UsageError(f"no clip has both a label, one of {names}, and a prediction of the {modality}")
    return Judged(
        np.array([EMOTIONS.index(name) for name in labels[rows.index]], np.int64),
        tuple(rows[f"{prefix}predominant"]),
        rows[[f"{prefix}{name}" for name in EMOTIONS]].to_numpy(np.float64),
        int(labels.isna().sum()),
        {str(name): int(count) for name, count in unknown.items()},
        int(known.sum()) - len(rows),
    )


def own_column(run: "Run", column: str, option: str) -> "pd.Series[str]":
    """Return a column of a run's clips, also one that the user has written into `clips.csv` since the tables were made.

    Raises:
        UsageError: There is no such column; the message begins with the option.
    """
    import pandas as pd

    from vidfer.results.schema import TABLES

    clips, schema = run.clips, {each.name for each in TABLES["clips"]}
    written = read_edits(run.folder / "clips.csv", "clips", set())
    if column in written.own:
        texts = written.own[column]
        cells = [texts[at] if (at := written.places.get((str(one),))) is not None else None for one in clips["clip_id"]]
        return pd.Series(cells, index=clips.index, dtype="string").replace("", None)
    if column in clips and column not in schema:
        return clips[column].astype("string")
    names = dict.fromkeys((*map(str, clips), *written.own))
    given = ", ".join(name for name in names if name not in schema) or "none"
    remedy = "add it to clips.csv, or name it in the file of participants"
    raise UsageError(f"{option}: the run's clips have no column {column} of their own ({given}): {remedy}")
