"""Noisy and clean crops of photographs."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidfer.datamodules.base import BaseDataModule, ResumableLoader, ResumableSampler
from vidfer.datasets.contents import photo_contents
from vidfer.datasets.div2k import is_div2k, read_div2k
from vidfer.datasets.photos import Photo, StoredPhoto, add_noise, read_photos
from vidfer.datasets.report import PreparationReport
from vidfer.models.batches import CropBatch, NamedImage
from vidfer.types import VidferError

Key = tuple[int, int, int]
"""What decides a training crop: seed, epoch, and its index in the epoch."""


class DenoiseDataModule(BaseDataModule):
    """Random crops with fresh noise to train on; fixed crops with fixed noise of held-out photographs to validate on.

    A training crop depends on the seed, the epoch and its index alone, also where training was interrupted.

    Args:
        root: Folder of photographs, `sample` for those of scikit-image, or DIV2K's folder, whose own validation
            photographs are then the held-out ones.
        val_share: Share of the photographs held out, at least one; DIV2K's split is fixed.
        test_root: Folder of photographs to test on; the held-out ones if not given. Of DIV2K its validation part.
        crop: Edge of a crop in px.
        sigmas: Noise levels on the 0-255 scale; each crop draws one.
        clip_noise: Round and clip noisy crops to 8 bits, as recorded frames are.
        crops_per_epoch: Crops drawn an epoch.
        batch_size: Crops a step.
        num_workers: Loader processes.
    """

    def __init__(
        self,
        root: str = "sample",
        val_share: float = 0.1,
        test_root: str | None = None,
        crop: int = 64,
        sigmas: list[float] | None = None,
        clip_noise: bool = True,
        crops_per_epoch: int = 1600,
        batch_size: int = 16,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        levels = (15.0, 25.0, 50.0) if sigmas is None else tuple(sigmas)
        if min(crop, crops_per_epoch, batch_size) < 1 or not 0 <= val_share < 1:
            raise VidferError("crop, crops_per_epoch and batch_size have to be at least 1, val_share in [0, 1)")
        if not levels or not min(levels) >= 0:
            raise VidferError(f"sigmas have to be levels of at least 0, such as [15, 25, 50], not {list(levels)}")
        self.save_hyperparameters(logger=False)
        self.root, self.val_share, self.test_root = root, val_share, test_root
        self.crop, self.sigmas, self.clip_noise = crop, levels, clip_noise
        self.crops_per_epoch, self.batch_size, self.num_workers = crops_per_epoch, batch_size, num_workers
        self.data: dict[str, RandomCrops | FixedCrops] = {}

    def setup(self, stage: str) -> None:
        """Read the photographs that a stage needs and report what was dropped."""
        if self.order_seed is None:
            self.order_seed = torch.initial_seed()
        if not self.data:
            photos, held_out, self.report = self._read(self.root)
            if not held_out:
                count = max(1, round(self.val_share * len(photos)))
                photos, held_out = photos[:-count], photos[-count:]
            if not photos:
                raise VidferError(
                    f"{self.root}: one photograph is not enough, since one has to be held out: add another"
                )
            self.data["train"] = RandomCrops(photos, self.crop, self.sigmas, self.clip_noise, self.crops_per_epoch)
            self.data["val"] = FixedCrops(held_out, self.crop, self.sigmas, self.clip_noise)
        if stage == "test" and self.test_root:
            photos, held_out, _ = self._read(self.test_root)
            self.data["test"] = FixedCrops(held_out or photos, self.crop, self.sigmas, self.clip_noise)

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data and its preprocessing."""
        return {
            "preprocessing": {"range": [-1, 1], "clip_noise": self.clip_noise, "sigmas": list(self.sigmas)},
            "data": {"source": self.report.source, "found": self.report.found, "kept": self.report.kept},
            "licence": "Weights: Apache-2.0; the photographs keep their own terms.",
        }

    def train_dataloader(self) -> DataLoader[CropBatch]:
        """Return random crops, from the batch on at which the trainer stands in its epoch."""
        sampler = CropSampler(self.data["train"], self, self.batch_size, shuffle=False)
        return ResumableLoader(self.data["train"], self.batch_size, sampler=sampler, num_workers=self.num_workers)

    @property
    def test_source(self) -> str:
        """Name what `test_dataloader` shows."""
        return Path(self.test_root).name if self.test_root else f"{self.report.source}, held out"

    def predict_dataloader(self) -> DataLoader[NamedImage]:
        """Return whole photographs as they are, one a batch: those of `test_root`, else those of `root`."""
        photos, _ = read_photos(self.test_root or self.root, smallest=1)
        return self.own(WholeImages(photos), 1, num_workers=self.num_workers)

    def _read(self, root: str) -> tuple[list[Photo | StoredPhoto], list[Photo | StoredPhoto], PreparationReport]:
        if root != "sample" and is_div2k(Path(root)):
            photos, held_out, report = read_div2k(Path(root), smallest=self.crop)
        else:
            (photos, report), held_out = read_photos(root, smallest=self.crop), {}
        self.announce(report)
        return list(photos.values()), list(held_out.values()), report

    def _contents(self) -> Iterable[Any]:
        return photo_contents(**self.hparams)

    def _in_order(self, split: str) -> DataLoader[CropBatch]:
        data = self.data.get(split, self.data["val"])
        return self.in_order(data, self.batch_size, num_workers=self.num_workers)


