"""What every data module has: reports, a digest of its data, and shuffled batches that a resumed training goes on with."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerStatus
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torch.utils.data.distributed import DistributedSampler

from vidfer.datasets.contents import input_weights
from vidfer.datasets.report import PreparationReport
from vidfer.pipeline.digest import recipe_key
from vidfer.types import EMOTIONS, VidferError


class BaseDataModule(lightning.LightningDataModule, ABC):
    """A data module that reports what it leaves out, by `notify`, and can say whether its data have changed.

    It divides samples between processes by itself, so a trainer of several takes `use_distributed_sampler=False`.
    """

    source = ""  # what the data are, for the card
    licence = ""  # terms of weights trained on them, for the card
    predict_split = "test"  # what `predict` reads

    def __init__(self) -> None:
        super().__init__()
        self.notify: Callable[[str], None] = rank_zero_info
        self.order_seed: int | None = None  # decides the order of the epoch's samples, see `ResumableSampler`

    def state_dict(self) -> dict[str, Any]:
        """Return the seed of the running epoch's order, for checkpoints inside it."""
        return {"order_seed": self.order_seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the order of the epoch that is resumed."""
        self.order_seed = state_dict["order_seed"]

    def announce(self, report: PreparationReport) -> None:
        """Pass on what was found and left out."""
        for line in report.lines():
            self.notify(line)

    def shuffled(self, dataset: Any, batch_size: int, **options: Any) -> DataLoader[Any]:  # noqa: ANN401
        """Return a loader of full shuffled batches, or of a single one where a dataset or list is smaller than `batch_size`."""
        sampler = ResumableSampler(dataset, self, batch_size)
        return ResumableLoader(dataset, batch_size, sampler=sampler, drop_last=len(sampler) >= batch_size, **options)

    def in_order(self, dataset: Any, batch_size: int, **options: Any) -> DataLoader[Any]:  # noqa: ANN401
        """Return a loader of samples in order, of several processes each its own ones: none twice, none left out."""
        rank, processes = self._place()
        if processes == 1:
            return DataLoader(dataset, batch_size, **options)
        return DataLoader(dataset, batch_sampler=EvenBatches(len(dataset), batch_size, rank, processes), **options)

    def own(self, dataset: Any, batch_size: int, **options: Any) -> DataLoader[Any]:  # noqa: ANN401
        """Return a loader of what this process predicts, in order: samples `rank`, `rank + processes` and so on."""
        rank, processes = self._place()
        return DataLoader(dataset, batch_size=batch_size, sampler=range(rank, len(dataset), processes), **options)

    def _place(self) -> tuple[int, int]:
        """Return this process's rank and the number of processes while they run together; afterwards the first one is alone."""
        trainer = self.trainer
        if trainer is None or trainer.state.status != TrainerStatus.RUNNING:
            return 0, 1
        return trainer.global_rank, trainer.world_size

    def val_dataloader(self) -> Any:  # noqa: ANN401 - a loader, or no loaders
        """Return the validation samples in order."""
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test samples in order."""
        loader: DataLoader[Any] = self._in_order("test")
        return loader

    @abstractmethod
    def _in_order(self, split: str) -> Any:  # noqa: ANN401
        """Return a loader of a split's samples in order, or none."""

    def content_digest(self) -> str:
        """Return a digest, 64 hexadecimal digits, of all data of a training: files, labels, persons, splits and input weights.

        It says nothing of where the data lie, nor of settings: equal settings and equal digests are the same training.
        """
        self.prepare_data()
        weights = input_weights("", self.hparams)
        return recipe_key({"data": [*weights.values(), *self._contents()]})

    @abstractmethod
    def _contents(self) -> Iterable[Any]:
        """List what decides the data, as JSON; of vidfer's own data modules as `data_contents` does."""


class ResumableSampler(DistributedSampler[Any]):
    """One process's indices of an epoch, without the batches that the module's trainer has done. Lightning sets the epoch.

    A shuffled order is drawn from torch's random state, as by `DataLoader(shuffle=True)`, the same in all processes, and its
    seed kept in the module's checkpoints. Batch b of all processes together holds what a single process with as large batches
    sees in its batch b. Of P processes, up to P - 1 samples at the order's end are left out, so that all have as many.
    """

    def __init__(self, dataset: Dataset[Any], module: BaseDataModule, batch_size: int, *, shuffle: bool = True) -> None:
        rank, processes = module._place()
        super().__init__(dataset, processes, rank, shuffle=shuffle, drop_last=True)
        if not self.num_samples:
            raise VidferError(f"there are fewer training samples than the {processes} processes: use fewer devices")
        self.module, self.batch_size = module, batch_size

    def __iter__(self) -> Iterator[Any]:
        trainer = self.module.trainer
        done = trainer.fit_loop.batch_idx + 1 if trainer and trainer.training else 0
        if self.shuffle:
            if not done or self.module.order_seed is None:
                drawn = int(torch.empty((), dtype=torch.int64).random_().item())
                self.module.order_seed = trainer.strategy.broadcast(drawn) if trainer else drawn
            self.seed = self.module.order_seed - self.epoch
        yield from islice(super().__iter__(), done * self.batch_size, None)


class EvenBatches(Sampler[list[int]]):
    """The batches of one of several processes, in order, every one with as many batches, since all wait for each other.

    A batch may have one sample more than `batch_size`.
    """

    def __init__(self, count: int, batch_size: int, rank: int, processes: int) -> None:
        if count < processes:
            raise VidferError(f"{count} samples to measure on are fewer than {processes} processes: use fewer devices")
        own = np.arange(rank, count, processes)
        self.batches = [each.tolist() for each in np.array_split(own, math.ceil(count // processes / batch_size))]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class ResumableLoader(DataLoader[Any]):
    """A loader with a `ResumableSampler`, which is read only when the first batch is wanted.

    Lightning makes a loader's iterator before it has set the epoch and its own place in it.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: that there is a state tells Lightning that an epoch can be resumed."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load nothing."""


def class_shares(target: Tensor | Sequence[int]) -> list[float]:
    """Return the share of each class in `target (N,)`, in the order of `EMOTIONS`."""
    shares: list[float] = (torch.bincount(torch.as_tensor(target), minlength=len(EMOTIONS)) / len(target)).tolist()
    return shares
