"""Temperature scaling of models on samples held out: half of a split, out-of-fold predictions, or validation people."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013 import LabelledImages, stratified_rank
from vidfer.evaluation.held_out import Data, HeldOut, NotHeldOutError, predict_held_out, why
from vidfer.inference.decision import invert_label_smoothing, softmax
from vidfer.metrics.calibration import Coverage, coverage_curve, fit_temperature
from vidfer.metrics.classification import (
    Floats,
    Reliability,
    negative_log_likelihood,
    reliability,
    wilson_interval,
)
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.columns import to_csv
from vidfer.types import VidferError
from vidfer.weights.files import OWN_HEAD, find_weights

FITTED: Final = 0.5
"""The share of each class, those of the smallest content digests, that a temperature is fitted on."""

FEWEST: Final = 10
"""Predictions that `calibrate` needs at least."""

SPREAD: Final = 0.5
"""Deviation of the prior of log T in `calibrate`: without data, T is between 0.38 and 2.7 with a probability of 95 %."""

_BINS: Final = 15


def calibrate(kind: str, weights: Path, data: Data) -> dict[str, Any]:
    """Fit a temperature to what weights predict for the validation people, or images, of the data that they were trained with.

    Weights are of kind `image`, `audio`, `faces` or `fusion`. Each person's predictions, each fifth where persons are unknown
    or many, are also predicted at the temperature of the others: a temperature that does not hold for these is not used. ECE and
    NLL before and after are of these predictions (`folds`), and of the test people, or `not_measured` says why not.

    Returns the entries of a card: `calibration`, see `calibrate_images`; or `not_calibrated`, the reason as one clause.
    """
    try:
        found = predict_held_out(kind, weights, data, "val")
    except NotHeldOutError as error:
        return {"not_calibrated": why(error, data)}
    if len(found.target) < FEWEST:
        return {"not_calibrated": f"only {len(found.target)} {found.unit} are held out, and {FEWEST} are needed"}
    groups = _groups(found.person)
    folds = fit_folds(
        [[found.logits[at] for at in group] for group in groups],
        [[found.target[at] for at in group] for group in groups],
        label_smoothing(find_weights(kind, weights).card),
        spread=SPREAD,
    )
    test, unmeasured = None, {}
    try:
        test = predict_held_out(kind, weights, data, "test")
    except NotHeldOutError as error:
        unmeasured = {"not_measured": why(error, data)}
    entry = {**calibration_entry(folds, found.on, test), **unmeasured}
    mirrored = find_weights(kind, weights).card["preprocessing"].get("mirrored", True)
    return {"calibration": {**entry, "tta": "flip" if mirrored else "none"} if kind == "image" else entry}


def _groups(people: Sequence[str | None]) -> list[list[int]]:
    """Divide samples into up to five groups, with no known person in two, unless there is only one person."""
    known = {person: at % 5 for at, person in enumerate(sorted({each for each in people if each is not None}))}
    if len(set(people)) == 1:
        known = {}
    places = [known.get(str(person), at % 5) for at, person in enumerate(people)]
    return [[at for at, place in enumerate(places) if place == group] for group in sorted(set(places))]


def label_smoothing(card: Mapping[str, Any], head: str = OWN_HEAD) -> float:
    """Return the label smoothing in [0, 1) that a head was trained with; 0 if unknown or if it learnt distributions."""
    recipe = card.get("recipe")
    task = recipe.get("task") if isinstance(recipe, dict) else None
    if not isinstance(task, dict) or task.get("distillation"):
        return 0.0
    if task.get("name") == "SoftLabelTask" and head != "fer2013":  # it smooths one-hot targets only
        return 0.0
    return float(task.get("label_smoothing", 0.0))


def calibrate_images(
    logits: Floats, data: LabelledImages, *, card: Mapping[str, Any], head: str, source: str, tta: str, out: Path | None
) -> dict[str, Any]:
    """Fit the temperature to logits `(N, 7)` on one half of each class, by content digest, and measure on the other.

    The label smoothing that the weights' card has for the head is inverted before. The folder `out` gets `reliability` and
    `coverage` as PNG and SVG, and `coverage.csv`.

    Returns the entry `calibration` of a card: `temperature`; `smoothing`, which is inverted before; `tta`; `fitted_on`,
    `n_fitted`; `measured_on`, `n_measured`; `ece_before`, `ece_after`, `nll_before`, `nll_after` of the half measured; `bins` of
    the ECE; `coverage`: lists of threshold, share kept, and accuracy of these (None if there are none).
    """
    target, fitted = data.target, stratified_rank(data.target, data.digest) < FITTED
    if fitted.all() or not fitted.any():
        raise VidferError(f"{source}: {len(target)} images cannot be divided into two halves; more are needed")
    smoothing = label_smoothing(card, head)
    plain = invert_label_smoothing(logits, smoothing)
    temperature = round(fit_temperature(plain[fitted], target[fitted]), 6)
    truth, after = target[~fitted], plain[~fitted] / temperature
    curve = coverage_curve(softmax(after), truth)
    if out is not None:
        _write(out, logits[~fitted], after, truth, curve, f"{source}, --tta {tta}")
    shares = [[at.threshold, round(at.coverage, 6), at.accuracy and round(at.accuracy, 6)] for at in curve]
    return {
        "temperature": temperature,
        "smoothing": smoothing,
        "tta": tta,
        "fitted_on": f"{source}, the half of each class with the smaller content digests",
        "n_fitted": int(fitted.sum()),
        "measured_on": f"{source}, the other half",
        **_measured(logits[~fitted], after, truth),
        "coverage": shares,
    }


def calibration_lines(found: Mapping[str, Any]) -> list[str]:
    """Render the entry `calibration` of a card."""
    inverted = f", after inverting a label smoothing of {found['smoothing']:g}" if found["smoothing"] else ""
    lines = [f"temperature {found['temperature']:.4f}{inverted}"]
    lines.append(f"fitted on {found['fitted_on']}, n = {found['n_fitted']}")
    for kind, values in (("fitted", found.get("folds")), ("measured", found)):
        if values and f"n_{kind}" in found:
            lines.append(f"measured on {found[f'{kind}_on']}, n = {found[f'n_{kind}']}")
            lines += [
                f"  {w:<7} ECE {values[f'ece_{w}']:.4f}, NLL {values[f'nll_{w}']:.4f} nats" for w in ("before", "after")
            ]
    if "coverage" in found:
        lines.append("confidence from   kept   accuracy of these (95 % interval)")
        for threshold, share, accuracy in found["coverage"]:
            if n := round(share * found["n_measured"]):
                low, high = wilson_interval(round(accuracy * n), n)
                lines.append(f"{threshold:>15.2f}{share:>7.3f}   {accuracy:.3f} ({low:.3f} to {high:.3f}), n = {n}")
    return lines


def _write(
    out: Path, before: Floats, after: Floats, truth: npt.NDArray[np.int64], curve: Sequence[Coverage], title: str
) -> None:
    from vidfer.evaluation.plots import draw_coverage, draw_reliability

    columns = {each.name: [getattr(row, each.name) for row in curve] for each in fields(Coverage)}
    with results_folder(out):
        diagrams = {"before": _reliability(before, truth), "after": _reliability(after, truth)}
        draw_reliability(diagrams, out / "reliability")
        draw_coverage(curve, out / "coverage", title)
        write_atomic(out / "coverage.csv", to_csv(columns))


def _reliability(logits: Floats, truth: npt.NDArray[np.int64]) -> Reliability:
    return reliability(softmax(logits), truth, _BINS)


def _measured(before: Floats, after: Floats, truth: npt.NDArray[np.int64]) -> dict[str, Any]:
    figures = {**_measure(before, truth, "before"), **_measure(after, truth, "after")}
    return {"n_measured": len(truth), **figures, "bins": _BINS}


def _measure(logits: Floats, truth: npt.NDArray[np.int64], when: str) -> dict[str, float]:
    ece, nll = _reliability(logits, truth).ece, negative_log_likelihood(logits, truth)
    return {f"ece_{when}": round(ece, 6), f"nll_{when}": round(nll, 6)}


def fit_folds(
    windows: Sequence[Sequence[Floats]],
    target: Sequence[Sequence[int]],
    smoothing: float,
    *,
    spread: float | None = None,
) -> dict[str, Any]:
    """Fit a temperature to held-out logits `(W, 7)` of each clip's windows, fold by fold; `spread` as for `fit_temperature`.

    The training's label smoothing is inverted before, if that makes the true classes more likely; the temperature stays 1
    where that of some folds makes the true classes of others less likely. Returns `temperature`, `smoothing`, `n_fitted`; and
    `ece_before`, `ece_after`, `nll_before`, `nll_after` of all predictions, each fold at the temperature of the others.
    """
    truth = np.concatenate(target)
    found = []
    for inverted in sorted({0.0, smoothing}):
        folds, scaled = [pool_windows(each, inverted) for each in windows], []
        for held, logits in enumerate(folds):
            others = (np.concatenate([*each[:held], *each[held + 1 :]]) for each in (folds, target))
            scaled.append(logits / fit_temperature(*others, spread=spread))
        temperature = round(fit_temperature(np.concatenate(folds), truth, spread=spread), 6)
        after = _measure(np.concatenate(scaled), truth, "after")
        found.append({"temperature": temperature, "smoothing": inverted, **after})
    plain = np.concatenate([pool_windows(each, 0.0) for each in windows])
    found.append({"temperature": 1.0, "smoothing": 0.0, **_measure(plain, truth, "after")})
    best = min(found, key=lambda each: each["nll_after"])
    return {**best, "n_fitted": len(truth), **_measure(plain, truth, "before")}


def pool_windows(clips: Sequence[Floats], smoothing: float) -> Floats:
    """Pool the logits `(W, 7)` of each clip's windows to `(N, 7)`, as `predict_sound` does: a mean, so temperature commutes."""
    return np.stack([invert_label_smoothing(each, smoothing).mean(0) for each in clips])


def calibration_entry(folds: dict[str, Any], fitted_on: str, test: HeldOut | None) -> dict[str, Any]:
    """Measure other people's predictions, if there are any, at the temperature of `fit_folds`.

    Returns the entry `calibration` of a card, as `calibrate_images` does, without `tta` and `coverage`; `folds` has ECE and NLL
    of the out-of-fold predictions.
    """
    temperature, smoothing, fitted = (folds.pop(name) for name in ("temperature", "smoothing", "n_fitted"))
    entry = {
        "temperature": temperature,
        "smoothing": smoothing,
        "fitted_on": fitted_on,
        "n_fitted": fitted,
        "folds": folds,
    }
    if test is None:
        return entry
    after = pool_windows(test.logits, smoothing) / temperature
    measured = _measured(pool_windows(test.logits, 0.0), after, np.array(test.target))
    return {**entry, "measured_on": test.on, **measured}
