"""One real classifier, trained by each of the five optimisers under one protocol."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from vidfer.datamodules.features import collate_clips
from vidfer.tasks.fit import Recipe, fit
from vidfer.tasks.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from vidfer.datamodules.clips import ClipDataModule

RATES: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""The peak learning rates that each optimiser is tuned over: half-decades."""

_TUNING_SEED = 1000  # no run that is reported has it


@dataclass(frozen=True)
class Curves:
    """What an optimiser did with a classifier.

    Args:
        optimizer: Its name.
        lr: The peak learning rate that was chosen for it.
        grid: Loss on the people tuned on, after the last epoch, for each rate.
        runs: For `train_loss`, `val_loss` and `val_acc`: float64 `(seeds, epochs)`; losses are mean negative log-probabilities
            in nats, except that `train_loss` is what was minimised, with its weights, smoothing and dropout.
        held_out: Number of clips that `val_loss` and `val_acc` are of.
    """

    optimizer: str
    lr: float
    grid: dict[float, float]
    runs: dict[str, npt.NDArray[np.float64]]
    held_out: int

    def over_seeds(self, what: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Average over seeds.

        Args:
            what: A name in `runs`.

        Returns:
            Means and half the widths of their 95 % intervals by Student's t, each `(epochs,)`; 0 wide for one seed.
        """
        from scipy.stats import t

        values = self.runs[what]
        n = len(values)
        if n == 1:
            return values[0], np.zeros_like(values[0])
        half: npt.NDArray[np.float64] = t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / math.sqrt(n)
        return values.mean(axis=0), half


def train_by_each(
    tuning: "ClipDataModule",
    reported: "ClipDataModule",
    *,
    arguments: dict[str, Any],
    epochs: int,
    seeds: int,
    rates: tuple[float, ...] = RATES,
) -> Iterator[Curves]:
    """Train the classifier `mlp` by each optimiser: seeds, batches, schedule and everything else but the rate the same.

    The rate is the one with the least loss on people who are neither trained on nor reported, by one training each.

    Args:
        tuning: Clips to train on, and as `val` those the rate is chosen on.
        reported: The same clips to train on, and as `val` those that are reported.
        arguments: The classifier's.
        epochs: Passes over the training clips, for tuning as for what is reported.
        seeds: Trainings that are reported; their seeds are 0, 1, ...
        rates: Learning rates to choose from.

    Yields:
        One optimiser's curves after the other.

    Raises:
        VidferError: There are no clips, or they cannot be read.
    """
    for optimizer in OPTIMIZERS:
        grid = {
            rate: _train(tuning, optimizer, rate, arguments, epochs, _TUNING_SEED)["val_loss"][-1] for rate in rates
        }
        lr = min(grid, key=lambda rate: grid[rate])
        runs = [_train(reported, optimizer, lr, arguments, epochs, seed) for seed in range(seeds)]
        table = {name: np.array([run[name] for run in runs]) for name in runs[0]}
        yield Curves(optimizer, lr, grid, table, len(reported.samples["val"]))


def _train(
    data: "ClipDataModule", optimizer: str, lr: float, arguments: dict[str, Any], epochs: int, seed: int
) -> dict[str, list[float]]:
    """Train once; a loss that is not finite counts as infinite, so that no such rate is chosen."""
    watch = _Watch()
    fit(Recipe("mlp", arguments, epochs, {"optimizer": optimizer, "lr": lr}), data, seed=seed, callbacks=[watch])
    return {name: [each if math.isfinite(each) else math.inf for each in values] for name, values in watch.seen.items()}


class _Watch(lightning.Callback):
    """Measures loss and accuracy on the people held out after every epoch."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {"train_loss": [], "val_loss": [], "val_acc": []}
        self.batches: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Keep a batch's loss."""
        self.batches.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401
        """Answer for everybody held out."""
        clips = collate_clips(trainer.datamodule.samples["val"])
        pl_module.eval()
        with torch.inference_mode():
            log_probs = pl_module(clips)
        pl_module.train()
        self.seen["train_loss"].append(torch.stack(self.batches).mean().item())
        self.seen["val_loss"].append(nll_loss(log_probs, clips["target"]).item())
        self.seen["val_acc"].append((log_probs.argmax(1) == clips["target"]).double().mean().item())
        self.batches.clear()
