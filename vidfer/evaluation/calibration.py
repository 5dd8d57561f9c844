"""`vidfer evaluate image --calibrate`: how sure a model may be, and what to withhold."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.evaluation.subject import Subject
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.types import VidferError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from vidfer.metrics.calibration import Coverage
    from vidfer.metrics.classification import Reliability

_BINS: Final = 15


def measure(subject: Subject, out: Path | None) -> dict[str, Any]:
    """Fit the temperature on one half of the images and measure on the other; halves are made by content, class by class.

    Args:
        subject: What to calibrate; its card's temperature is not applied.
        out: Folder for `reliability.png`, `coverage.csv`, `coverage.png` and the plots as SVG; None for none.

    Returns:
        The entry `calibration` of a card: `temperature`; `smoothing`, the label smoothing that is taken back before; `tta`;
        `fitted_on`, `n_fitted`; `measured_on`, `n_measured`; `ece_before`, `ece_after`, `nll_before`, `nll_after` of the half
        measured; `bins` of the ECE; `coverage`, a list of threshold, share of images whose top probability reaches it, and
        accuracy among these (None where there are none).

    Raises:
        VidferError: There are too few images for two halves, or the folder cannot be written.
    """
    from vidfer.datasets.fer2013 import stratified_rank
    from vidfer.inference.decision import invert_label_smoothing, softmax
    from vidfer.metrics.calibration import coverage_curve, fit_temperature, label_smoothing
    from vidfer.metrics.classification import negative_log_likelihood, reliability

    target, logits = subject.data.target, subject.logits()
    fitted = stratified_rank(target, subject.data.digest) < 0.5
    if fitted.all() or not fitted.any():
        raise VidferError(f"{subject.source}: {len(target)} images cannot be divided into two halves; more are needed")
    smoothing = label_smoothing(subject.model.card)
    plain = invert_label_smoothing(logits, smoothing)
    temperature = round(fit_temperature(plain[fitted], target[fitted]), 6)
    truth = target[~fitted]
    results = {}
    for when, divided in (("before", logits[~fitted]), ("after", plain[~fitted] / temperature)):
        probabilities = softmax(divided)
        results[when] = (reliability(probabilities, truth, _BINS), negative_log_likelihood(divided, truth))
    curve = coverage_curve(probabilities, truth)
    if out is not None:
        _write(out, {when: found for when, (found, _) in results.items()}, curve, subject.title)
    title = f"{subject.title}, label smoothing of {smoothing:g} taken back" if smoothing else subject.title
    _tell(title, temperature, fitted, results, curve)
    return {
        "temperature": temperature,
        "smoothing": smoothing,
        "tta": subject.tta,
        "fitted_on": f"{subject.source}, the half of each class with the smaller content digests",
        "n_fitted": int(fitted.sum()),
        "measured_on": f"{subject.source}, the other half",
        "n_measured": len(truth),
        **{f"ece_{when}": round(found.ece, 6) for when, (found, _) in results.items()},
        **{f"nll_{when}": round(nll, 6) for when, (_, nll) in results.items()},
        "bins": _BINS,
        "coverage": [
            [each.threshold, round(each.coverage, 6), None if each.accuracy is None else round(each.accuracy, 6)]
            for each in curve
        ],
    }


def _write(out: Path, diagrams: "dict[str, Reliability]", curve: "Sequence[Coverage]", title: str) -> None:
    from vidfer.evaluation.plots import draw_coverage, draw_reliability
    from vidfer.pipeline.columns import to_csv

    with results_folder(out):
        draw_reliability(diagrams, out / "reliability")
        draw_coverage(curve, out / "coverage", title)
        columns: dict[str, list[Any]] = {
            name: [asdict(each)[name] for each in curve] for name in ("threshold", "n", "coverage", "accuracy")
        }
        for position, name in enumerate(("low", "high")):
            columns[name] = [None if each.interval is None else each.interval[position] for each in curve]
        write_atomic(out / "coverage.csv", to_csv(columns))


def _tell(
    title: str,
    temperature: float,
    fitted: "npt.NDArray[np.bool_]",
    results: "dict[str, tuple[Reliability, float]]",
    curve: "Sequence[Coverage]",
) -> None:
    print(
        f"{title}: temperature {temperature:.4f}, fitted on {fitted.sum()} images, measured on {(~fitted).sum()} others"
    )
    for when, (found, nll) in results.items():
        print(f"{when:<7} ECE {found.ece:.4f}, NLL {nll:.4f} nats")
    print("top probability from   answered   accuracy of these (95 % interval)")
    for each in curve:
        if each.accuracy is not None and each.interval is not None:
            low, high = each.interval
            print(
                f"{each.threshold:>20.2f}{each.coverage:>11.3f}   {each.accuracy:.3f} ({low:.3f} to {high:.3f}), n = {each.n}"
            )
