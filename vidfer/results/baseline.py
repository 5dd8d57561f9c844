"""Expressions against each person's own reference: how a face looks at rest is no expression."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.inference.decision import softmax
from vidfer.media.quality import UNUSABLE
from vidfer.results.markers import Marker, excluded, within
from vidfer.results.repool import probabilities
from vidfer.types import EMOTIONS, UsageError

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.floating]

_SAID: Final = re.compile(r"(?P<neutral>neutral)|first[ :]\s*(?P<seconds>[\d.]+)\s*s?|marker[ :]\s*(?P<marker>.+)")
_LEAST: Final = 1e-6  # as in pooling: no probability counts as less


@dataclass(frozen=True)
class Baseline:
    """Which of a person's usable face images are their reference.

    Args:
        kind: `neutral` are those that are most probably neutral, `first` those of the first `seconds` from the first sighting,
            `marker` those within a marker of the name `marker`, also where that excludes its time from all else.
    """

    kind: Literal["neutral", "first", "marker"]
    seconds: float = 0.0
    marker: str = ""

    @classmethod
    def parse(cls, text: str) -> "Baseline":
        """Read `neutral`, `first S` or `first:S`, and `marker NAME` or `marker:NAME`.

        Raises:
            UsageError: It is none of these.
        """
        found = _SAID.fullmatch(text.strip())
        if found and found["neutral"]:
            return cls("neutral")
        if found and found["marker"]:
            return cls("marker", marker=found["marker"].strip())
        try:
            seconds = float(found["seconds"]) if found else 0.0
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            raise UsageError(f"--baseline is '{text}': give neutral, first:SECONDS or marker:NAME")
        return cls("first", seconds)


def add_baseline(
    tables: "dict[str, pd.DataFrame]", baseline: Baseline, markers: Sequence[Marker] = ()
) -> "tuple[dict[str, pd.DataFrame], list[str]]":
    """Add `baseline_*` to `frames`, `seconds` and `people` of one clip, and `n_baseline` to `people`; return notes, too.

    A person's reference is the mean of the log-probabilities of these face images. It is subtracted from those of a row, and the
    softmax makes them probabilities again: equal ones mean that the row is as the reference.
    """
    import pandas as pd

    frames = tables["frames"]
    chosen = frames[_reference(frames, baseline, markers)]
    means = {str(person): logs(probabilities(rows)).mean(0) for person, rows in chosen.groupby("person_id")}
    counts = chosen["person_id"].value_counts()
    found = {name: _against(tables[name], means) for name in ("frames", "seconds", "people")}
    people = tables["people"]
    n = pd.array([int(counts.get(person, 0)) for person in people["person_id"]], "Int64")
    own = [f"baseline_{name}" for name in EMOTIONS]
    found["people"] = found["people"].assign(n_baseline=n)[[*people.columns, "n_baseline", *own]]
    lacking = [str(person) for person in people["person_id"] if person not in means]
    notes = [f"no face image is in the reference of {', '.join(lacking)}: baseline_* are missing"] if lacking else []
    return {**tables, **found}, notes


def logs(values: Floats) -> Floats:
    """Return the logarithms of probabilities, none below that of a millionth."""
    return np.asarray(np.log(np.maximum(values, _LEAST)))


def _reference(frames: "pd.DataFrame", baseline: Baseline, markers: Sequence[Marker]) -> npt.NDArray[np.bool_]:
    """Say which rows are somebody's reference."""
    values = probabilities(frames)
    usable = (frames["weight"].to_numpy(np.float64, na_value=0.0) >= UNUSABLE) & ~np.isnan(values).any(1)
    usable &= ~excluded(frames, markers, keep=baseline.marker)
    if baseline.kind == "neutral":
        usable[usable] = values[usable].argmax(1) == EMOTIONS.index("neutral")
    elif baseline.kind == "marker":
        usable &= within(frames, markers, baseline.marker)
    else:
        seen = frames[~np.isnan(values).any(1)].groupby("person_id")["time_s"].min()
        first = frames["person_id"].map(seen).to_numpy(np.float64, na_value=np.nan)
        usable &= frames["time_s"].to_numpy(np.float64) < first + baseline.seconds - 1e-6
    return np.asarray(usable & frames["person_id"].notna().to_numpy())


def _against(rows: "pd.DataFrame", means: "dict[str, Floats]") -> "pd.DataFrame":
    nothing = np.full(len(EMOTIONS), np.nan)
    persons = rows["person_id"].to_numpy(object)
    reference = np.array([means.get(person, nothing) for person in persons]).reshape(-1, len(EMOTIONS))
    found = softmax(logs(probabilities(rows)) - reference) if len(rows) else reference
    return rows.assign(**{f"baseline_{name}": found[:, at] for at, name in enumerate(EMOTIONS)})
