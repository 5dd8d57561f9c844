"""Training an image network on single faces."""

from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.nn.functional import cross_entropy

from vidfer.models import shares
from vidfer.models.backbone import AuxiliaryHead, TimmBackbone, build_backbone
from vidfer.models.batches import ImageBatch
from vidfer.models.layout import channels_last
from vidfer.tasks.base import ClassificationTask
from vidfer.tasks.losses import distillation_loss
from vidfer.tasks.optimizers import Optimisation, Schedule
from vidfer.types import EMOTIONS, VidferError
from vidfer.weights.files import find_weights


class ImageTask(ClassificationTask):
    """Fine-tune all layers of a backbone on faces.

    Args:
        backbone: `compact`, or a model name of timm.
        image_size: Edge of the network's input in px; linked to the data's.
        in_chans: Channels of the image; linked to the data's.
        pretrained: Start from weights for another task: true for timm's, or a `.safetensors` file of them.
        weights: Exported weights of the same network to start from; None to start afresh.
        auxiliary: Weight of an auxiliary head's loss, on the last feature map but one of a network of timm; 0 for no head.
        phases: Steps and learning rate of each phase, in the paper `[[30000, 0.01], [2000, 0.0001]]`; None to use `schedule`.
        schedule: `one-cycle` up to `lr` and down to nothing, or `cosine` from `lr` down to nothing.
        lr: Peak learning rate, unless `phases` are given.
        warmup_share: Share of a one-cycle training in which the learning rate rises, in (0, 1).
        optimizer: `sgd`, `sgdma`, `adagrad`, `rmsprop` or `adam`; the default `lr` is chosen for `sgdma`.
        momentum: Momentum of `sgdma` (equation 7).
        nesterov: Use Nesterov's form of that momentum.
        weight_decay: L2 penalty.
        label_smoothing: Share of the target spread over all classes (Szegedy et al. 2016), in [0, 0.5].
        mixup: Alpha of mixup (Zhang et al. 2018), 0 for none.
        cutmix: Alpha of CutMix (Yun et al. 2019), 0 for none; with both, each batch gets one of them.
        class_weighting: A class weighs its share of the images to the power of minus this, in [0, 1]; 1: all classes alike.
        distillation: Share in [0, 1] of the loss that follows a teacher's stored logits, see the data's `teacher`.
        temperature: Softens both networks' predictions for `distillation`.
        compiled: Compile the training step's network with `torch.compile`.
    """

    heads: ClassVar[tuple[str, ...]] = ()
    """Names of further heads for other labelling conventions."""

    def __init__(
        self,
        backbone: str = "compact",
        image_size: int = 48,
        in_chans: int = 1,
        pretrained: bool | str = False,
        weights: str | None = None,
        auxiliary: float = 0.0,
        phases: list[list[float]] | None = None,
        schedule: Literal["one-cycle", "cosine"] = "one-cycle",
        lr: float = 0.1,
        warmup_share: float = 0.2,
        optimizer: str = "sgdma",
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 5e-4,
        label_smoothing: float = 0.1,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        class_weighting: float = 0.0,
        distillation: float = 0.0,
        temperature: float = 2.0,
        compiled: bool = False,
    ) -> None:
        plan = Schedule(schedule, warmup_share, tuple(tuple(phase) for phase in phases or ()))
        optimisation = Optimisation(optimizer, plan.phases[0][1] if phases else lr, momentum, nesterov, weight_decay)
        super().__init__(optimisation, plan, label_smoothing, class_weighting)
        self.save_hyperparameters()
        _check_losses(auxiliary, mixup, cutmix, distillation, temperature)
        self.name, self.image_size, self.in_chans, self.compiled = backbone, image_size, in_chans, compiled
        self.backbone = channels_last(
            build_backbone(backbone, in_chans=in_chans, pretrained=pretrained, heads=self.heads)
        )
        if weights is not None:
            find_weights("image", weights).load_into(self.backbone)
        self.auxiliary_head: AuxiliaryHead | None = None
        if auxiliary > 0:
            if not isinstance(self.backbone, TimmBackbone):
                raise VidferError("'compact' takes no auxiliary head: set auxiliary to 0")
            self.auxiliary_head = channels_last(AuxiliaryHead(self.backbone.middle_channels, len(EMOTIONS)))
        self.auxiliary_weight = auxiliary
        self.distillation, self.temperature = distillation, temperature
        self.class_weight: Tensor | None = None
        self.mixing = _mixing(mixup, cutmix)
        self.compute: Any = self._all_logits

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits `(B, 7)` of standardised images `(B, C, H, W)`."""
        logits: Tensor = self.backbone(image.to(self.dtype, memory_format=torch.channels_last))
        return logits

    def logits(self, batch: ImageBatch) -> Tensor:
        """Compute logits `(B, 7)`."""
        return super().logits(batch["image"])

    def setup(self, stage: str) -> None:
        """Weigh the classes by their shares in the training images, and compile."""
        if stage != "fit":
            return
        if self.class_weighting:
            shares = torch.tensor(self.trainer.datamodule.class_shares())  # type: ignore[attr-defined]
            self.class_weight = self.weigh_classes(shares)
        if self.compiled:
            self.compute = torch.compile(self._all_logits)

    def on_fit_start(self) -> None:
        """Warn of a slow training on a processor."""
        if self.device.type == "cpu" and self.image_size >= 160:  # an epoch takes hours
            slow = f"{self.name} at {self.image_size} px on a processor: seconds a batch, and weeks for the paper's 32,000 steps"
            rank_zero_info(f"{slow}; the shipped network's recipe is configs/finetune_compact.yaml")

    def training_loss(self, batch: ImageBatch) -> Tensor:
        """Compute the loss of all heads, with mixup or CutMix, class weights and distillation as chosen."""
        image, target = batch["image"], batch["target"]
        if self.mixing is not None:
            image, target = map(shares.part, self.mixing(shares.whole(image), shares.whole(target)))
        logits, *auxiliary = self.compute(image.to(self.dtype, memory_format=torch.channels_last))
        loss = self._loss(logits, target, batch)
        for each in auxiliary:
            loss = loss + self.auxiliary_weight * self._loss(each, target, batch)
        self.log("train_batch_loss", loss, on_step=True, on_epoch=False, sync_dist=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: ImageBatch, batch_idx: int) -> None:  # noqa: ANN401 - Lightning's
        """End the training with its last phase."""
        phases = self.schedule.phases
        if phases and self.global_step >= sum(steps for steps, _ in phases):
            self.trainer.should_stop = True

    def _all_logits(self, image: Tensor) -> tuple[Tensor, ...]:
        if self.auxiliary_head is None or not isinstance(self.backbone, TimmBackbone):
            return (self.backbone(image),)
        logits, middle = self.backbone.logits_and_middle(image)
        return logits, self.auxiliary_head(middle)

    def _loss(self, logits: Tensor, target: Tensor, batch: ImageBatch) -> Tensor:
        weight = None if self.class_weight is None else self.class_weight.to(logits)
        loss = cross_entropy(logits, target, weight=weight, label_smoothing=self.label_smoothing)
        if weight is not None and target.ndim == 1:  # a mean weighed by class; of mixed targets it is one over images
            loss = shares.weighed(loss, weight[target].sum())
        if self.distillation and "teacher" not in batch:
            raise VidferError("distillation needs a teacher's logits: give them by data.init_args.teacher")
        if "teacher" not in batch:
            return loss
        if not self.distillation:
            raise VidferError(
                "data.init_args.teacher gives a teacher's logits: set distillation above 0, or leave them out"
            )
        following = distillation_loss(logits, batch["teacher"], self.temperature)
        return (1 - self.distillation) * loss + self.distillation * following

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors and the card entries that rebuild it."""
        card = {"kind": "image", "arch": self.name, "arguments": {"in_chans": self.in_chans}}
        return self.backbone.state_dict(), card


def _check_losses(auxiliary: float, mixup: float, cutmix: float, distillation: float, temperature: float) -> None:
    if mixup < 0 or cutmix < 0:
        raise VidferError(f"mixup and cutmix are alphas, 0 or above, not {mixup} and {cutmix}")
    if not auxiliary >= 0 or not 0 <= distillation <= 1 or not temperature > 0:
        raise VidferError("auxiliary lies from 0 on, distillation in [0, 1], and temperature above 0")
    if distillation and (mixup or cutmix):
        raise VidferError("set mixup and cutmix to 0 for distillation: a teacher's logits are of whole images")


def _mixing(mixup: float, cutmix: float) -> Any:  # noqa: ANN401 - torchvision's transforms are not typed
    from torchvision.transforms import v2

    kinds = ((v2.MixUp, mixup), (v2.CutMix, cutmix))
    chosen = [kind(alpha=alpha, num_classes=len(EMOTIONS)) for kind, alpha in kinds if alpha]
    return v2.RandomChoice(chosen) if chosen else None
