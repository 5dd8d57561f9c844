"""One classifier, trained by each of the five optimisers under one protocol."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor
from torch.nn.functional import nll_loss

from vidfer.datamodules.clips import ClipDataModule, SampleSoundsDataModule
from vidfer.datamodules.features import collate_clips
from vidfer.metrics.classification import mean_interval, wilson_interval
from vidfer.tasks.fit import Recipe, fit
from vidfer.tasks.optimizers import OPTIMIZERS

RATES: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)  # peak learning rates to choose from: half-decades
_TUNING_SEED: Final = 1000  # no run that is reported has it
_PEOPLE: Final = ("1-12", "13-16", "17-20")  # of RAVDESS: trained on, rates tuned on, reported
_SAMPLE_PEOPLE: Final = ("1-3", "4", "5-6")
_CLASSIFIER: Final = {"modality": "sound", "hidden": 128}


@dataclass(frozen=True)
class Curves:
    """Learning curves of a classifier under one optimiser, at the peak learning rate `lr` that was chosen for it.

    `grid` holds the loss on the people that the rate is chosen on, after the last epoch, by rate. `runs` holds `train_loss`,
    `val_loss` and `val_acc`, float64 `(seeds, epochs)`; losses are mean negative log-probabilities in nats, except that
    `train_loss` is what was minimised, with its weights, smoothing and dropout. `held_out` counts the clips of the other two.
    """

    optimizer: str
    lr: float
    grid: dict[float, float]
    runs: dict[str, npt.NDArray[np.float64]]
    held_out: int

    def over_seeds(self, what: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Average one of `runs` over seeds: means, and half the widths of their 95 % intervals, `(epochs,)` each."""
        mean, interval = self.runs[what].mean(axis=0), mean_interval(self.runs[what])
        return mean, np.zeros_like(mean) if interval is None else (interval[1] - interval[0]) / 2

    def row(self) -> dict[str, Any]:
        """Return what was measured after the last epoch as a row of `training.csv`."""
        (loss, loss_half), (accuracy, half) = self.over_seeds("val_loss"), self.over_seeds("val_acc")
        low, high = wilson_interval(round(accuracy[-1] * self.held_out), self.held_out)
        seeds, epochs = self.runs["val_loss"].shape
        return {
            "optimizer": self.optimizer,
            "lr": self.lr,
            "at_edge": self.lr in (min(self.grid), max(self.grid)),
            "seeds": seeds,
            "epochs": epochs,
            "clips": self.held_out,
            "train_loss": self.runs["train_loss"].mean(axis=0)[-1],
            "loss": loss[-1],
            "loss_half": loss_half[-1],
            "accuracy": accuracy[-1],
            "accuracy_half": half[-1],
            "low": low,
            "high": high,
        }

    def epoch_rows(self) -> Iterator[dict[str, Any]]:
        """Yield every epoch of every seed as a row of `training_curves.csv`."""
        for (seed, epoch), _ in np.ndenumerate(self.runs["val_loss"]):
            values = {name: each[seed, epoch] for name, each in self.runs.items()}
            yield {"optimizer": self.optimizer, "lr": self.lr, "seed": seed, "epoch": epoch + 1, **values}


def build_data(data: str, store: str) -> tuple[ClipDataModule, ClipDataModule, str]:
    """Build the clips for tuning and for reporting: the same to train on, other people as `val`; and name them."""
    sample = data == "sample"
    train, *held_out = _SAMPLE_PEOPLE if sample else _PEOPLE
    kind, root = (SampleSoundsDataModule, "runs/sample/sounds") if sample else (ClipDataModule, data)
    tuning, reported = (
        kind(data="ravdess", root=root, train_people=train, val_people=people, store=store, voice=not sample)
        for people in held_out
    )
    return tuning, reported, reported.source if sample else Path(data).name


def train_by_each(
    tuning: ClipDataModule,
    reported: ClipDataModule,
    *,
    epochs: int,
    seeds: int,
    arguments: Mapping[str, Any] = _CLASSIFIER,
    rates: Sequence[float] = RATES,
) -> Iterator[Curves]:
    """Train the classifier `mlp` by each optimiser; seeds, batches, schedule and all else but the rate are the same.

    The rate is the one with the least loss on people who are neither trained on nor reported, by one training each: those of
    `tuning` in the split `val`. `seeds` trainings, by seeds from 0 on, are reported.
    """
    for optimizer in OPTIMIZERS:
        train = partial(_train, optimizer=optimizer, arguments=arguments, epochs=epochs)
        grid = {rate: train(tuning, lr=rate, seed=_TUNING_SEED)["val_loss"][-1] for rate in rates}
        lr = min(grid, key=lambda rate: grid[rate])
        runs = [train(reported, lr=lr, seed=seed) for seed in range(seeds)]
        table = {name: np.array([run[name] for run in runs]) for name in runs[0]}
        yield Curves(optimizer, lr, grid, table, len(reported.samples["val"]))


def _train(
    data: ClipDataModule, *, optimizer: str, lr: float, arguments: Mapping[str, Any], epochs: int, seed: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Train once; a loss that is not finite counts as infinite, so that no such rate is chosen."""
    curves: dict[str, list[float]] = {"train_loss": [], "val_loss": [], "val_acc": []}
    batches: list[Tensor] = []

    def measure(trainer: Any, task: Any) -> None:  # noqa: ANN401 - Lightning's
        clips = collate_clips(trainer.datamodule.samples["val"])
        task.eval()
        with torch.inference_mode():
            log_probs = task(clips)
        task.train()
        curves["train_loss"].append(torch.stack(batches).mean().item())
        curves["val_loss"].append(nll_loss(log_probs, clips["target"]).item())
        curves["val_acc"].append((log_probs.argmax(1) == clips["target"]).double().mean().item())
        batches.clear()

    watch = LambdaCallback(
        on_train_batch_end=lambda _trainer, _task, outputs, *_: batches.append(outputs["loss"].detach()),
        on_train_epoch_end=measure,
    )
    fit(Recipe("mlp", dict(arguments), epochs, {"optimizer": optimizer, "lr": lr}), data, seed=seed, callbacks=[watch])
    return {name: np.nan_to_num(values, nan=np.inf, posinf=np.inf, neginf=np.inf) for name, values in curves.items()}
