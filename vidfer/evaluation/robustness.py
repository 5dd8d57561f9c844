"""`vidfer evaluate image --corrupt`: accuracy on faces as bad cameras, codecs and hands leave them."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.evaluation.subject import Subject
from vidfer.pipeline.atomic import results_folder, write_atomic

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_DENOISER: Final = "small"
_COLUMNS: Final = ("corruption", "severity", "unit", "denoised", "n", "accuracy", "low", "high", "uar")


def measure(subject: Subject, names: Sequence[str], out: Path) -> dict[str, Any]:
    """Measure corrupted copies of the images, and noisy ones also denoised; progress goes to the standard error stream.

    Args:
        subject: What to measure.
        names: Of `vidfer.evaluation.corruptions.CORRUPTIONS`.
        out: Folder for `robustness.csv`, `robustness.png` and `robustness.svg`.

    Returns:
        `n`, `tta`, `denoiser` (None where nothing was denoised) and `rows`, as in the table; the first is of the images
        as they are.

    Raises:
        VidferError: The folder cannot be written.
    """
    from vidfer.evaluation.plots import draw_robustness
    from vidfer.pipeline.columns import to_csv

    with results_folder(out):  # before the long work
        rows: list[dict[str, Any]] = []
        for row in _rows(subject, names):
            rows.append(row)  # a run that is cut off leaves what it measured
            write_atomic(out / "robustness.csv", to_csv({name: [each[name] for each in rows] for name in _COLUMNS}))
        draw_robustness(rows, out / "robustness", f"{subject.title}, n = {rows[0]['n']}, 95 % intervals")
    print(f"{subject.title}, n = {rows[0]['n']}")
    for row in rows:
        what = "clean" if row["severity"] is None else f"{row['corruption']} {row['severity']:g} {row['unit']}"
        what += ", denoised" if row["denoised"] else ""
        print(
            f"{what:<40} accuracy {row['accuracy']:.3f} ({row['low']:.3f} to {row['high']:.3f}), UAR {row['uar']:.3f}"
        )
    denoiser = _DENOISER if any(row["denoised"] for row in rows) else None
    return {"n": rows[0]["n"], "tta": subject.tta, "denoiser": denoiser, "rows": rows}


def _rows(subject: Subject, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    from vidfer.evaluation.corruptions import CORRUPTIONS, NOISES
    from vidfer.metrics.classification import score

    plan = [
        (name, severity, denoised)
        for name in names
        for severity in CORRUPTIONS[name].severities
        for denoised in ((False, True) if name in NOISES else (False,))
    ]
    begun = time.monotonic()
    for done, (name, severity, denoised) in enumerate([("clean", None, False), *plan]):
        faces = subject.data.image if severity is None else _faces(subject, name, severity, denoised=denoised)
        scores = score(subject.data.target, subject.logits(faces).argmax(1))
        print(f"  {done}/{len(plan)} after {time.monotonic() - begun:.0f} s: {name}", file=sys.stderr, flush=True)
        yield {
            "corruption": name,
            "severity": severity,
            "unit": None if severity is None else CORRUPTIONS[name].unit,
            "denoised": denoised,
            "n": scores.n,
            "accuracy": scores.accuracy,
            "low": scores.accuracy_ci95[0],
            "high": scores.accuracy_ci95[1],
            "uar": scores.uar,
        }


def _faces(subject: Subject, name: str, severity: float, *, denoised: bool) -> "npt.NDArray[np.uint8]":
    """Corrupt the faces. The denoiser reads colour, so noise is denoised before the luma is taken, at the faces' own size."""
    from vidfer.evaluation.corruptions import CORRUPTIONS, to_gray

    faces = CORRUPTIONS[name].apply(subject.data.image, severity, subject.data.digest)
    if denoised:
        from vidfer.inference.denoiser import Denoiser

        faces = Denoiser(_DENOISER, device=str(subject.model.device))(faces)
    return to_gray(faces)
