"""What Lightning and our task add to a training step: CPU seconds beside the same steps in a plain PyTorch loop.

    python benchmarks/step_overhead.py                    # the compact network at 48 px, batches of 128
    python benchmarks/step_overhead.py --batch 32 --steps 40

Both train the same network by the same loss, optimiser and schedule on the same batches, in memory and augmented alike; the task
also logs. They take turns, so that a busy machine disturbs both alike; setting up and the first steps of each round do not count.
Figures are medians over rounds, of CPU time, not of time by the clock; the overhead is the median over neighbouring rounds.
"""

import argparse
import statistics
import tempfile
import time
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from vidfer.datamodules.augment import ImageAugmentation
from vidfer.datamodules.fer2013 import BatchedImages, Fer2013DataModule
from vidfer.datasets.fer2013 import LabelledImages
from vidfer.datasets.report import PreparationReport
from vidfer.models.backbone import CompactNet
from vidfer.models.layout import channels_last
from vidfer.models.preprocess import Preprocessing
from vidfer.tasks.image import ImageTask
from vidfer.tasks.loggers import CurveLogger

_WARM = 3


class Memory(Fer2013DataModule):
    """Random images in place of a data set's.

    Args:
        count: Number of images.
        batch: Images a batch.
    """

    def __init__(self, count: int, batch: int) -> None:
        super().__init__(batch_size=batch)
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (count, 48, 48), np.uint8)
        target = rng.integers(0, 7, count)
        report = PreparationReport("random", count, count)
        self.data["train"] = BatchedImages(LabelledImages(image, target, [], [], report))

    def setup(self, stage: str) -> None:
        """Leave the images as they are."""


class Clock(Callback):
    """Takes the CPU time between the end of the first steps and the end of the last."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:  # noqa: ANN401 - Lightning's
        """Take the time."""
        self.ends.append(time.process_time())

    def on_train_epoch_end(self, *_: Any) -> None:  # noqa: ANN401 - Lightning's
        """Take the time when what the epoch logs is done, too."""
        self.ends[-1] = time.process_time()


def with_lightning(steps: int, batch: int, folder: str) -> float:
    """Train by the task and return CPU seconds a step."""
    clock = Clock()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        logger=CurveLogger(folder, "overhead"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
        default_root_dir=folder,
    )
    trainer.fit(ImageTask(), datamodule=Memory((steps + _WARM) * batch, batch))
    return (clock.ends[-1] - clock.ends[_WARM - 1]) / (len(clock.ends) - _WARM)


def plain(steps: int, batch: int, folder: str) -> float:
    """Train by a loop, which writes nothing to `folder`, and return CPU seconds a step."""
    loader = Memory((steps + _WARM) * batch, batch).train_dataloader()
    network = channels_last(CompactNet(7)).train()
    augment = ImageAugmentation(Preprocessing())
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, len(loader), pct_start=0.2, cycle_momentum=False)
    ends = []
    for images in loader:
        image = augment(images["image"][:, None].float() / 255, 48).contiguous(memory_format=torch.channels_last)
        loss = criterion(network(image), images["target"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        ends.append(time.process_time())
    return (ends[-1] - ends[_WARM - 1]) / (len(ends) - _WARM)


def main() -> None:
    """Take turns and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="steps a round (default: 20)")
    parser.add_argument("--batch", type=int, default=128, help="images a step (default: 128)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            order = (with_lightning, plain) if number % 2 else (plain, with_lightning)
            found = {train: train(args.steps, args.batch, folder) for train in order}
            pairs.append((found[with_lightning], found[plain]))
    task, loop = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    print(f"task {task * 1e3:.1f} ms, plain loop {loop * 1e3:.1f} ms of CPU a step of {args.batch} images")
    low, high = ratios[0] - 1, ratios[-1] - 1
    print(f"overhead {statistics.median(ratios) - 1:+.1%} (median of {len(ratios)} pairs, {low:+.1%} to {high:+.1%})")


if __name__ == "__main__":
    main()
