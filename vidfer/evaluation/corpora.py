"""Leaving a corpus out: a classifier of sound on recordings of a data set that it was not trained on, each in turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.clips import find_clips
from vidfer.datasets.report import LabelledClip
from vidfer.datasets.splits import take_people
from vidfer.evaluation import Notify
from vidfer.evaluation.calibration import calibration_entry, fit_folds, pool_windows
from vidfer.evaluation.folds import FoldOptions, train_fold
from vidfer.evaluation.groups import group_figures, group_lines
from vidfer.inference.decision import softmax
from vidfer.metrics.classification import Floats, macro_recall, negative_log_likelihood, reliability, score
from vidfer.types import EMOTIONS, UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.tasks.clip import ClipTask
    from vidfer.tasks.fit import Recipe

DRAWS: Final = 1000
"""Bootstrap samples of persons behind an interval."""

BINS: Final = 15
"""Bins of the calibration error."""


@dataclass(eq=False)
class Predicted:
    """Predictions for the recordings of one corpus by a network that was not trained on it."""

    logits: list[Floats] = field(default_factory=list)  # (W, 7) of each recording
    target: list[int] = field(default_factory=list)
    person: list[str] = field(default_factory=list)


def leave_corpora_out(
    recipe: "Recipe",
    source: tuple[str, str | None],
    people: str | None,
    options: FoldOptions,
    settings: Mapping[str, Any],
    notify: Notify,
    group_of: Callable[[str | None], str | None] | None = None,
) -> dict[str, Any]:
    """Train without one of several data sets and test on it, each in turn, on `people` or on all; arguments as `cross_validate`.

    Confidences are of a temperature that is fitted to the other corpora alone: to what networks that were trained without
    either predict for them. So a corpus is neither trained on nor calibrated on before it is asked about. With two corpora
    nothing is left to train such networks on, and there is no temperature. A class that a corpus lacks has no part in its UAR,
    and a prediction of it is wrong. Intervals are those of 1000 bootstrap samples of the corpus' persons.

    With `group_of`, which names a person's group, rows of corpora whose people have any also have what `group_figures` returns.

    Returns `on`, `recipe`, `data`, `seed`; `corpora`: for each the `Scores`, `corpus`, `people`, `missing` classes,
    `temperature`, `smoothing`, `ece` and `nll` (nats) before and after it, `..._ci95`; and `calibration`, the entry of a card:
    temperature of all these predictions, with ECE and NLL of each corpus at the temperature of the others.
    """
    chosen, corpora = _corpora(source, people)
    seed, extra = options.seed or 0, dict(settings)
    if options.standardise is not None:
        extra |= {"standardise": options.standardise}

    def predict(left: Sequence[str]) -> dict[str, Predicted]:
        train = ",".join(sorted({str(clip.person) for clip in chosen if clip.corpus not in left}))
        test = ",".join(sorted({str(clip.person) for clip in chosen if clip.corpus in left}))
        return predict_without(recipe, source, (train, test), {**extra, "seed": seed}, _corpus_of(chosen), notify)

    found: dict[str, Predicted] = {}
    for corpus in corpora:
        found |= predict([corpus])
        if corpus not in found or not len(found[corpus].target):
            raise VidferError(
                f"no recording of {corpus} can be used: there is nothing to measure on, leave it out of --data"
            )
        notify(f"trained without {corpus}: n = {len(found[corpus].target)}")
    smoothing = recipe.settings.get("label_smoothing", 0.1)  # 0.1: the default of ClipTask
    nested: dict[str, dict[str, Any]] = {corpus: {"temperature": 1.0, "smoothing": 0.0} for corpus in corpora}
    if len(corpora) > 2:
        pairs = {pair: predict(pair) for pair in combinations(corpora, 2)}
        for corpus in corpora:
            others = [
                each for pair, both in pairs.items() if corpus in pair for name, each in both.items() if name != corpus
            ]
            nested[corpus] = fit_folds([each.logits for each in others], [each.target for each in others], smoothing)
            notify(f"calibrated without {corpus}: temperature {nested[corpus]['temperature']:.3f}")
    rows = [_measure(corpus, found[corpus], nested[corpus], group_of) for corpus in corpora]
    folds = fit_folds([each.logits for each in found.values()], [each.target for each in found.values()], smoothing)
    who = f"people {people}" if people else "all people"
    on = f"{recipe.classifier} on {' and '.join(corpora)}, {who}, trained without the corpus asked about"
    return {
        "on": on,
        "recipe": asdict(recipe),
        "data": {name: value for name, value in extra.items() if name != "store"},
        "seed": seed,
        "corpora": rows,
        "calibration": {**calibration_entry(folds, on, None), **_overall(rows)},
    }


def corpus_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `leave_corpora_out` returned."""
    lines = [found["on"]]
    for row in found["corpora"]:
        lacks = f", without {', '.join(row['missing'])}" if row["missing"] else ""
        lines.append(f"{row['corpus']}: n = {row['n']}, {row['people']} people{lacks}; 95 % intervals over people")
        for name, key in (("UAR", "uar"), ("accuracy", "accuracy"), ("ECE", "ece_after")):
            low, high = row[f"{key}_people_ci95"]
            lines.append(f"  {name:<9}{row[key]:.3f} ({low:.3f} to {high:.3f})")
        lines += group_lines(row) if "groups" in row else []
        before = f"before: ECE {row['ece_before']:.3f}, NLL {row['nll_before']:.3f}"
        lines.append(f"  NLL {row['nll_after']:.3f} nats at a temperature of {row['temperature']:.3f} ({before})")
    entry = found["calibration"]
    inverted = f", after inverting a label smoothing of {entry['smoothing']:g}" if entry["smoothing"] else ""
    return [
        *lines,
        f"temperature for corpora never seen: {entry['temperature']:.3f}{inverted}, n = {entry['n_fitted']}",
    ]


