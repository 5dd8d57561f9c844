"""Training a classifier of clips on their faces, their sound, or both."""

from typing import Any

import torch
from torch import Tensor, nn

from vidfer.models import shares
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers import build_classifier, with_width
from vidfer.models.classifiers.base import FRAME_FEATURES
from vidfer.tasks.base import ClassificationTask
from vidfer.tasks.optimizers import Optimisation, Schedule
from vidfer.types import EMOTIONS, VidferError


class ClipTask(ClassificationTask):
    """Train any classifier of clips; before the first step it takes its statistics or pre-trains (`Classifier.prepare`).

    Args:
        classifier: Name of a module in `vidfer.models.classifiers`, or the dotted path of a class.
        arguments: Its constructor's arguments.
        num_frame_features: Length of a face's embedding, of which every classifier that reads embeddings is told unless its
            arguments say it; linked to the data's `image_model`.
        optimizer: `sgd`, `sgdma`, `adagrad`, `rmsprop` or `adam`.
        lr: Peak learning rate, under a one-cycle schedule.
        momentum: Momentum of `sgdma` (equation 7).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.
        label_smoothing: Share of the target spread over all classes, in [0, 0.5].
        class_weighting: A class weighs its share of the clips to the power of minus this, in [0, 1]; 1: all classes alike.
        warmup_share: Share of the training in which the learning rate rises, in (0, 1).
    """

    class_weight: Tensor

    def __init__(
        self,
        classifier: str = "mlp",
        arguments: dict[str, bool | int | float | str] | None = None,
        optimizer: str = "sgdma",
        lr: float = 0.02,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 1e-3,
        label_smoothing: float = 0.1,
        class_weighting: float = 1.0,
        warmup_share: float = 0.1,
        num_frame_features: int = FRAME_FEATURES,
    ) -> None:
        optimisation = Optimisation(optimizer, lr, momentum, nesterov, weight_decay)
        super().__init__(optimisation, Schedule(warmup_share=warmup_share), label_smoothing, class_weighting)
        # settings that are as ever keep the keys of what was made by them
        self.save_hyperparameters(ignore=["num_frame_features"] if num_frame_features == FRAME_FEATURES else [])
        self.name, self.arguments = classifier, with_width(classifier, arguments or {}, num_frame_features)
        self.classifier = build_classifier(classifier, self.arguments)
        self.register_buffer("class_weight", torch.ones(len(EMOTIONS)))

    @property
    def reads(self) -> tuple[str, ...]:
        """The entries of a `ClipBatch` that the classifier needs."""
        return self.classifier.reads

    def setup(self, stage: str) -> None:
        """Prepare the classifier on the training clips, unless the training is resumed."""
        if stage != "fit" or self.trainer.ckpt_path is not None:
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        train: ClipBatch = data.training_clips()
        self._require_width(train, data)
        with torch.random.fork_rng(devices=[]):
            self.classifier.prepare(train)
        target = train["target"][train["target"] >= 0]
        shares = torch.bincount(target, minlength=len(EMOTIONS)) / len(target)
        self.class_weight = self.weigh_classes(shares)

    def _require_width(self, train: ClipBatch, data: Any) -> None:  # noqa: ANN401 - any module of clips
        expected = self.arguments.get("num_frame_features")
        if "frames" in train and expected not in (None, found := train["frames"].shape[2]):
            features = getattr(data, "features", None)
            model = getattr(features, "image_model", "the data's image model")
            raise VidferError(
                f"the classifier '{self.name}' reads embeddings of {expected} values, and those of {model} have {found}: leave "
                "num_frame_features out of its arguments"
            )

    def forward(self, batch: ClipBatch) -> Tensor:
        """Compute log-probabilities `(B, 7)`."""
        log_probs: Tensor = self.classifier(batch)
        return log_probs

    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute smoothed cross-entropy, weighted by class."""
        loss = nn.functional.cross_entropy(
            logits, target, weight=self.class_weight, label_smoothing=self.label_smoothing
        )
        return shares.weighed(loss, self.weight_of(target))

    def weight_of(self, target: Tensor) -> Tensor:
        """Return what clips of these classes weigh together."""
        return self.class_weight[target].sum()

    def training_loss(self, batch: ClipBatch) -> Tensor:
        """Compute the classifier's own loss of the batch."""
        return self.classifier.loss(_as_long_as_all(batch), self.criterion)

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors, but for those of training alone, and the card entries that rebuild it."""
        kinds = {("sound",): "audio", ("frames", "sound"): "fusion"}
        card = {"kind": kinds.get(self.reads, "faces"), "arch": self.name, "arguments": self.arguments}
        state, apart = self.classifier.state_dict(), self.classifier.training_only
        return {name: tensor for name, tensor in state.items() if not name.startswith(apart)}, card


def _as_long_as_all(batch: ClipBatch) -> ClipBatch:
    """Pad clips to the longest of all processes' batches, as in a single batch of all."""
    padded: Any = dict(batch)
    for names in (("frames", "frame_mask", "image", "landmarks"), ("sound", "sound_mask")):
        for name in names:
            if name in padded:
                values = padded[name]
                more = shares.longest(values.shape[1]) - values.shape[1]
                padded[name] = nn.functional.pad(values, [0, 0] * (values.ndim - 2) + [0, more])
    found: ClipBatch = padded
    return found
