"""Figures of predictions for labelled clips, with intervals over clips and over persons."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from vidfer.evaluation.clips import tally
from vidfer.metrics.classification import Reliability, reliability
from vidfer.types import EMOTIONS, VidferError

Row = Mapping[str, Any]
"""One clip: `clip`, `person` (None where not known), `truth`, and by part, such as `faces`, the prediction, a class, `uncertain`
or None, and as `<part>_p` its distribution (7,) or None. A part that a clip cannot have, as a recording has no faces, is not
there.
"""

BINS: Final = 10
"""Bins of equal width of the expected calibration error of clips, which are few."""


def clip_figures(rows: Sequence[Row], part: str) -> dict[str, Any]:
    """Compute the figures of one part over N >= 1 clips that may have it.

    Returns what `tally` does; `persons`: right and all predictions of each known person; `persons_ci95`, see
    `persons_interval`; and, over the clips with a distribution, `calibration`: `n`, `ece`, `bins` and, bin by bin, `count`,
    `right` and `confidence`.
    """
    counted = [row for row in rows if part in row]
    found = tally(counted, part)
    kept = [row for row in counted if part != "sound" or row[part] is not None]
    persons = {name: [0, 0] for name in sorted({str(row["person"]) for row in kept if row["person"] is not None})}
    for row in kept:
        if row["person"] is not None:
            persons[str(row["person"])][0] += row[part] == row["truth"]
            persons[str(row["person"])][1] += 1
    known = all(row["person"] is not None for row in kept)
    interval = persons_interval([(right, n) for right, n in persons.values()]) if known else None
    given = [row for row in kept if row.get(f"{part}_p") is not None]
    return {**found, "persons": persons, "persons_ci95": interval, "calibration": _calibration(given, part)}


def persons_interval(counts: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
    """Compute the 95 % interval of an accuracy over persons, from right and all predictions of each.

    None with fewer than two persons, and where all have the same accuracy, since their spread is not known to be 0 then.

    Clips of one person are no independent samples. Persons are clusters: the variance of the ratio of sums, and Student's t with
    a degree of freedom less than there are persons, within [0, 1].

    References:
        Cochran: Sampling techniques, 3rd edition, Wiley 1977, equation 6.13, without finite population correction.

    Example:
        >>> [round(end, 3) for end in persons_interval([(8, 10), (6, 10), (7, 10)])]
        [0.452, 0.948]
    """
    from scipy.stats import t

    if len({hits / total for hits, total in counts}) < 2:
        return None
    right, n = np.array(counts, np.float64).T
    ratio, persons = right.sum() / n.sum(), len(counts)
    variance = np.square(right - ratio * n).sum() / (persons - 1) * persons / n.sum() ** 2
    half = float(t.ppf(0.975, persons - 1) * np.sqrt(variance))
    return max(0.0, float(ratio) - half), min(1.0, float(ratio) + half)


def pool_folds(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Pool the predictions of several bundles, each of them tested on persons whom it never saw, into one set of figures.

    Takes what `measure_bundle` returned for each of at least two. Returns by name of the data, as `on` in `clips`, `folds`, how
    many bundles were tested on them, and what `summarise` returns: every clip is predicted once, by a bundle that knows neither
    it nor its person.

    Raises:
        VidferError: There is nothing to pool, or a person or clip is tested in two of them, so that figures would count it twice.
    """
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for found in evaluations:
        for group in found["clips"]:
            groups[group["on"]].append(group)
    if len(evaluations) < 2 or not groups:
        raise VidferError("folds are pooled from at least two evaluations with predictions for clips")
    for on, parts in groups.items():
        tested = Counter(
            name for group in parts for name in {row["person"] or f"clip {row['clip']}" for row in group["predictions"]}
        )
        if twice := sorted(name for name, count in tested.items() if count > 1):
            raise VidferError(f"{twice[0]} of {on} is tested in two evaluations: pool folds of one division of persons")
    return {
        on: {"folds": len(parts), **summarise([row for group in parts for row in group["predictions"]])}
        for on, parts in groups.items()
    }


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Compute the figures of every part that N >= 1 clips have, with how many clips there are, and of how many persons."""
    names = [part for part in PARTS if any(part in row for row in rows)]
    return {
        "n": len(rows),
        "persons": sorted({str(row["person"]) for row in rows if row["person"] is not None}),
        "unknown_persons": sum(row["person"] is None for row in rows),
        "parts": {part: clip_figures(rows, part) for part in names},
        "predictions": list(rows),
    }


PARTS: Final = {
    "fused": "answer of vidfer analyze",
    "faces": "faces alone",
    "vote": "vote over all face images",
    "sound": "sound alone",
    "late": "product of faces and sound",
    "trained": "fusion model alone",
}
"""What can be measured of a clip, and what it is."""


def _calibration(rows: Sequence[Row], part: str) -> dict[str, Any] | None:
    """Measure the calibration of distributions; a vote's shares are no probabilities."""
    if not rows or part == "vote":
        return None
    target = np.array([EMOTIONS.index(row["truth"]) for row in rows])
    found = reliability(np.array([row[f"{part}_p"] for row in rows]), target, BINS)
    return calibration_record(found)


def calibration_record(found: Reliability) -> dict[str, Any]:
    """Write a reliability diagram as JSON."""
    return {
        "n": int(found.count.sum()),
        "ece": round(found.ece, 6),
        "bins": len(found.count),
        "count": found.count.tolist(),
        "right": found.right.tolist(),
        "confidence": found.confidence.round(6).tolist(),
    }
