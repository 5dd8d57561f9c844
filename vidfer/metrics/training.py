"""Metrics that a training logs of each split."""

from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassF1Score

from vidfer.metrics.classification import macro_recall
from vidfer.types import EMOTIONS


class MacroRecall(MulticlassConfusionMatrix):
    """`vidfer.metrics.classification.macro_recall` over all batches and processes."""

    higher_is_better = True

    def compute(self) -> Tensor:
        """Return the mean recall over the classes that occurred, a scalar."""
        return Tensor(macro_recall(super().compute()))


def classification_metrics(split: str) -> MetricCollection:
    """Build `<split>_acc`, `<split>_uar` and `<split>_f1`: accuracy, unweighted average recall and macro F1."""
    size = len(EMOTIONS)
    return MetricCollection(
        {
            "acc": MulticlassAccuracy(size, average="micro"),
            "uar": MacroRecall(size),
            "f1": MulticlassF1Score(size, average="macro"),
        },
        prefix=f"{split}_",
    )
