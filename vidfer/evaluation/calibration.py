"""Temperature scaling of an image model on half of a split, and of an audio model on out-of-fold predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013 import LabelledImages, stratified_rank
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

FITTED: Final = 0.5
"""The share of each class, those of the smallest content digests, that a temperature is fitted on."""

_BINS: Final = 15


def label_smoothing(card: Mapping[str, Any]) -> float:
    """Return the label smoothing in [0, 1) that weights were trained with; 0 if unknown or distilled."""
    recipe = card.get("recipe")
    task = recipe.get("task") if isinstance(recipe, dict) else None
    if not isinstance(task, dict) or task.get("distillation"):
        return 0.0
    return float(task.get("label_smoothing", 0.0))


def calibrate_images(
    logits: Floats, data: LabelledImages, *, card: Mapping[str, Any], source: str, tta: str, out: Path | None
) -> dict[str, Any]:
    """Fit the temperature to logits `(N, 7)` on one half of each class, by content digest, and measure on the other.

    The label smoothing in the weights' card is inverted before. The folder `out` gets `reliability` and `coverage` as PNG and
    SVG, and `coverage.csv`.

    Returns the entry `calibration` of a card: `temperature`; `smoothing`, which is inverted before; `tta`; `fitted_on`,
    `n_fitted`; `measured_on`, `n_measured`; `ece_before`, `ece_after`, `nll_before`, `nll_after` of the half measured; `bins` of
    the ECE; `coverage`: lists of threshold, share kept, and accuracy of these (None if there are none).
    """
    target, fitted = data.target, stratified_rank(data.target, data.digest) < FITTED
    if fitted.all() or not fitted.any():
        raise VidferError(f"{source}: {len(target)} images cannot be divided into two halves; more are needed")
    smoothing = label_smoothing(card)
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
        if values:
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


def fit_folds(windows: Sequence[Sequence[Floats]], target: Sequence[Sequence[int]], smoothing: float) -> dict[str, Any]:
    """Fit a temperature to out-of-fold logits `(W, 7)` of each clip's windows; those of the training would be overconfident.

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
            scaled.append(logits / fit_temperature(*others))
        temperature = round(fit_temperature(np.concatenate(folds), truth), 6)
        after = _measure(np.concatenate(scaled), truth, "after")
        found.append({"temperature": temperature, "smoothing": inverted, **after})
    plain = np.concatenate([pool_windows(each, 0.0) for each in windows])
    found.append({"temperature": 1.0, "smoothing": 0.0, **_measure(plain, truth, "after")})
    best = min(found, key=lambda each: each["nll_after"])
    return {**best, "n_fitted": len(truth), **_measure(plain, truth, "before")}


def pool_windows(clips: Sequence[Floats], smoothing: float) -> Floats:
    """Pool the logits `(W, 7)` of each clip's windows to `(N, 7)`, as `predict_sound` does: a mean, so temperature commutes."""
    return np.stack([invert_label_smoothing(each, smoothing).mean(0) for each in clips])


def calibrate_sound(
    folds: dict[str, Any], fitted_on: str, logits: Sequence[Floats], target: Sequence[int], measured_on: str
) -> dict[str, Any]:
    """Measure weights with the temperature of `fit_folds` on other people's clips, by the logits `(W, 7)` of their windows.

    Returns the entry `calibration` of a card, as `calibrate_images` does, without `tta` and `coverage`; `folds` has ECE and NLL
    of the out-of-fold predictions.
    """
    temperature, smoothing, fitted = (folds.pop(name) for name in ("temperature", "smoothing", "n_fitted"))
    after = pool_windows(logits, smoothing) / temperature
    return {
        "temperature": temperature,
        "smoothing": smoothing,
        "fitted_on": fitted_on,
        "n_fitted": fitted,
        "folds": folds,
        "measured_on": measured_on,
        **_measured(pool_windows(logits, 0.0), after, np.array(target)),
    }
