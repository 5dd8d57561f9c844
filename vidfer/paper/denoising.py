"""Cells of the paper's table of denoisers: photographs, a short training by `DenoiseTask`, and its test."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from vidfer.datamodules.denoise import RandomCrops
from vidfer.datasets.photos import SAMPLE, Photo, Photos, StoredPhoto, read_photos
from vidfer.evaluation.denoise import make_noisy
from vidfer.inference.torch_networks import one_thread
from vidfer.metrics.image import psnr, rmse
from vidfer.paper.cells import Experiment
from vidfer.paper.denoisers import CROP, DENOISERS, PatchDenoiser, denoise_task
from vidfer.pipeline.digest import recipe_key
from vidfer.tasks.denoise import DenoiseTask
from vidfer.tasks.fit import train_here
from vidfer.types import VidferError

VERSION: Final = 2  # bumped by hand when the same cell would give other metrics
STEPS: Final = 150  # of a cell's training, whatever the network and the number of images
SIGMAS: Final = (15.0, 25.0, 50.0)  # noise levels on 0-255, unknown to the networks
_BATCH: Final = 8
_PRETRAIN_SHARE: Final = 0.2  # of the DBN's steps
_TILE: Final = 64  # px; training photographs have to be at least this large
_TEST_CROP: Final = 128  # px of the middle of a test photograph: whole ones would take minutes a cell


@dataclass(frozen=True)
class Photographs:
    """What all cells share: `train` in an order that the pixels decide, and `test`, crops of 128x128 px by name.

    `digest` is of all pixels of both, whatever the names.
    """

    train: tuple[Photo | StoredPhoto, ...]
    test: Mapping[str, Photo]
    source: str
    digest: str

    def draw(self, size: int, seed: int) -> list[Photo | StoredPhoto]:
        """Draw training photographs; a larger draw with the same seed contains the smaller one."""
        if size > len(self.train):
            raise VidferError(f"not enough images: {len(self.train)}, where {size} are wanted")
        order = np.random.default_rng(seed).permutation(len(self.train))
        return [self.train[index] for index in order[:size]]


@lru_cache(maxsize=2)
def load_photographs(root: str) -> Photographs:
    """Read the photographs in folder `root`, once in a process; those to test on lie in `set5` and `set14` beside it.

    `sample` stands for tiles of scikit-image's photographs, of which the last is tested on.

    Raises:
        VidferError: A folder is missing or empty, or a photograph is in both parts.
    """
    test: Photos = {}
    if root == "sample":
        photos, _ = read_photos("sample")
        train = _cut({name: photos[name] for name in SAMPLE[:-1]}, _TILE)
        test = _cut({SAMPLE[-1]: photos[SAMPLE[-1]]}, _TEST_CROP)
        source = f"tiles of {_TILE} px of scikit-image's {', '.join(SAMPLE[:-1])}"
        tested = f"{len(test)} tiles of {_TEST_CROP} px of its {SAMPLE[-1]}"
    else:
        train, report = read_photos(root, smallest=_TILE)
        for folder in ("set5", "set14"):
            found, _ = read_photos(str(Path(root).parent / folder), smallest=_TEST_CROP)
            test |= {f"{folder}/{name}": photo for name, photo in found.items()}
        source, tested = report.source, f"the middle {_TEST_CROP} px of {len(test)} images of set5 and set14"
    trained_on, tested_on = (sorted((_digest(photo), name) for name, photo in part.items()) for part in (train, test))
    known = dict(trained_on)
    if leaks := [f"{known[each]} is {name}" for each, name in tested_on if each in known]:
        raise VidferError(
            f"photographs to test on are also trained on ({'; '.join(leaks[:5])}): take them out of one of the folders"
        )
    levels = ", ".join(f"{sigma:g}" for sigma in SIGMAS)
    noise = f"noise of sigma {levels}, unknown to the network, rounded and clipped to 8 bits"
    return Photographs(
        train=tuple(train[name] for _, name in trained_on),
        test={name: _middle(test[name]) for _, name in tested_on},
        source=f"trained on {source}, tested on {tested}; {noise}",
        digest=recipe_key({"train": [each for each, _ in trained_on], "test": [each for each, _ in tested_on]}),
    )


def denoiser_experiment(root: str, steps: int = STEPS) -> Experiment:
    """Prepare the cells of denoisers, of `steps` training steps each; `root` as in `load_photographs`."""
    photographs = load_photographs(root)
    return Experiment(
        compute=partial(run_denoiser_cell, root=root, steps=steps),
        version=VERSION,
        data=photographs.digest,
        settings={model: {"steps": steps} for model in DENOISERS},
        limit=len(photographs.train),
        source=photographs.source,
        about=DENOISERS,
    )


def run_denoiser_cell(
    model: str, size: int, seed: int, *, root: str, steps: int = STEPS, optimizer: str = "adam", lr: float = 2e-3
) -> dict[str, Any]:
    """Train one of `DENOISERS` on so many photographs and test it on others, on one thread of the CPU.

    Every model gets the same crops, noise, number of steps (of eight crops of 32x32 px each), optimiser and schedule; see
    `load_photographs` and `denoise_task`. `psnr`, `psnr_by_sigma`, and `psnr_noisy` of the noisy images are means over test
    images and noise levels, in dB; `rmse` is over all pixels, on 0-255; `per_image` has all for each; `seconds` are of CPU for
    denoising all test images.

    Raises:
        VidferError: There are fewer photographs, or the training diverged.
    """
    photographs = load_photographs(root)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        task = denoise_task(model, optimizer=optimizer, lr=lr)
        _train(task, photographs.draw(size, seed), seed=seed, steps=steps)
        network = task.generator.eval()
        rows = [_test(network, name, clean, sigma) for name, clean in photographs.test.items() for sigma in SIGMAS]
    by_sigma = {f"{sigma:g}": [row["psnr"] for row in rows if row["sigma"] == sigma] for sigma in SIGMAS}
    return {
        "psnr": float(np.mean([row["psnr"] for row in rows])),
        "psnr_noisy": float(np.mean([row["psnr_noisy"] for row in rows])),
        "psnr_by_sigma": {sigma: float(np.mean(values)) for sigma, values in by_sigma.items()},
        "rmse": float(np.sqrt(np.mean([row["rmse"] ** 2 for row in rows]))),
        "per_image": rows,
        "seconds": sum(row["seconds"] for row in rows),
        "n_test": len(rows),
        "params": sum(weight.numel() for weight in network.parameters()),
        "steps": steps,
        "data": photographs.source,
    }


def _train(task: DenoiseTask, photos: list[Photo | StoredPhoto], *, seed: int, steps: int) -> None:
    """Train on one batch of crops a step; a DBN spends its first steps on contrastive divergence."""
    crops = RandomCrops(photos, CROP, SIGMAS, True, steps * _BATCH)
    keys = [(seed, 0, index) for index in range(len(crops))]
    network = task.generator
    if isinstance(network, PatchDenoiser) and (first := round(_PRETRAIN_SHARE * steps)):
        network.pretrain(torch.stack([crops[key]["clean"] for key in keys[: first * _BATCH]]), first, seed=seed)
        keys = keys[first * _BATCH :]
    train_here(task, DataLoader(crops, _BATCH, sampler=keys))


def _test(network: nn.Module, name: str, clean: Photo, sigma: float) -> dict[str, Any]:
    noisy = make_noisy(clean, sigma, clip=True)
    signed = torch.from_numpy(np.ascontiguousarray(noisy.transpose(2, 0, 1), np.float32))[None] / 127.5 - 1
    start = time.process_time()
    with torch.inference_mode():
        denoised = network(signed.contiguous(memory_format=torch.channels_last))[0]
    seconds = time.process_time() - start
    if not denoised.isfinite().all():
        raise VidferError("the training diverged: take a smaller learning rate")
    image = denoised.add(1).mul(127.5).round().clamp(0, 255).permute(1, 2, 0).numpy()
    scores = {"psnr": psnr(image, clean), "psnr_noisy": psnr(noisy, clean), "rmse": rmse(image, clean)}
    return {"name": name, "sigma": sigma, **scores, "seconds": seconds}


def _cut(photos: Photos, edge: int) -> Photos:
    return {
        f"{name} {top},{left}": photo[top : top + edge, left : left + edge]
        for name, photo in photos.items()
        for top, left in product(*(range(0, length - edge + 1, edge) for length in photo.shape[:2]))
    }


def _middle(photo: Photo | StoredPhoto) -> Photo:
    top, left = ((edge - _TEST_CROP) // 2 for edge in photo.shape[:2])
    return photo[top : top + _TEST_CROP, left : left + _TEST_CROP]


def _digest(photo: Photo | StoredPhoto) -> str:
    pixels = np.ascontiguousarray(photo[:, :])
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
