"""Shuffled batches of an epoch that a resumed training takes up where the interrupted one stopped."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from vidfer.datamodules.base import BaseDataModule


class ResumableSampler(DistributedSampler[Any]):
    """An epoch's indices in random order, those of one process of many, without the ones already seen.

    In a single process the order is drawn from torch's random state, as by `DataLoader(shuffle=True)`; in several it follows
    from the epoch, as Lightning's own. Lightning sets the epoch.

    Args:
        module: Its trainer knows how many batches of the epoch are done, and its checkpoints keep what decides the order.
        batch_size: Indices a batch.
    """

    def __init__(self, dataset: Dataset[Any], module: BaseDataModule, batch_size: int) -> None:
        trainer = module.trainer
        super().__init__(dataset, trainer.world_size if trainer else 1, trainer.global_rank if trainer else 0)
        self.module, self.batch_size = module, batch_size

    def __iter__(self) -> Iterator[int]:
        """Yield the indices that are left of the epoch."""
        trainer = self.module.trainer
        done = trainer.fit_loop.batch_idx + 1 if trainer and trainer.training else 0
        if self.num_replicas == 1:
            if not done or self.module.order_seed is None:
                self.module.order_seed = int(torch.empty((), dtype=torch.int64).random_().item())
            self.seed = self.module.order_seed - self.epoch
        yield from islice(super().__iter__(), done * self.batch_size, None)


class ResumableLoader(DataLoader[Any]):
    """A loader with a `ResumableSampler`, asked only when the first batch is wanted.

    Lightning makes a loader's iterator before it has set the epoch and its own place in it.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches of what is left of an epoch."""
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing; that there is a state tells Lightning that an epoch can be resumed. Its progress says where."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load nothing."""


def shuffled(
    module: BaseDataModule,
    dataset: Dataset[Any],
    batch_size: int,
    **options: Any,  # noqa: ANN401
) -> ResumableLoader:
    """Build the loader of full shuffled training batches, or of one where there are fewer samples than `batch_size`.

    Args:
        module: The data module.
        dataset: Its training samples.
        batch_size: Samples a step.
        options: `DataLoader`'s other arguments.
    """
    full = len(dataset) >= batch_size  # type: ignore[arg-type]  # a map of samples has a length
    sampler = ResumableSampler(dataset, module, batch_size)
    return ResumableLoader(dataset, batch_size, sampler=sampler, drop_last=full, **options)
