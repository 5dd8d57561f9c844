"""`vidfer evaluate audio --folds K --calibrate PEOPLE`: how sure a sound model may be."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vidfer.types import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.tasks.clip import ClipTask

    Floats = npt.NDArray[np.floating]

_BINS: Final = 15


class Calibrator:
    """Collects the answers of each fold's network for the people it was trained without, and fits a temperature to them.

    The network that is shipped was trained on all these people, so its own answers for them would be too sure; those for the
    people that nothing was trained on stay for measuring.

    Args:
        smoothing: Label smoothing of the training. It is inverted first (`invert_label_smoothing`) if that makes the
            answers likelier: pooling has taken part of it back where a clip has many windows.
    """

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing
        self._windows: list[list[Floats]] = []
        self._target: list[npt.NDArray[np.int64]] = []

    def add(self, task: "ClipTask", data: "ClipDataModule") -> None:
        """Take a fold's network, in evaluation mode, and its data with the test split read."""
        if task.reads != ("sound",):
            raise UsageError("--calibrate is for classifiers of sound")
        answer, samples = window_answers(task), data.samples["test"]
        self.add_answers(
            [answer(each.features["sound"].numpy()) for each in samples], [each.target for each in samples]
        )

    def add_answers(self, windows: "Sequence[Floats]", target: Sequence[int]) -> None:
        """Take a fold's logits `(W, 7)` of each clip's windows, and the clips' classes."""
        self._windows.append(list(windows))
        self._target.append(np.array(target))

    def fit(self) -> dict[str, Any]:
        """Fit the temperature; it stays 1 where one that suits some people makes the answers for others less likely.

        Returns:
            `temperature` and `smoothing`; `n_fitted`; and `ece_before`, `ece_after`, `nll_before`, `nll_after` of the folds'
            answers, each fold by the temperature of the others.
        """
        from vidfer.metrics.calibration import fit_temperature

        truth = np.concatenate(self._target)
        found = []
        for smoothing in sorted({0.0, self.smoothing}):
            folds = [pool_windows(each, smoothing) for each in self._windows]
            together = []
            for held, logits in enumerate(folds):
                rest = [at for at in range(len(folds)) if at != held]
                others = np.concatenate([folds[at] for at in rest]), np.concatenate([self._target[at] for at in rest])
                together.append(logits / fit_temperature(*others))
            after = _measure(np.concatenate(together), truth, "after")
            temperature = round(fit_temperature(np.concatenate(folds), truth), 6)
            found.append({"temperature": temperature, "smoothing": smoothing, **after})
        plain = np.concatenate([pool_windows(each, 0.0) for each in self._windows])
        before = _measure(plain, truth, "before")
        unchanged = {name.replace("before", "after"): value for name, value in before.items()}
        found.append({"temperature": 1.0, "smoothing": 0.0, **unchanged})
        return {**min(found, key=lambda each: each["nll_after"]), "n_fitted": len(truth), **before}


def window_answers(task: "ClipTask") -> "Callable[[Floats], Floats]":
    """Return a task's network as a function from vectors `(W, F)` to each one's logits `(W, 7)`."""
    import torch

    from vidfer.models.batches import ClipBatch

    @torch.inference_mode()
    def answer(vectors: "Floats") -> "Floats":
        sound = torch.from_numpy(np.asarray(vectors, np.float32))[:, None]
        mask = torch.ones(len(sound), 1, dtype=torch.bool)
        logits: Floats = task.classifier(
            ClipBatch(target=torch.full((len(sound),), -1), sound=sound, sound_mask=mask)
        ).numpy()
        return logits

    return answer


def pool_windows(clips: "Sequence[Floats]", smoothing: float) -> "Floats":
    """Pool windows as `vidfer analyze` does: the mean of their log-probabilities after the smoothing is taken back.

    Dividing the windows' logits by a temperature divides the clip's, so that it may be fitted to clips.

    Args:
        clips: Logits `(W, 7)` of each clip's windows.
        smoothing: See `vidfer.inference.decision.invert_label_smoothing`.

    Returns:
        `(N, 7)`.
    """
    from vidfer.inference.decision import invert_label_smoothing

    return np.stack([invert_label_smoothing(each, smoothing).mean(0) for each in clips])


def _measure(logits: "Floats", truth: "npt.NDArray[np.int64]", when: str) -> dict[str, float]:
    from vidfer.inference.decision import softmax
    from vidfer.metrics.classification import negative_log_likelihood, reliability

    ece = reliability(softmax(logits), truth, _BINS).ece
    return {f"ece_{when}": round(ece, 6), f"nll_{when}": round(negative_log_likelihood(logits, truth), 6)}


def calibrate(
    calibrator: Calibrator, fitted_on: str, data: "ClipDataModule", model: str, people: str, *, keep: bool | None
) -> dict[str, Any]:
    """Fit, and measure the weights on people that nothing was trained on.

    Args:
        calibrator: After the last fold.
        fitted_on: For the card.
        data: Data whose test split holds the people to measure on.
        model: Name or file of the weights that are calibrated.
        people: Who that is, for the card.
        keep: Whether to keep the result in the card.

    Returns:
        The entry `calibration` of a card: `temperature`; `smoothing`, which is taken back before; what both were fitted on,
        `folds` with ECE and NLL there (see `Calibrator.fit`); and on what and how well the weights then answer.
    """
    from vidfer.evaluation.subject import write_card
    from vidfer.inference.models import AudioModel
    from vidfer.weights.files import weights_digest

    digest, measured_on = weights_digest("audio", model), f"{data.source}, people {people}"
    folds = calibrator.fit()
    temperature, smoothing, fitted = (folds.pop(name) for name in ("temperature", "smoothing", "n_fitted"))
    data.setup("test")
    samples, answer = data.samples["test"], AudioModel(model)
    windows, truth = [answer(each.features["sound"].numpy()) for each in samples], np.array([s.target for s in samples])
    entry: dict[str, Any] = {
        "temperature": temperature,
        "smoothing": smoothing,
        "fitted_on": fitted_on,
        "n_fitted": fitted,
        "folds": folds,
        "measured_on": measured_on,
        "n_measured": len(truth),
        **_measure(pool_windows(windows, 0.0), truth, "before"),
        **_measure(pool_windows(windows, smoothing) / temperature, truth, "after"),
        "bins": _BINS,
    }
    print(f"temperature {temperature:.3f}, label smoothing of {smoothing:g} taken back", file=sys.stderr)
    for on, n, values in ((fitted_on, fitted, folds), (measured_on, len(truth), entry)):
        print(
            f"  {on}, n = {n}: ECE {values['ece_before']:.3f} before, {values['ece_after']:.3f} after; NLL "
            f"{values['nll_before']:.3f} and {values['nll_after']:.3f}",
            file=sys.stderr,
        )
    if keep:
        write_card(model, digest, {"calibration": entry}, "audio")
    return entry
