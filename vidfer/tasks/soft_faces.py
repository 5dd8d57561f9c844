"""Training an image network on distributions, with a head for each labelling convention on one trunk."""

from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

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

    def logits_by_head(self, image: Tensor, *, dropout: bool = False) -> Logits:
        """Compute the logits `(B, 7)` of every head from standardised images `(B, C, H, W)`, with dropout where there is some."""
        embedding = self.backbone.embed(image.contiguous(memory_format=torch.channels_last))
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
            image, target, weight = mix(image, target, weight, *self.mixes[int(torch.randint(len(self.mixes), ()))])
        loss = self._sum_of_heads(self.logits_by_head(image, dropout=True), target, weight)
        self.log("train_batch_loss", loss, on_step=True, on_epoch=False)
        return loss

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
            total = total + share * (each * weight[name]).sum() / weight[name].sum().clamp_min(1)
        return total

    def _step(self, batch: Any, split: str) -> Tensor:  # noqa: ANN401
        if split != "val":
            return super()._step(batch, split)
        logits = self.logits_by_head(batch["image"])
        loss = self._sum_of_heads(logits, batch["target"], self._weights(batch))
        for name in HEADS:
            known = batch["known"][name] > 0
            if known.any():
                told, wanted = logits[name][known], batch["target"][name][known].argmax(1)
                self.accuracy[name].update(told, wanted)
                self.hand_on(f"val_{name}", told, wanted, batch["image"][known])
                self.log(f"val_{name}_acc", self.accuracy[name], on_step=False, on_epoch=True, prog_bar=True)
        if batch["of_wild"].any():
            told, wanted = (each["video"][batch["of_wild"]].argmax(1) for each in (logits, batch["target"]))
            self.recall.update(told, wanted)
            self.log("val_video_recall", self.recall, on_step=False, on_epoch=True, prog_bar=True)
        self.log("val_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["of_wild"]), sync_dist=True)
        return loss

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
