"""Training steps of the three tasks beside the same steps in a plain loop of PyTorch."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .cost import call
from .figures import Figure, Measurement
from .plan import Plan

_WARM = 3
_STEPS = {"image": (10, 32), "denoise": (8, 4), "clip": (60, 32)}
"""Steps of a round that count, and the size of a batch."""

Batches = Sequence[dict[str, Any]]


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure the image network at 48 px, the small denoiser on 64 px crops, and the committee for sound; one thread."""
    for task, (steps, batch) in _STEPS.items():
        found: dict[str, Any] = call("training.steps", task=task, count=steps, batch=batch, rounds=plan.rounds(5))
        ours, plain = found["task"], found["plain"]
        ratio = Figure.of([a / b for a, b in zip(ours, plain, strict=True)])
        floors = {"plain loop": Figure.of(plain)}
        figures = {"CPU ms a step": Figure.of(ours)}
        yield Measurement("training", f"{task}, batches of {batch}", figures, floors, {"CPU / plain loop": ratio})


def steps(task: str, count: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Return CPU ms a step by Lightning and by a plain loop, which take turns on the same batches in memory."""
    import torch

    torch.set_num_threads(1)
    make = {"image": _image, "denoise": _denoise, "clip": _clip}[task]
    found: dict[str, list[float]] = {"task": [], "plain": []}
    for number in range(rounds):
        for name in ("task", "plain") if number % 2 else ("plain", "task"):
            batches, module, loss = make(count + _WARM, batch)
            spent = _fit(module, batches) if name == "task" else _loop(module, batches, loss)
            found[name].append(1000 * spent)
    return found


Made = tuple[Batches, Any, Callable[[dict[str, Any]], Any]]


def _image(count: int, size: int) -> Made:
    import torch

    from vidfer.datamodules.augment import ImageAugmentation
    from vidfer.models.preprocess import Preprocessing
    from vidfer.tasks.image import ImageTask

    rng, task, augment = np.random.default_rng(0), ImageTask(), ImageAugmentation(Preprocessing())
    pixels = torch.from_numpy(rng.random((count, size, 1, 48, 48), np.float32))
    batches = [{"image": augment(each, 48), "target": torch.from_numpy(rng.integers(0, 7, size))} for each in pixels]

    def loss(batch: dict[str, Any]) -> Any:  # noqa: ANN401 - a tensor
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        return torch.nn.functional.cross_entropy(task.backbone(image), batch["target"], label_smoothing=0.1)

    return batches, task, loss


def _denoise(count: int, size: int) -> Made:
    import torch

    from vidfer.tasks.denoise import DenoiseTask

    torch.manual_seed(0)
    task = DenoiseTask("small", objective="mse", lr=1e-3)
    clean = torch.rand(count, size, 3, 64, 64) * 2 - 1
    batches = [{"clean": each, "noisy": each + 0.1 * torch.randn_like(each)} for each in clean]

    def loss(batch: dict[str, Any]) -> Any:  # noqa: ANN401
        noisy = batch["noisy"].contiguous(memory_format=torch.channels_last)
        return (task.generator(noisy) - batch["clean"]).square().mean()

    return batches, task, loss


def _clip(count: int, size: int) -> Made:
    import torch

    from vidfer.media.audio import FEATURES
    from vidfer.tasks.clip import ClipTask

    torch.manual_seed(0)
    task = ClipTask("mlp")
    mask = torch.ones(size, 3, dtype=torch.bool)
    batches = [
        {"sound": torch.randn(size, 3, FEATURES), "sound_mask": mask, "target": torch.randint(7, (size,))}
        for _ in range(count)
    ]
    return batches, task, lambda batch: task.classifier.loss(batch, task.criterion)


def _fit(task: Any, batches: Batches) -> float:  # noqa: ANN401 - one of the tasks
    """Train by Lightning and the task, with its curves written, and return CPU seconds a step."""
    import lightning
    from lightning.pytorch.callbacks import Callback
    from torch.utils.data import DataLoader

    from vidfer.tasks.loggers import CurveLogger

    ends: list[float] = []

    class Clock(Callback):
        def on_train_batch_end(self, *_: Any) -> None:  # noqa: ANN401
            ends.append(time.process_time())

        def on_train_epoch_end(self, *_: Any) -> None:  # noqa: ANN401
            ends[-1] = time.process_time()  # what the epoch logs counts, too

    class Data(lightning.LightningDataModule):
        def train_dataloader(self) -> Any:  # noqa: ANN401 - Lightning would take a list for several loaders
            return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]

        def training_clips(self) -> dict[str, Any]:
            return batches[0]

    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_val_batches=0,
            logger=CurveLogger(folder, "bench"),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Clock()],
            default_root_dir=folder,
        )
        trainer.fit(task, datamodule=Data())
    return (ends[-1] - ends[_WARM - 1]) / (len(ends) - _WARM)


def _loop(task: Any, batches: Batches, loss: Callable[[dict[str, Any]], Any]) -> float:  # noqa: ANN401
    """Train the task's network by a plain loop with its optimiser, and return CPU seconds a step."""
    import torch

    network = next(getattr(task, name) for name in ("backbone", "generator", "classifier") if hasattr(task, name))
    network.train()
    if hasattr(network, "prepare"):
        network.prepare(batches[0])
    optimizer = task.optimisation.build(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, len(batches), cycle_momentum=False)
    ends = []
    for batch in batches:
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
        schedule.step()
        ends.append(time.process_time())
    return (ends[-1] - ends[_WARM - 1]) / (len(ends) - _WARM)
