"""What every data module has: reports, a digest of its data, and shuffled batches that a resumed training goes on with."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from vidfer.datasets.report import PreparationReport
from vidfer.pipeline.digest import content_digest, file_digest, recipe_key
from vidfer.pipeline.store import Store, default_store
from vidfer.types import EMOTIONS, VidferError

_SMALL: Final = 1 << 16  # bytes; such a file is hashed as fast as its remembered digest is read


class BaseDataModule(lightning.LightningDataModule):
    """A data module that reports what it leaves out and can say whether its data have changed.

    Attributes:
        source: What the data are, for the card.
        licence: Terms of weights trained on them, for the card.
        notify: Called with each line of a report; Lightning's log unless set.
    """

    source = ""
    licence = ""

    def __init__(self) -> None:
        super().__init__()
        self.notify: Callable[[str], None] = rank_zero_info
        self.order_seed: int | None = None  # decides the order of the epoch's samples, see `ResumableSampler`

    def state_dict(self) -> dict[str, Any]:
        """Return what decides the order of the running epoch, for checkpoints inside it."""
        return {"order_seed": self.order_seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the order of the epoch that is resumed."""
        self.order_seed = state_dict["order_seed"]

    def announce(self, report: PreparationReport) -> None:
        """Pass on what was found and left out."""
        for line in report.lines():
            self.notify(line)

    def shuffled(self, dataset: Dataset[Any], batch_size: int, **options: Any) -> DataLoader[Any]:  # noqa: ANN401
        """Return a loader of full shuffled batches, or of a single one where there are fewer samples than `batch_size`.

        Args:
            dataset: Training samples.
            batch_size: Samples a step.
            options: The other arguments of `DataLoader`.
        """
        full = len(dataset) >= batch_size  # type: ignore[arg-type]  # a map of samples has a length
        sampler = ResumableSampler(dataset, self, batch_size)
        return ResumableLoader(dataset, batch_size, sampler=sampler, drop_last=full, **options)

    def content_digest(self) -> str:
        """Return a digest of all data of a training by content: files, labels, persons and splits, and what was computed from.

        It says nothing of where the data lie, nor of settings: equal settings and equal digests are the same training. Files
        that have not changed since they were last hashed, here or by any stage, are not read again.

        Returns:
            64 hexadecimal digits.

        Raises:
            VidferError: There are no such data, or a file cannot be read.
        """
        self.prepare_data()
        return recipe_key({"data": list(self._contents())})

    def _contents(self) -> Iterable[Any]:
        """List what decides the data, as JSON."""
        raise NotImplementedError


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


def class_shares(target: Tensor) -> list[float]:
    """Return the share of each class in `target (N,)`, in the order of `EMOTIONS`."""
    shares: list[float] = (torch.bincount(target, minlength=len(EMOTIONS)) / len(target)).tolist()
    return shares


def digest_files(paths: Iterable[Path], root: Path, store: str | None = None) -> list[list[str]]:
    """Return each file's path below `root` and the digest of its content, in the order given.

    Args:
        paths: The files.
        root: The folder that their names are relative to, or the only file.
        store: Folder of artifacts, which also remembers digests; None for the default one.

    Raises:
        VidferError: A file cannot be read.
    """
    memory, folder = Store(store or default_store()), root if root.is_dir() else root.parent
    try:
        return [
            [
                path.relative_to(folder).as_posix(),
                file_digest(path) if path.stat().st_size < _SMALL else content_digest(path, memory),
            ]
            for path in paths
        ]
    except OSError as error:
        raise VidferError(f"{error.filename} cannot be read: {error.strerror}") from error
