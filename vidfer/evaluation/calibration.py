"""Temperature scaling of an image model on half of a split, and of an audio model on out-of-fold predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference.decision import invert_label_smoothing, softmax
from vidfer.metrics.calibration import Coverage, coverage_curve, fit_temperature
from vidfer.metrics.classification import (
    Floats,
    Reliability,
    negative_log_likelihood,
    reliability,
    wilson_interval,
)
from vidfer.types import VidferError

_BINS: Final = 15
_HALF: Final = "the half of each class with the smaller content digests"


def label_smoothing(card: Mapping[str, Any]) -> float:
    """Return the label smoothing in [0, 1) that weights were trained with; 0 if unknown or distilled."""
    recipe = card.get("recipe")
    task = recipe.get("task") if isinstance(recipe, dict) else None
    if not isinstance(task, dict) or task.get("distillation"):
        return 0.0
    return float(task.get("label_smoothing", 0.0))


def fitted_half(target: npt.NDArray[np.int64], digest: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Choose the half of each class `(N,)`, by content digest, to fit the temperature on: bool `(N,)`."""
    from vidfer.datasets.fer2013 import stratified_rank

    return stratified_rank(target, digest) < 0.5


def calibrate_images(
    logits: Floats,
    target: npt.NDArray[np.int64],
    digest: Sequence[str],
    *,
    card: Mapping[str, Any],
    source: str,
    tta: str,
    out: Path | None = None,
) -> dict[str, Any]:
    """Fit the temperature to logits `(N, 7)` on one half of each class `(N,)`, by content digest, and measure on the other.

    The label smoothing in the weights' card is inverted before. The folder `out` gets `reliability` and `coverage` as PNG and
    SVG, and `coverage.csv`.

    Returns:
        The entry `calibration` of a card: `temperature`; `smoothing`, the label smoothing that is inverted before; `tta`;
        `fitted_on`, `n_fitted`; `measured_on`, `n_measured`; `ece_before`, `ece_after`, `nll_before`, `nll_after` of the half
        measured; `bins` of the ECE; `coverage`: lists of threshold, share kept, and accuracy of these (None if there are none).

    Raises:
        VidferError: There are too few images for two halves.
    """
    fitted = fitted_half(target, digest)
    if fitted.all() or not fitted.any():
        raise VidferError(f"{source}: {len(target)} images cannot be divided into two halves; more are needed")
    smoothing = label_smoothing(card)
    plain = invert_label_smoothing(logits, smoothing)
    temperature = round(fit_temperature(plain[fitted], target[fitted]), 6)
    truth, after = target[~fitted], plain[~fitted] / temperature
    curve = coverage_curve(softmax(after), truth)
    if out is not None:
        _write(out, logits[~fitted], after, truth, curve, f"{source}, --tta {tta}")
    return {
        "temperature": temperature,
        "smoothing": smoothing,
        "tta": tta,
        "fitted_on": f"{source}, {_HALF}",
        "n_fitted": int(fitted.sum()),
        "measured_on": f"{source}, the other half",
        "n_measured": len(truth),
        **_measure(logits[~fitted], truth, "before"),
        **_measure(after, truth, "after"),
        "bins": _BINS,
        "coverage": [
            [each.threshold, round(each.coverage, 6), None if each.accuracy is None else round(each.accuracy, 6)]
            for each in curve
        ],
    }


def calibration_lines(found: Mapping[str, Any]) -> list[str]:
    """Render the entry `calibration` of a card for a terminal."""
    inverted = f", after inverting a label smoothing of {found['smoothing']:g}" if found["smoothing"] else ""
    lines = [
        f"temperature {found['temperature']:.4f}{inverted}",
        f"fitted on {found['fitted_on']}, n = {found['n_fitted']}",
    ]
    measured = [(found["measured_on"], found["n_measured"], found)]
    if "folds" in found:
        measured.insert(0, (found["fitted_on"], found["n_fitted"], found["folds"]))
    for on, n, values in measured:
        lines.append(f"measured on {on}, n = {n}")
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
    from vidfer.pipeline.atomic import results_folder, write_atomic
    from vidfer.pipeline.columns import to_csv

    columns: dict[str, list[Any]] = {
        name: [asdict(each)[name] for each in curve] for name in ("threshold", "n", "coverage", "accuracy")
    }
    for position, name in enumerate(("low", "high")):
        columns[name] = [None if each.interval is None else each.interval[position] for each in curve]
    with results_folder(out):
        diagrams = {"before": _reliability(before, truth), "after": _reliability(after, truth)}
        draw_reliability(diagrams, out / "reliability")
        draw_coverage(curve, out / "coverage", title)
        write_atomic(out / "coverage.csv", to_csv(columns))


