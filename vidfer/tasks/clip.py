"""Training a classifier of clips on their faces, their sound, or both."""

from typing import Any

import lightning
import torch
from torch import Tensor, nn

from vidfer.metrics.classification import classification_metrics
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.build import build_classifier
from vidfer.tasks.optimizers import check_optimizer, one_cycle
from vidfer.types import EMOTIONS, VidferError


class ClipTask(lightning.LightningModule):
    """Train any classifier of clips, by SGD with momentum unless told otherwise.

    Before the first step the classifier may look at all training clips (`Classifier.prepare`): their statistics, or
    pre-training without labels. What it reads, the data module loads.

    Args:
        classifier: Name of a module in `vidfer.models.classifiers`, or the dotted path of a class.
        arguments: Its constructor's arguments.
        optimizer: `sgd`, `sgdma`, `adagrad`, `rmsprop` or `adam`, see `vidfer.tasks.optimizers`.
        lr: Peak learning rate, under a one-cycle schedule.
        momentum: Momentum of `sgdma` (equation 7).
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.
        label_smoothing: Share of the target spread over all classes.
        class_weighting: Exponent in [0, 1]: a class weighs its share of the labelled training clips to the power of minus this,
            so 0 weighs all clips the same, and 1 all classes.
        warmup_share: Share of the training in which the learning rate rises.

    Raises:
        VidferError: The classifier or an argument is unknown, or a value is out of range.
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
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if not 0 <= label_smoothing <= 0.5 or not 0 <= class_weighting <= 1:
            raise VidferError(
                f"label_smoothing lies in [0, 0.5] and class_weighting in [0, 1], not at {label_smoothing} and "
                f"{class_weighting}"
            )
        check_optimizer(optimizer, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
        self.classifier = build_classifier(classifier, arguments)
        self.metrics: Any = nn.ModuleDict({split: classification_metrics(split) for split in ("val", "test")})
        self.register_buffer("class_weight", torch.ones(len(EMOTIONS)))
        self.label_smoothing, self.class_weighting = label_smoothing, class_weighting
        self.optimisation: dict[str, Any] = {
            "name": optimizer,
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "warmup_share": warmup_share,
        }

    @property
    def reads(self) -> tuple[str, ...]:
        """The entries of a `ClipBatch` that the classifier needs."""
        return self.classifier.reads

    def setup(self, stage: str) -> None:
        """Let the classifier look at the training clips before the first step; a run that goes on has done so.

        Args:
            stage: `fit`, `validate`, `test` or `predict`.
        """
        if stage != "fit" or self.trainer.ckpt_path is not None:
            return
        train: ClipBatch = self.trainer.datamodule.training_clips()  # type: ignore[attr-defined]
        with torch.random.fork_rng(devices=[]):
            self.classifier.prepare(train)
        target = train["target"][train["target"] >= 0]
        shares = torch.bincount(target, minlength=len(EMOTIONS)).clamp_min(1) / len(target)
        weight = shares**-self.class_weighting
        self.class_weight = weight / (weight * shares).sum()

    def forward(self, batch: ClipBatch) -> Tensor:
        """Compute log-probabilities `(B, 7)`."""
        log_probs: Tensor = self.classifier(batch)
        return log_probs

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        loss = self.classifier.loss(batch, self._criterion)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["target"]))
        return loss

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Log loss and metrics of one batch."""
        self._measure(batch, "val")

    def test_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Log loss and metrics of one batch."""
        self._measure(batch, "test")

    def _measure(self, batch: ClipBatch, split: str) -> None:
        log_probs, target = self(batch), batch["target"]
        self.log(f"{split}_loss", self._criterion(log_probs, target), batch_size=len(target))
        self.metrics[split].update(log_probs, target)
        self.log_dict(self.metrics[split], on_step=False, on_epoch=True, batch_size=len(target), prog_bar=True)

    def _criterion(self, log_probs: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(
            log_probs, target, weight=self.class_weight, label_smoothing=self.label_smoothing
        )

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors and the card entries that rebuild it."""
        kinds = {("sound",): "audio", ("frames", "sound"): "fusion"}
        card = {
            "kind": kinds.get(self.reads, "faces"),
            "arch": self.hparams["classifier"],
            "arguments": dict(self.hparams["arguments"] or {}),
        }
        return self.classifier.state_dict(), card

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts many shapes here
        """Return the optimiser and its one-cycle schedule."""
        return one_cycle(self, **self.optimisation)
