"""What held-out samples were predicted as, collected where Weights & Biases is to show it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from vidfer.tasks.charts import Predictions, SampleFace
from vidfer.tasks.loggers import WandbCurves

_FACES: Final = 3
"""Sample faces of each class, the first ones of a split."""


class ShownPredictions(Callback):
    """Hands a split's predictions to every `WandbCurves` that shows them.

    A test or a validation of its own is shown at its end; of a training the validation whose weights are kept as the best, or
    else the last one, when it has ended: one at a time, since each is several files.
    """

    def __init__(self) -> None:
        self._taken: dict[str, _Taken] = {}
        self._kept: list[Predictions] = []
        self._best = False  # whether what is kept is of the best weights

    def take(self, name: str, logits: Tensor, target: Tensor, image: Tensor | None) -> None:
        """Collect a batch.

        Args:
            name: What was predicted, such as `val`.
            logits: `(B, 7)`.
            target: Indices into `EMOTIONS`, `(B,)`.
            image: Faces as the network reads them, float `(B, C, H, W)`; nothing else is a face.
        """
        if not len(target):  # a labelling convention of which a batch, or all, has nothing
            return
        taken = self._taken.setdefault(name, _Taken())
        taken.logits.append(logits.detach().cpu())
        taken.target.append(target.cpu())
        if image is not None and image.ndim == 4:
            taken.add_faces(image, logits, target)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._taken.clear()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._taken.clear()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the predictions of a training, and show others."""
        if trainer.sanity_checking or not _watchers(trainer):
            return
        if trainer.state.fn != TrainerFn.FITTING:
            _show(trainer, self._of_all(trainer))
            return
        best = _is_best(trainer)
        if best or not self._best:  # a training that went on may have had its best weights before
            self._kept, self._best = self._of_all(trainer), best

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the predictions."""
        if _watchers(trainer):
            _show(trainer, self._of_all(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the predictions of the validation that was kept."""
        _show(trainer, self._kept)

    def _of_all(self, trainer: Trainer) -> list[Predictions]:
        """Join what the processes collected; every one has to call this."""
        own = {name: taken.arrays() for name, taken in self._taken.items()}
        parts: list[Any] = [own] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(parts, own)
        joined = []
        for name in dict.fromkeys(name for part in parts for name in part):
            logits, target = (np.concatenate([part[name][at] for part in parts if name in part]) for at in (0, 1))
            faces = self._taken[name].faces if name in self._taken else []
            joined.append(Predictions(name, trainer.global_step, logits, target, faces))
        return joined


@dataclass
class _Taken:
    """What one process has seen of a split."""

    logits: list[Tensor] = field(default_factory=list)
    target: list[Tensor] = field(default_factory=list)
    faces: list[SampleFace] = field(default_factory=list)

    def add_faces(self, image: Tensor, logits: Tensor, target: Tensor) -> None:
        """Take the first faces of each class, with grays from 0 to 255 by their own extremes."""
        seen = Counter(face.target for face in self.faces)
        for at, truth in enumerate(target.tolist()):
            if seen[truth] < _FACES:
                seen[truth] += 1
                gray = image[at].float().mean(0)
                gray = (gray - gray.min()) / (gray.max() - gray.min()).clamp_min(1e-6)
                pixels = (255 * gray).round().byte().cpu().numpy()
                self.faces.append(SampleFace(pixels, truth, int(logits[at].argmax())))

    def arrays(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        return torch.cat(self.logits).double().numpy(), torch.cat(self.target).numpy()


def showing(loggers: Any) -> list[Callback]:  # noqa: ANN401 - whatever a trainer takes
    """Return the callback that collects predictions, if one of the loggers shows them."""
    found = loggers if isinstance(loggers, list) else []
    return [ShownPredictions()] if any(map(_is_watcher, found)) else []


def _is_watcher(logger: Any) -> bool:  # noqa: ANN401
    return isinstance(logger, WandbCurves) and logger.shows_predictions


def _watchers(trainer: Trainer) -> list[WandbCurves]:
    watchers: list[Any] = list(filter(_is_watcher, trainer.loggers))
    return watchers


def _is_best(trainer: Trainer) -> bool:
    """Say whether the weights of this validation will be kept as the best; false where no checkpoint is."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and (callback.monitor or "").startswith("val_"):
            current = trainer.callback_metrics.get(str(callback.monitor))
            return callback.check_monitor_top_k(trainer, current)  # before the callback itself looks, as it comes last
    return False


def _show(trainer: Trainer, found: list[Predictions]) -> None:
    for logger in _watchers(trainer):
        for each in found:
            logger.log_predictions(each)
