"""Predictions as Weights & Biases draws them: counts, curves, and sample faces where they are asked for."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vidfer.metrics.classification import PrecisionRecall, precision_recall, score
from vidfer.results.pictures import blurred
from vidfer.tasks.tracking import STEP
from vidfer.types import DISPLAYED, EMOTIONS

if TYPE_CHECKING:
    import wandb
    from wandb.plot.custom_chart import CustomChart

Faces = Literal["blurred", "shown", "none"]


@dataclass(frozen=True, eq=False)
class SampleFace:
    """A held-out face, gray uint8 (H, W), with its class and the predicted one, indices into `EMOTIONS`."""

    image: npt.NDArray[np.uint8]
    target: int
    prediction: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of a split under a `name` such as `val` after `step` batches: `logits` `(N, 7)` of classes `target` `(N,)`."""

    name: str
    step: int
    logits: npt.NDArray[np.float64]
    target: npt.NDArray[np.int64]
    faces: Sequence[SampleFace] = ()


def log_predictions(run: "wandb.Run", found: Predictions, *, plots: bool, faces: Faces) -> None:
    """Send a split's confusion matrix and precision-recall curves, its average precisions as summary, and sample faces."""
    shown: dict[str, Any] = {}
    run.summary.update({"about": DISPLAYED})
    if plots:
        from scipy.special import softmax

        counts = score(found.target, found.logits.argmax(1)).confusion
        about = f"{found.name}, n = {len(found.target)}, after {found.step} batches"
        shown["confusion"] = confusion_chart(counts, EMOTIONS, about)
        figures: dict[str, Any] = {"n": len(found.target), "step": found.step}
        if np.isfinite(found.logits).all():
            curves = precision_recall(softmax(found.logits, axis=1), found.target)
            shown["precision_recall"] = _curve_chart(curves, about)
            figures |= {f"ap_{name}": curve.average for name, curve in curves.items()}
            figures["ap"] = float(np.mean([curve.average for curve in curves.values()]))
        run.summary.update({f"{found.name}_{name}": value for name, value in figures.items()})
    if found.faces and faces != "none":
        shown["faces"] = _faces_image(found.faces, hidden=faces != "shown")
    run.log({**{f"{found.name}_{name}": each for name, each in shown.items()}, STEP: found.step})


def confusion_chart(counts: Sequence[Sequence[int]], columns: Sequence[str], about: str) -> "CustomChart":
    """Draw counts, `EMOTIONS` by columns of such names, as `wandb.plot.confusion_matrix` does, which wants samples instead."""
    import pandas as pd
    import wandb

    cells = [
        [truth, told, count]
        for truth, row in zip(EMOTIONS, counts, strict=True)
        for told, count in zip(columns, row, strict=True)
    ]
    names = ["Actual", "Predicted", "nPredictions"]
    return wandb.plot_table(
        "wandb/confusion_matrix/v1",
        wandb.Table(dataframe=pd.DataFrame(cells, columns=names)),
        {name: name for name in names},
        {"title": about},
    )


def _curve_chart(curves: Mapping[str, PrecisionRecall], about: str) -> "CustomChart":
    """Draw the curves as `wandb.plot.pr_curve` does, which mixes up classes where one does not occur."""
    import pandas as pd
    import wandb

    rows = [
        [name, float(recall), float(precision)]
        for name, curve in curves.items()
        for recall, precision in zip(curve.recall, curve.precision, strict=True)
    ]
    return wandb.plot_table(
        "wandb/area-under-curve/v0",
        wandb.Table(dataframe=pd.DataFrame(rows, columns=["class", "recall", "precision"])),
        {"x": "recall", "y": "precision", "class": "class"},
        {"title": about, "x-axis-title": "Recall", "y-axis-title": "Precision"},
    )


def _faces_image(faces: Sequence[SampleFace], *, hidden: bool) -> "wandb.Image":
    """Draw faces, a column for each true class, with the predicted one where it is another."""
    import wandb
    from PIL import Image

    from vidfer.plots.figure import ORANGE, new_panels

    columns = [[face for face in faces if face.target == number] for number in range(len(EMOTIONS))]
    rows = max(map(len, columns))
    figure, panels = new_panels(rows * len(columns), len(columns), 1.15 * len(columns), 1.45 * rows)
    for place, axes in enumerate(panels):
        axes.set_axis_off()
        row, column = divmod(place, len(columns))
        if row >= len(columns[column]):
            continue
        face = columns[column][row]
        image = np.repeat(face.image[..., None], 3, axis=2)
        axes.imshow(blurred(image) if hidden else image)
        right = face.target == face.prediction
        told = EMOTIONS[face.target] if right else f"{EMOTIONS[face.target]}\nread as {EMOTIONS[face.prediction]}"
        axes.set_title(told, fontsize=7, color="black" if right else ORANGE)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return wandb.Image(Image.open(file))
