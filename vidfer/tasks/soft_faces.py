"""Training an image network on distributions, with a head for each labelling convention on one trunk."""

from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, SumMetric
from torchmetrics.classification import MulticlassAccuracy

from vidfer.models import shares
from vidfer.models.backbone import CompactNet
from vidfer.models.batches import SoftBatch
from vidfer.tasks.base import MacroRecall
from vidfer.tasks.image import ImageTask
from vidfer.types import EMOTIONS, VidferError

HEADS: Final = ("fer2013", "ferplus")
"""Further heads; the network's own is `video`."""

Logits = dict[str, Tensor]


class SoftLabelTask(ImageTask):
    """Distil teachers into a backbone whose own head is `video`, and learn FER2013's labels and FER+ votes by further heads.

    The loss is the sum over heads of the mean cross-entropy against the targets, over the faces where they are known. For
    `video`, a face weighs the mean of the class weights under its target, see the data's `balance`.

    Args:
        backbone: `compact`, or a model name of timm.
        image_size: Edge of the network's input in px; linked to the data's.
        in_chans: Channels of the image; linked to the data's.
        weights: Exported weights of the same network, with its heads, to start from; None to start afresh.
        fer2013: Weight of that head's loss, from 0 on.
        ferplus: Weight of that head's loss.
        schedule: `one-cycle` up to `lr` and down to nothing, or `cosine` from `lr` down to nothing.
        lr: Peak learning rate.
        warmup_share: Share of a one-cycle training in which the learning rate rises, in (0, 1).
        optimizer: As of `ImageTask`.
        momentum: Momentum of `sgdma` (equation 7).
        nesterov: Use Nesterov's form of that momentum.
        weight_decay: L2 penalty.
        label_smoothing: Share of FER2013's one-hot targets spread over all classes; distributions are left as they are.
        mixup: Alpha of mixup (Zhang et al. 2018), 0 for none.
        cutmix: Alpha of CutMix (Yun et al. 2019), 0 for none; with both, each batch gets one of them.
    """

    heads = HEADS

    def __init__(
        self,
        backbone: str = "compact",
        image_size: int = 64,
        in_chans: int = 1,
        weights: str | None = None,
        fer2013: float = 0.5,
        ferplus: float = 0.75,
        schedule: Literal["one-cycle", "cosine"] = "one-cycle",
        lr: float = 0.1,
        warmup_share: float = 0.1,
        optimizer: str = "sgdma",
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 2e-4,
        label_smoothing: float = 0.1,
        mixup: float = 0.0,
        cutmix: float = 0.0,
    ) -> None:
        super().__init__(
            backbone=backbone, image_size=image_size, in_chans=in_chans, weights=weights, schedule=schedule, lr=lr,
            warmup_share=warmup_share, optimizer=optimizer, momentum=momentum, nesterov=nesterov,
            weight_decay=weight_decay, label_smoothing=label_smoothing,
        )  # fmt: skip
        self.save_hyperparameters()
        if min(fer2013, ferplus, mixup, cutmix) < 0:
            raise VidferError("fer2013, ferplus, mixup and cutmix lie from 0 on")
        self.head_weight = {"video": 1.0, "fer2013": fer2013, "ferplus": ferplus}
        self.mixes = [(kind, alpha) for kind, alpha in (("mixup", mixup), ("cutmix", cutmix)) if alpha]
        self.video_weight = torch.ones(len(EMOTIONS))  # of the classes
        self.accuracy: Any = nn.ModuleDict({name: MulticlassAccuracy(7, average="micro") for name in HEADS})
        self.recall = MacroRecall(len(EMOTIONS))
        self.head_losses: Any = nn.ModuleDict({name: MeanMetric() for name in self.head_weight})
        self.shown: Any = nn.ModuleDict({name: SumMetric() for name in (*HEADS, "video")})

    def logits_by_head(self, image: Tensor, *, dropout: bool = False) -> Logits:
        """Compute the logits `(B, 7)` of every head from standardised images `(B, C, H, W)`, with dropout where there is some."""
        embedding = self.backbone.embed(image.to(self.dtype, memory_format=torch.channels_last))
        if dropout and isinstance(self.backbone, CompactNet):
            embedding = self.backbone.dropout(embedding)
        heads: Any = self.backbone.heads
        return {"video": self.backbone.head(embedding), **{name: heads[name](embedding) for name in HEADS}}

    def setup(self, stage: str) -> None:
        """Take the weights of the classes from the training data."""
        if stage == "fit":
            self.video_weight = self.trainer.datamodule.class_weights()  # type: ignore[attr-defined]

    def training_loss(self, batch: SoftBatch) -> Tensor:  # type: ignore[override]
        """Compute the loss of all heads, with mixup or CutMix as chosen."""
        image, target, weight = batch["image"], self._smoothed(batch["target"]), self._weights(batch)
        if self.mixes:
            target, weight = ({name: shares.whole(each) for name, each in of.items()} for of in (target, weight))
            kind, alpha = self.mixes[int(torch.randint(len(self.mixes), ()))]
            image, target, weight = mix(shares.whole(image), target, weight, kind, alpha)
            image = shares.part(image)
            target, weight = ({name: shares.part(each) for name, each in of.items()} for of in (target, weight))
        loss = self._sum_of_heads(self.logits_by_head(image, dropout=True), target, weight)
        self.log("train_batch_loss", loss, on_step=True, on_epoch=False, sync_dist=True)
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ANN401
        """Return the loss of one batch, whose photographs stand at its end in all processes."""
        place, of_wild = batch["place"], batch["of_wild"]
        with shares.sharing(len(place)), shares.rows(of_wild * len(place) + place, 2 * len(place)):
            return self._step(batch, "train")

    def _smoothed(self, target: Logits) -> Logits:
        """Spread a share of FER2013's one-hot targets over all classes."""
        share = self.label_smoothing
        return {**target, "fer2013": target["fer2013"] * (1 - share) + share / len(EMOTIONS)}

    def _weights(self, batch: SoftBatch) -> Logits:
        """Return each face's weight `(B,)` in the loss of each head."""
        video = batch["target"]["video"] @ self.video_weight.to(batch["image"])
        return {**batch["known"], "video": video}

    def _sum_of_heads(self, logits: Logits, target: Logits, weight: Logits) -> Tensor:
        total = torch.zeros((), device=logits["video"].device)
        for name, share in self.head_weight.items():
            each = -(target[name] * logits[name].log_softmax(1)).sum(1)
            known = shares.total(weight[name].sum().detach()).clamp_min(1) / shares.processes()
            total = total + share * (each * weight[name]).sum() / known
        return total

    def _step(self, batch: Any, split: str) -> Tensor:  # noqa: ANN401
        if split != "val":
            return super()._step(batch, split)
        logits, weight = self.logits_by_head(batch["image"]), self._weights(batch)
        for name, metric in self.head_losses.items():
            metric.update(-(batch["target"][name] * logits[name].log_softmax(1)).sum(1), weight[name])
        for name in HEADS:
            known = batch["known"][name] > 0
            self.shown[name].update(known.sum())
            told, wanted = logits[name][known], batch["target"][name][known].argmax(1)
            self.accuracy[name].update(told, wanted)
            self.hand_on(f"val_{name}", told, wanted, batch["image"][known])
        told, wanted = (each["video"][batch["of_wild"]].argmax(1) for each in (logits, batch["target"]))
        self.shown["video"].update(len(wanted))
        self.recall.update(told, wanted)
        return self._sum_of_heads(logits, batch["target"], weight)

    def on_validation_epoch_end(self) -> None:
        """Log the loss and each head's measure over all batches and processes, where there is anything to measure."""
        losses = {name: metric.compute() for name, metric in self.head_losses.items()}
        found = {"val_loss": sum(self.head_weight[name] * each for name, each in losses.items() if each.isfinite())}
        measures = {name: (f"val_{name}_acc", self.accuracy[name]) for name in HEADS}
        for name, (title, metric) in {**measures, "video": ("val_video_recall", self.recall)}.items():
            if self.shown[name].compute() > 0:
                found[title] = metric.compute()
        self.log_dict(found, prog_bar=True)
        for metric in (*self.head_losses.values(), *self.shown.values(), *self.accuracy.values(), self.recall):
            metric.reset()

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors, in half precision, and the card entries that rebuild it."""
        state, card = super().export()
        card["arguments"] |= {"heads": list(HEADS)}
        return {name: each.half() if each.is_floating_point() else each for name, each in state.items()}, card


def mix(image: Tensor, target: Logits, weight: Logits, kind: str, alpha: float) -> tuple[Tensor, Logits, Logits]:
    """Mix each face of a batch with another one: images, targets `(B, 7)` and weights `(B,)` by the same share.

    A face weighs the mean of the two weights, and its target is their mean weighed so: of two faces, one of which has
    no target, the other one's is kept, at its share of the weight.

    Args:
        image: `(B, C, H, W)`.
        target: By head.
        weight: By head, at least 0.
        kind: `mixup` adds images; `cutmix` replaces a rectangle.
        alpha: The share follows a symmetric Beta distribution with this parameter.
    """
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(image), device=image.device)
    if kind == "mixup":
        image = torch.lerp(image[other], image, share)
    else:
        height, width = image.shape[-2:]
        edge = (1 - share) ** 0.5
        y, x = (int(torch.randint(size, ())) for size in (height, width))
        rows, columns = (
            slice(max(0, round(at - edge * size / 2)), min(size, round(at + edge * size / 2)))
            for at, size in ((y, height), (x, width))
        )
        image = image.clone()
        image[:, :, rows, columns] = image[other][:, :, rows, columns]
        share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    mixed_target, mixed_weight = {}, {}
    for name, own in weight.items():
        mixed_weight[name] = share * own + (1 - share) * own[other]
        total = target[name] * (share * own)[:, None] + target[name][other] * ((1 - share) * own[other])[:, None]
        mixed_target[name] = total / mixed_weight[name].clamp_min(1e-6)[:, None]
    return image, mixed_target, mixed_weight
