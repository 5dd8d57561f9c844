"""Figures of each group of people, such as women and men, and the difference between two groups."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.metrics.classification import macro_recall, score
from vidfer.types import EMOTIONS, UsageError

DRAWS: Final = 2000
"""Bootstrap samples of people behind an interval."""

FEW: Final = 3
"""People of a group below which there is no interval over people."""

Numbers = npt.NDArray[np.int64]


def group_figures(
    people: Sequence[str | None],
    target: Sequence[int],
    preds: Sequence[int],
    group_of: Callable[[str | None], str | None],
) -> dict[str, Any]:
    """Measure predictions for each group of the people who were predicted for.

    Args:
        people: Who is in each sample.
        target: True classes, indices into `EMOTIONS`.
        preds: Predicted ones.
        group_of: Names a person's group; samples of a person without one are left out.

    Returns:
        `groups`: for each by its name `people`, `n`, `accuracy` with `accuracy_ci95` (Wilson's, over samples), `uar`, `recall` of
        each class that there is, and `uar_people_ci95`, drawing whole people, or None of fewer than three; `difference`, of two
        groups only: `of`, their names, `uar`, the first less the second, and `uar_people_ci95`.

    Raises:
        UsageError: Nobody's group is known.
    """
    named = np.array([group_of(person) or "" for person in people], object)
    groups = sorted(set(named) - {""})
    if not groups:
        raise UsageError("the data do not say who belongs to which group: --by sex is known for ravdess")
    who, truth, told = np.array(people, object), np.array(target), np.array(preds)
    drawn = {name: _drawn(*(each[named == name] for each in (who, truth, told))) for name in groups}
    found = {}
    for name in groups:
        at = named == name
        scores = score(truth[at], told[at])
        recall = np.diag(scores.confusion) / np.maximum(np.sum(scores.confusion, 1), 1)
        there = [EMOTIONS[number] for number in sorted(set(truth[at].tolist()))]
        found[name] = {
            "people": len(set(who[at])),
            **{"n": scores.n, "accuracy": scores.accuracy, "accuracy_ci95": scores.accuracy_ci95, "uar": scores.uar},
            "recall": {each: float(recall[EMOTIONS.index(each)]) for each in there},
            "uar_people_ci95": _interval(drawn[name]),
        }
    return {"groups": found, **_difference(found, drawn)}


def group_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `group_figures` returned."""
    lines = []
    for name, each in found["groups"].items():
        low, high = each["accuracy_ci95"]
        over = _over_people(each["uar_people_ci95"])
        accuracy = f"accuracy {each['accuracy']:.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"  {name}: n = {each['n']}, {each['people']} people, {accuracy}, UAR {each['uar']:.3f}{over}")
    if difference := found.get("difference"):
        first, second = difference["of"]
        lines.append(
            f"  {first} less {second}: UAR {difference['uar']:+.3f}{_over_people(difference['uar_people_ci95'])}"
        )
    return lines


def _over_people(ends: Sequence[float] | None) -> str:
    return (
        ", too few people for an interval over them"
        if ends is None
        else f" ({ends[0]:.3f} to {ends[1]:.3f} over people)"
    )


def _drawn(who: npt.NDArray[np.object_], target: Numbers, preds: Numbers) -> npt.NDArray[np.float64] | None:
    """Return the macro recall of bootstrap samples of people; None of too few."""
    names = sorted(set(who))
    if len(names) < FEW:
        return None
    counts = np.zeros((len(names), len(EMOTIONS), len(EMOTIONS)))
    np.add.at(counts, (np.array([names.index(each) for each in who]), target, preds), 1)
    chosen = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    return np.array([macro_recall(counts[each].sum(0)) for each in chosen])


def _interval(drawn: npt.NDArray[np.float64] | None) -> list[float] | None:
    return None if drawn is None else [float(end) for end in np.percentile(drawn, [2.5, 97.5])]


def _difference(
    found: Mapping[str, Mapping[str, Any]], drawn: Mapping[str, npt.NDArray[np.float64] | None]
) -> dict[str, Any]:
    if len(found) != 2:
        return {}
    first, second = found
    one, other = drawn[first], drawn[second]
    between = None if one is None or other is None else one - np.random.default_rng(1).permutation(other)
    uar = found[first]["uar"] - found[second]["uar"]
    return {"difference": {"of": [first, second], "uar": uar, "uar_people_ci95": _interval(between)}}
