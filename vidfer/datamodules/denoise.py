"""Noisy and clean crops of photographs."""

from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidfer.datasets.batches import CropBatch
from vidfer.datasets.photos import Photo, add_noise, read_photos
from vidfer.datasets.report import PreparationReport


class DenoiseDataModule(lightning.LightningDataModule):
    """Random crops with fresh noise to train on; fixed crops with fixed noise of held-out photographs to validate on.

    Args:
        root: Folder of photographs, or `sample` for those of scikit-image.
        val_share: Share of the photographs held out, at least one.
        test_root: Folder of photographs to test on; the held-out ones if not given.
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
        self.save_hyperparameters(logger=False)
        self.root = root
        self.val_share = val_share
        self.test_root = test_root
        self.crop = crop
        self.sigmas = tuple(sigmas or (15.0, 25.0, 50.0))
        self.clip_noise = clip_noise
        self.crops_per_epoch = crops_per_epoch
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.data: dict[str, Dataset[CropBatch]] = {}

    def setup(self, stage: str) -> None:
        """Read the photographs that a stage needs and print what was dropped.

        Args:
            stage: `fit`, `validate`, `test` or `predict`.
        """
        if not self.data:
            photos, self.report = self._read(self.root)
            held_out = max(1, round(self.val_share * len(photos)))
            self.data["train"] = RandomCrops(
                photos[:-held_out] or photos, self.crop, self.sigmas, self.clip_noise, self.crops_per_epoch
            )
            self.data["val"] = FixedCrops(photos[-held_out:], self.crop, self.sigmas, self.clip_noise)
        if stage == "test":
            test = self._read(self.test_root)[0] if self.test_root else None
            self.data["test"] = FixedCrops(test, self.crop, self.sigmas, self.clip_noise) if test else self.data["val"]

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data and its preprocessing."""
        return {
            "preprocessing": {"range": [-1, 1], "clip_noise": self.clip_noise, "sigmas": list(self.sigmas)},
            "data": {"source": self.report.source, "found": self.report.found, "kept": self.report.kept},
            "licence": "Weights: Apache-2.0; the photographs keep their own terms.",
        }

    def train_dataloader(self) -> DataLoader[CropBatch]:
        """Return random crops."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[CropBatch]:
        """Return fixed crops of held-out photographs."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[CropBatch]:
        """Return fixed crops of the test photographs."""
        return self._loader("test")

    def _read(self, root: str) -> tuple[list[Photo], PreparationReport]:
        photos, report = read_photos(root, smallest=self.crop)
        for line in report.lines():
            rank_zero_info(line)
        return list(photos.values()), report

    def _loader(self, split: str) -> DataLoader[CropBatch]:
        return DataLoader(self.data[split], self.batch_size, num_workers=self.num_workers)


class RandomCrops(Dataset[CropBatch]):
    """Crops at random places, flipped and turned at random, with fresh noise.

    The randomness is torch's, so that Lightning's seeds reach it in every worker and a new epoch draws new crops.

    Args:
        photos: Photographs, uint8 `(H, W, 3)`.
        crop: Edge of a crop in px.
        sigmas: Noise levels to draw from.
        clip: Round and clip noisy crops to 8 bits.
        count: Crops an epoch.
    """

    def __init__(self, photos: list[Photo], crop: int, sigmas: tuple[float, ...], clip: bool, count: int) -> None:
        self.photos = photos
        self.crop = crop
        self.sigmas = sigmas
        self.clip = clip
        self.count = count

    def __len__(self) -> int:
        """Return the crops of an epoch."""
        return self.count

    def __getitem__(self, index: int) -> CropBatch:
        """Draw a crop; the index does not matter."""
        rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        photo = self.photos[rng.integers(len(self.photos))]
        top, left = (rng.integers(edge - self.crop + 1) for edge in photo.shape[:2])
        clean = np.rot90(photo[top : top + self.crop, left : left + self.crop], int(rng.integers(4)))
        clean = clean[:, ::-1] if rng.integers(2) else clean
        return _pair(clean, float(rng.choice(self.sigmas)), rng, clip=self.clip)


class FixedCrops(Dataset[CropBatch]):
    """The crops of a regular grid over every photograph, at most nine each, at every noise level with a fixed seed.

    Args:
        photos: Photographs, uint8 `(H, W, 3)`.
        crop: Edge of a crop in px.
        sigmas: Noise levels.
        clip: Round and clip noisy crops to 8 bits.
    """

    def __init__(self, photos: list[Photo], crop: int, sigmas: tuple[float, ...], clip: bool) -> None:
        self.clip = clip
        self.items: list[tuple[Photo, float]] = []
        for photo in photos:
            tops, lefts = (np.unique(np.linspace(0, edge - crop, 3).astype(int)) for edge in photo.shape[:2])
            crops = [photo[top : top + crop, left : left + crop] for top in tops for left in lefts]
            self.items += [(piece, sigma) for piece in crops for sigma in sigmas]

    def __len__(self) -> int:
        """Return the number of crops and noise levels."""
        return len(self.items)

    def __getitem__(self, index: int) -> CropBatch:
        """Return one crop with its own, always equal, noise."""
        clean, sigma = self.items[index]
        return _pair(clean, sigma, np.random.default_rng(index), clip=self.clip)


def _pair(clean: Photo, sigma: float, rng: np.random.Generator, *, clip: bool) -> CropBatch:
    noisy = add_noise(clean, sigma, rng, clip=clip)
    return CropBatch(noisy=_signed(noisy), clean=_signed(clean.astype(np.float32)))


def _signed(image: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) / 127.5 - 1
