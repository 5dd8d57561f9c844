"""`vidfer evaluate audio --folds K --calibrate PEOPLE`: how sure a sound model may be."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vidfer.types import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.datamodules.features import Sample
    from vidfer.tasks.clip import ClipTask

    Floats = npt.NDArray[np.floating]

_BINS: Final = 15


class Calibrator:
    """Collects the answers of each fold's network for the people it was trained without, and fits a temperature to them.

    The network that is shipped was trained on all these people, so its own answers for them would be too sure; those for the
    people that nothing was trained on stay for measuring.

    Args:
        smoothing: Label smoothing of the training, which is taken back before, see `vidfer.answer.unsmooth`.
    """

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing
        self._logits: list[Floats] = []
        self._target: list[npt.NDArray[np.int64]] = []

    def add(self, task: "ClipTask", data: "ClipDataModule") -> None:
        """Take a fold's network, in evaluation mode, and its data with the test split read."""
        if task.reads != ("sound",):
            raise UsageError("--calibrate is for classifiers of sound")
        samples = data.samples["test"]
        self._logits.append(clip_logits(samples, window_answers(task), self.smoothing))
        self._target.append(np.array([sample.target for sample in samples]))

    def fit(self) -> "tuple[float, npt.NDArray[np.int64]]":
        """Fit the temperature; returns it with the classes that it was fitted to."""
        from vidfer.calibration import fit_temperature

        target = np.concatenate(self._target)
        return round(fit_temperature(np.concatenate(self._logits), target), 6), target


def window_answers(task: "ClipTask") -> "Callable[[Floats], Floats]":
    """Return a task's network as a function from vectors `(W, F)` to each one's logits `(W, 7)`."""
    import torch

    from vidfer.batches import ClipBatch

    @torch.inference_mode()
    def answer(vectors: "Floats") -> "Floats":
        sound = torch.from_numpy(np.asarray(vectors, np.float32))[:, None]
        mask = torch.ones(len(sound), 1, dtype=torch.bool)
        logits: Floats = task.classifier(
            ClipBatch(target=torch.full((len(sound),), -1), sound=sound, sound_mask=mask)
        ).numpy()
        return logits

    return answer


def clip_logits(samples: "Sequence[Sample]", answer: "Callable[[Floats], Floats]", smoothing: float) -> "Floats":
    """Pool windows as `vidfer analyze` does: the mean of their log-probabilities after the smoothing is taken back.

    Dividing the windows' logits by a temperature divides the clip's, so that it may be fitted to clips.

    Args:
        samples: Clips with sound.
        answer: From vectors to logits.
        smoothing: See `Calibrator`.

    Returns:
        `(N, 7)`.
    """
    from vidfer.answer import unsmooth

    return np.stack([unsmooth(answer(each.features["sound"].numpy()), smoothing).mean(0) for each in samples])


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
        The entry `calibration` of a card, as `vidfer.cli.evaluate_calibration.measure` describes it.
    """
    from vidfer.answer import softmax
    from vidfer.cli.image_subject import write_card
    from vidfer.metrics import negative_log_likelihood, reliability
    from vidfer.models.expression import AudioModel
    from vidfer.weights.registry import weights_digest

    digest, measured_on = weights_digest("audio", model), f"{data.source}, people {people}"
    temperature, fitted = calibrator.fit()
    data.setup("test")
    samples, answer = data.samples["test"], AudioModel(model)
    truth = np.array([sample.target for sample in samples])
    entry: dict[str, Any] = {
        "temperature": temperature,
        "smoothing": calibrator.smoothing,
        "fitted_on": fitted_on,
        "n_fitted": len(fitted),
        "measured_on": measured_on,
        "n_measured": len(truth),
    }
    for when, smoothing, divisor in (("before", 0.0, 1.0), ("after", calibrator.smoothing, temperature)):
        logits = clip_logits(samples, answer, smoothing) / divisor
        entry[f"ece_{when}"] = round(reliability(softmax(logits), truth, _BINS).ece, 6)
        entry[f"nll_{when}"] = round(negative_log_likelihood(logits, truth), 6)
    print(
        f"temperature {temperature:.3f} (label smoothing of {calibrator.smoothing:g} taken back), fitted on {fitted_on}, n = "
        f"{len(fitted)}; on {measured_on}, n = {len(truth)}: ECE {entry['ece_before']:.3f} before, "
        f"{entry['ece_after']:.3f} after; NLL {entry['nll_before']:.3f} and {entry['nll_after']:.3f}",
        file=sys.stderr,
    )
    entry["bins"] = _BINS
    if keep:
        write_card(model, digest, {"calibration": entry}, "audio")
    return entry
