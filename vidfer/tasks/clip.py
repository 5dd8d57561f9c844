"""Training a classifier of recordings on the feature vectors of their windows."""

from typing import Any

import lightning
import torch
from torch import Tensor, nn

from vidfer.datasets.batches import SoundBatch
from vidfer.metrics import classification_metrics
from vidfer.models.classifiers.build import build_classifier
from vidfer.optimizers import sgd_one_cycle
from vidfer.types import EMOTIONS


class VectorTask(lightning.LightningModule):
    """Train a classifier by SGD with momentum, answering for whole recordings as the chain does.

    A recording's answer is the normalised mean of its windows' log-probabilities, in training as in use: a silent or
    neutral moment may then stay undecided, and the loss does not force a class on every window.

    Args:
        classifier: `linear` or `mlp`.
        num_features: Length of a vector.
        hidden: Units of an MLP's hidden layer.
        members: Perceptrons in the committee; each is trained on its own.
        input_dropout: Share of the features dropped.
        dropout: Share of the hidden units dropped.
        lr: Peak learning rate.
        momentum: Momentum of SGD.
        nesterov: Use Nesterov's form of momentum.
        weight_decay: L2 penalty.
        label_smoothing: Share of the target spread over all classes.
        warmup_share: Share of the training in which the learning rate rises.
    """

    def __init__(
        self,
        classifier: str = "mlp",
        num_features: int = 1582,
        hidden: int = 256,
        members: int = 1,
        input_dropout: float = 0.5,
        dropout: float = 0.5,
        lr: float = 0.02,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 1e-3,
        label_smoothing: float = 0.1,
        warmup_share: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.arguments: dict[str, Any] = {"num_features": num_features}
        if classifier == "mlp":
            self.arguments |= {
                "hidden": hidden, "members": members, "input_dropout": input_dropout, "dropout": dropout,
            }  # fmt: skip
        self.classifier: Any = build_classifier(classifier, **self.arguments)
        self.metrics: Any = nn.ModuleDict({split: classification_metrics(split) for split in ("val", "test")})
        self.register_buffer("class_weight", torch.ones(len(EMOTIONS)))
        self.label_smoothing = label_smoothing
        self.optimisation: dict[str, Any] = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "warmup_share": warmup_share,
        }

    def setup(self, stage: str) -> None:
        """Take the statistics of the training data before the first step.

        Args:
            stage: `fit`, `validate`, `test` or `predict`.
        """
        if stage == "fit":
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            self.classifier.standardise.fit(data.training_vectors())
            counts = torch.bincount(data.training_targets(), minlength=len(EMOTIONS)).clamp_min(1)
            self.class_weight = counts.float().mean() / counts

    def forward(self, vector: Tensor) -> Tensor:
        """Compute logits `(W, 7)` of windows `(W, F)`."""
        logits: Tensor = self.classifier(vector)
        return logits

    def training_step(self, batch: SoundBatch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        pooled = pool_windows(self.classifier.member_log_probs(batch["vector"]), batch["recording"])
        loss = torch.stack([self._loss(member, batch["target"]) for member in pooled]).sum()
        self.log("train_loss", loss / len(pooled), on_step=False, on_epoch=True, batch_size=len(batch["target"]))
        return loss

    def validation_step(self, batch: SoundBatch, batch_idx: int) -> None:
        """Log loss and metrics of one batch."""
        self._evaluate(batch, "val")

    def test_step(self, batch: SoundBatch, batch_idx: int) -> None:
        """Log loss and metrics of one batch."""
        self._evaluate(batch, "test")

    def _evaluate(self, batch: SoundBatch, split: str) -> None:
        log_probs = self(batch["vector"]).log_softmax(dim=1)
        pooled = pool_windows(log_probs[None], batch["recording"])[0]
        count = len(batch["target"])
        self.log(f"{split}_loss", self._loss(pooled, batch["target"]), batch_size=count)
        self.metrics[split].update(pooled, batch["target"])
        self.log_dict(self.metrics[split], on_step=False, on_epoch=True, batch_size=count, prog_bar=True)

    def _loss(self, log_probs: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(
            log_probs, target, weight=self.class_weight, label_smoothing=self.label_smoothing
        )

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors and the card entries that rebuild it."""
        card = {"kind": "audio", "arch": self.hparams["classifier"], "arguments": self.arguments}
        return self.classifier.state_dict(), card

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts many shapes here
        """Return SGD with momentum and its one-cycle schedule."""
        return sgd_one_cycle(self, **self.optimisation)


def pool_windows(log_probs: Tensor, recording: Tensor) -> Tensor:
    """Average windows' log-probabilities over each recording and normalise.

    Args:
        log_probs: `(M, W, K)`.
        recording: The recording of each window, ascending from 0, `(W,)`.

    Returns:
        Log-probabilities `(M, B, K)`.
    """
    counts = torch.bincount(recording)
    total = log_probs.new_zeros(log_probs.shape[0], len(counts), log_probs.shape[2])
    total = total.index_add(1, recording, log_probs)
    return (total / counts[:, None]).log_softmax(dim=2)