class CropSampler(ResumableSampler):
    """The keys of one process's crops of an epoch, without those already drawn."""

    def __iter__(self) -> Iterator[Key]:
        for index in super().__iter__():
            yield self.module.order_seed or 0, self.epoch, index


class RandomCrops(Dataset[CropBatch]):
    """Crops at random places of random photographs, flipped and turned at random, with fresh noise, each by its key."""

    def __init__(
        self, photos: list[Photo | StoredPhoto], crop: int, sigmas: tuple[float, ...], clip: bool, count: int
    ) -> None:
        self.photos, self.crop, self.sigmas, self.clip, self.count = photos, crop, sigmas, clip, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: Key | int) -> CropBatch:
        rng = np.random.default_rng(key)
        photo = self.photos[rng.integers(len(self.photos))]
        top, left = (rng.integers(edge - self.crop + 1) for edge in photo.shape[:2])
        clean = np.rot90(photo[top : top + self.crop, left : left + self.crop], int(rng.integers(4)))
        clean = clean[:, ::-1] if rng.integers(2) else clean
        return _pair(clean, float(rng.choice(self.sigmas)), rng, clip=self.clip)


class FixedCrops(Dataset[CropBatch]):
    """The crops of a regular grid over every photograph, at most nine each, at every noise level with a fixed seed."""

    def __init__(self, photos: list[Photo | StoredPhoto], crop: int, sigmas: tuple[float, ...], clip: bool) -> None:
        self.clip = clip
        self.items: list[tuple[Photo, float]] = []
        self.photo: list[int] = []  # of each item the number of its photograph
        for number, photo in enumerate(photos):
            tops, lefts = (np.unique(np.linspace(0, edge - crop, 3).astype(int)) for edge in photo.shape[:2])
            crops = [photo[top : top + crop, left : left + crop] for top in tops for left in lefts]
            self.items += [(piece, sigma) for piece in crops for sigma in sigmas]
            self.photo += [number] * (len(crops) * len(sigmas))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> CropBatch:
        clean, sigma = self.items[index]
        return _pair(clean, sigma, np.random.default_rng(index), clip=self.clip)


class WholeImages(Dataset[NamedImage]):
    """Photographs with their names, nothing added."""

    def __init__(self, photos: Mapping[str, Photo | StoredPhoto]) -> None:
        self.items = list(photos.items())

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> NamedImage:
        name, photo = self.items[index]
        return NamedImage(image=_signed(photo[:, :].astype(np.float32)), name=name)


def _pair(clean: Photo, sigma: float, rng: np.random.Generator, *, clip: bool) -> CropBatch:
    noisy = add_noise(clean, sigma, rng, clip=clip)
    return CropBatch(noisy=_signed(noisy), clean=_signed(clean.astype(np.float32)))


def _signed(image: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) / 127.5 - 1
