"""Support vector machines of scikit-learn on the vectors that classifiers of clips learn from: the outside reference.

References:
    Cortes, Vapnik: Support-vector networks. Machine Learning 20, 1995.
    Schuller et al.: The INTERSPEECH 2010 paralinguistic challenge. Interspeech 2010 (linear machines on these vectors).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import VectorClassifier
from vidfer.types import EMOTIONS

MACHINES: Final[Mapping[str, dict[str, Any]]] = {
    "linear, C = 0.0003": {"kernel": "linear", "C": 0.0003},
    "linear, C = 0.001": {"kernel": "linear", "C": 0.001},
    "linear, C = 0.01": {"kernel": "linear", "C": 0.01},
    "rbf, C = 1": {"kernel": "rbf", "C": 1.0},
    "rbf, C = 10": {"kernel": "rbf", "C": 10.0},
}
"""What is tried; classes weigh the same."""

POOLS: Final = ("mean vector", "mean score")
"""A clip as the mean of its vectors; or every vector by itself, and the clip by the mean of their scores."""


def answer_by_svm(train: ClipBatch, test: ClipBatch, modality: str = "sound") -> dict[str, npt.NDArray[np.int64]]:
    """Train every machine on clips and answer for others.

    Vectors are standardised by the training vectors' mean and deviation, and clipped, as for every classifier here.

    Args:
        train: Labelled clips.
        test: Clips.
        modality: `sound`, `frames` or `both`, as for `VectorClassifier`.

    Returns:
        Classes `(N,)` of the test clips by `<machine>, <pool>`.
    """
    from sklearn.svm import SVC

    lengths = {f"num_{kind}_features": train[name].shape[2] for kind, name in _NAMES if name in train}  # type: ignore[literal-required]
    collector = _Collector(modality, **lengths)
    collector.prepare(train)
    answers = {}
    for pool in POOLS:
        learnt, clip = collector.standardised(train, whole=pool == "mean vector")
        asked, place = collector.standardised(test, whole=pool == "mean vector")
        target = train["target"].numpy()[clip]
        kernels = _kernels(learnt, asked)
        for name, options in MACHINES.items():
            known, new = kernels[options["kernel"]]
            machine = SVC(kernel="precomputed", C=options["C"], class_weight="balanced", decision_function_shape="ovr")
            machine.fit(known, target)
            scores = np.full((len(asked), len(EMOTIONS)), -np.inf)
            decided = machine.decision_function(new)  # of two classes one number: how far it is the second
            scores[:, machine.classes_] = np.stack([-decided, decided], 1) if decided.ndim == 1 else decided
            total = np.zeros((len(test["target"]), len(EMOTIONS)))
            np.add.at(total, place, scores)
            answers[f"{name}, {pool}"] = total.argmax(1)
    return answers


def _kernels(learnt: npt.NDArray[np.float32], asked: npt.NDArray[np.float32]) -> dict[str, tuple[Any, Any]]:
    """Compute each kernel once for all machines, between training vectors and from the others to them.

    libsvm computes it anew, pair by pair, for each two classes of each machine: hours for ten thousand vectors. The width of
    the radial one is scikit-learn's `scale`.
    """
    squares, gamma = (learnt**2).sum(1), 1 / (learnt.shape[1] * float(learnt.var()))
    linear = learnt @ learnt.T, asked @ learnt.T
    lengths = squares, (asked**2).sum(1)
    radial = [
        np.exp(-gamma * np.maximum(length[:, None] + squares - 2 * dot, 0))
        for length, dot in zip(lengths, linear, strict=True)
    ]
    return {"linear": linear, "rbf": (radial[0], radial[1])}


_NAMES: Final = (("frame", "frames"), ("sound", "sound"))


class _Collector(VectorClassifier):
    """Collects and standardises vectors as every classifier of vectors does."""

    def member_log_probs(self, vectors: torch.Tensor) -> torch.Tensor:
        raise AssertionError("never trained")  # pragma: no cover

    def standardised(self, batch: ClipBatch, *, whole: bool) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        vectors, clip = self.vectors(batch)
        values = self.standardise(vectors)
        if whole:
            counts = torch.bincount(clip, minlength=len(batch["target"]))
            there = counts.nonzero()[:, 0]
            total = torch.zeros(len(counts), values.shape[1]).index_add(0, clip, values)
            values, clip = total[there] / counts[there, None], there
        return values.numpy(), clip.numpy()