def _corpora(source: tuple[str, str | None], people: str | None) -> tuple[list[LabelledClip], list[str]]:
    """Find the clips of the people, and the names of their corpora in order."""
    clips, _ = find_clips(source[0], None if source[1] is None else Path(source[1]))
    chosen = take_people(clips, people) if people else clips
    corpora = list(dict.fromkeys(clip.corpus for clip in chosen))
    if len(corpora) < 2:
        raise UsageError("--leave-corpus-out needs people of several data sets: name these as --data ravdess,nemo,ased")
    if unknown := [clip.name for clip in chosen if clip.person is None]:
        raise VidferError(
            f"it is not known who is in {unknown[0]}: leaving a corpus out needs a manifest with a person column"
        )
    for one, other in combinations(corpora, 2):
        of = ({clip.person for clip in chosen if clip.corpus == corpus} for corpus in (one, other))
        if shared := sorted(map(str, set.intersection(*of))):
            raise VidferError(
                f"{', '.join(shared)} in {one} and {other}: no person may be in what is left out and in the rest"
            )
    return chosen, corpora


def _corpus_of(clips: Sequence[LabelledClip]) -> dict[str, str]:
    return {str(clip.person): clip.corpus for clip in clips}


def predict_without(
    recipe: "Recipe",
    source: tuple[str, str | None],
    people: tuple[str, str],
    settings: Mapping[str, Any],
    corpus_of: Mapping[str, str],
    notify: Notify,
) -> dict[str, Predicted]:
    """Train on the first people, and predict the recordings of the others, by corpus."""
    from vidfer.datamodules.paired import build_clip_data
    from vidfer.inference.torch_networks import deciding_logits

    (name, root), (train, test) = source, people
    data = build_clip_data(name, root, train_people=train, val_people="", test_people=test, **settings)
    data.notify = lambda line: notify(line) if "dropped" in line else None
    found: dict[str, Predicted] = {}

    def collect(task: "ClipTask", data: "ClipDataModule") -> None:
        if task.reads != ("sound",):
            raise UsageError("--leave-corpus-out is for classifiers of sound")
        for sample in data.samples["test"]:
            place = found.setdefault(corpus_of[str(sample.person)], Predicted())
            place.logits.append(deciding_logits(task.classifier, sample.features["sound"].numpy()))
            place.target.append(sample.target)
            place.person.append(str(sample.person))

    train_fold(recipe, data, settings["seed"], None, collect)
    return found


def _measure(
    corpus: str, found: Predicted, calibration: Mapping[str, Any], group_of: Callable[[str | None], str | None] | None
) -> dict[str, Any]:
    target, smoothing, temperature = np.array(found.target), calibration["smoothing"], calibration["temperature"]
    before, after = pool_windows(found.logits, 0.0), pool_windows(found.logits, smoothing) / temperature
    scores = score(target, after.argmax(1))
    measures: dict[str, Callable[[npt.NDArray[np.int64]], float]] = {
        "uar": lambda at: float(macro_recall(_confusion(target[at], after[at].argmax(1)))),
        "accuracy": lambda at: float((after[at].argmax(1) == target[at]).mean()),
        "ece_after": lambda at: reliability(softmax(after[at]), target[at], BINS).ece,
    }
    row = {
        "corpus": corpus,
        **asdict(scores),
        "people": len(set(found.person)),
        "missing": [name for at, name in enumerate(EMOTIONS) if at not in target],
        "temperature": temperature,
        "smoothing": smoothing,
    }
    for when, logits in (("before", before), ("after", after)):
        row[f"ece_{when}"] = reliability(softmax(logits), target, BINS).ece
        row[f"nll_{when}"] = negative_log_likelihood(logits, target)
    if group_of is not None and any(map(group_of, found.person)):
        row |= group_figures(found.person, found.target, after.argmax(1).tolist(), group_of)
    return row | {f"{name}_people_ci95": bootstrap(found.person, measure) for name, measure in measures.items()}


def _confusion(target: npt.NDArray[np.int64], preds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    count = len(EMOTIONS)
    return np.bincount(count * target + preds, minlength=count * count).reshape(count, count)


def bootstrap(person: Sequence[str], measure: Callable[[npt.NDArray[np.int64]], float]) -> tuple[float, float]:
    """Compute the 95 % percentile interval of a measure of samples, given by their indices, drawing whole persons."""
    names, place = np.unique(np.array(person), return_inverse=True)
    of_person = [np.flatnonzero(place == at) for at in range(len(names))]
    rng = np.random.default_rng(0)
    drawn = [
        measure(np.concatenate([of_person[at] for at in rng.integers(len(names), size=len(names))]))
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _overall(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the calibration's figures as a card has them: means of the corpora, each at the temperature of the others."""
    keys = ("ece_before", "nll_before", "ece_after", "nll_after")
    return {
        "measured_on": "each corpus at the temperature of the others: mean over "
        + ", ".join(row["corpus"] for row in rows),
        "n_measured": sum(row["n"] for row in rows),
        **{key: round(float(np.mean([row[key] for row in rows])), 6) for key in keys},
        "bins": BINS,
        "corpora": {row["corpus"]: {key: round(row[key], 6) for key in ("n", "uar", *keys)} for row in rows},
    }