def _reliability(logits: Floats, truth: npt.NDArray[np.int64]) -> Reliability:
    return reliability(softmax(logits), truth, _BINS)


def _measure(logits: Floats, truth: npt.NDArray[np.int64], when: str) -> dict[str, float]:
    ece, nll = _reliability(logits, truth).ece, negative_log_likelihood(logits, truth)
    return {f"ece_{when}": round(ece, 6), f"nll_{when}": round(nll, 6)}


class FoldCalibrator:
    """Fits a temperature to the out-of-fold logits; those of weights trained on all these people would be overconfident.

    The training's label `smoothing` is inverted before, if that makes the true classes more likely.
    """

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing
        self._windows: list[list[Floats]] = []
        self._target: list[npt.NDArray[np.int64]] = []

    def add(self, windows: Sequence[Floats], target: Sequence[int]) -> None:
        """Add a fold's logits `(W, 7)` of each clip's windows, and the clips' classes."""
        self._windows.append(list(windows))
        self._target.append(np.array(target))

    def fit(self) -> dict[str, Any]:
        """Fit the temperature; it stays 1 where that of some folds makes the true classes of others less likely.

        Returns `temperature`, `smoothing`, `n_fitted`; and `ece_before`, `ece_after`, `nll_before`, `nll_after` of the
        out-of-fold predictions, each fold at the temperature of the others.
        """
        truth = np.concatenate(self._target)
        found = []
        for smoothing in sorted({0.0, self.smoothing}):
            folds = [pool_windows(each, smoothing) for each in self._windows]
            scaled = []
            for held, logits in enumerate(folds):
                others = (np.concatenate([*each[:held], *each[held + 1 :]]) for each in (folds, self._target))
                scaled.append(logits / fit_temperature(*others))
            temperature = round(fit_temperature(np.concatenate(folds), truth), 6)
            after = _measure(np.concatenate(scaled), truth, "after")
            found.append({"temperature": temperature, "smoothing": smoothing, **after})
        plain = np.concatenate([pool_windows(each, 0.0) for each in self._windows])
        found.append({"temperature": 1.0, "smoothing": 0.0, **_measure(plain, truth, "after")})
        best = min(found, key=lambda each: each["nll_after"])
        return {**best, "n_fitted": len(truth), **_measure(plain, truth, "before")}


def pool_windows(clips: Sequence[Floats], smoothing: float) -> Floats:
    """Pool the logits `(W, 7)` of each clip's windows to `(N, 7)`, as `predict_sound` does: a mean, so temperature commutes."""
    return np.stack([invert_label_smoothing(each, smoothing).mean(0) for each in clips])


def calibrate_sound(
    calibrator: FoldCalibrator, fitted_on: str, logits: Sequence[Floats], target: Sequence[int], measured_on: str
) -> dict[str, Any]:
    """Fit the temperature to all folds' predictions, and measure weights with it on other people's clips.

    `logits` are the weights' own, `(W, 7)` for each clip's windows; `target` the clips' classes. Returns the entry `calibration`
    of a card, as `calibrate_images` without `tta` and `coverage`; `folds` has ECE and NLL of the out-of-fold predictions.
    """
    folds = calibrator.fit()
    temperature, smoothing, fitted = (folds.pop(name) for name in ("temperature", "smoothing", "n_fitted"))
    truth = np.array(target)
    return {
        "temperature": temperature,
        "smoothing": smoothing,
        "fitted_on": fitted_on,
        "n_fitted": fitted,
        "folds": folds,
        "measured_on": measured_on,
        "n_measured": len(truth),
        **_measure(pool_windows(logits, 0.0), truth, "before"),
        **_measure(pool_windows(logits, smoothing) / temperature, truth, "after"),
        "bins": _BINS,
    }
