"""One cell of the paper's table of denoisers: a family, a number of training images, a seed."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from vidfer.datamodules.denoise import RandomCrops
from vidfer.metrics.image import Pixels, psnr, rmse
from vidfer.paper.denoiser_fit import DenoiserFit
from vidfer.paper.denoiser_photos import SIGMAS, TestImage, load_material
from vidfer.paper.denoisers.build import build_denoiser
from vidfer.types import VidferError

VERSION: Final = 1
"""Bumped by hand when the same cell would give other figures."""

STEPS: Final = 150
"""Steps of a training: a cell then takes 5 to 9 s of one core."""
BATCH_SIZE: Final = 8
"""Crops a step."""
CROP: Final = 32
"""Edge of a training crop in px."""

ABOUT: Final = {
    "cnn": "plain CNN with batch norm",
    "rcnn": "recursive residual CNN with shared weights",
    "lstm": "convolutional LSTM over steps of refinement",
    "dbn": "auto-encoder of patches, pre-trained as a restricted Boltzmann machine",
    "rnn": "convolutional Elman network over steps of refinement",
    "gan": "densely connected generator, at the end against a critic",
}
"""What each family is here; the paper does not say."""


def run_denoiser_cell(
    family: str,
    size: int,
    seed: int,
    *,
    root: str | Path,
    test_roots: Sequence[str | Path] | None = None,
    steps: int = STEPS,
    optimizer: str = "adam",
    lr: float = 2e-3,
    momentum: float = 0.9,
) -> dict[str, Any]:
    """Train a denoiser on so many images and test it on others, by one thread of the processor.

    Every family gets the same crops, noise, number of steps, optimiser and schedule, whatever the number of images.

    Args:
        family: One of `ABOUT`.
        size: Number of training images.
        seed: Which images and crops, and the training's chance.
        root: Folder of training photographs, or `sample`, see `load_material`.
        test_roots: Folders of test photographs; `set5` and `set14` beside `root` if not given.
        steps: Steps in all, see `DenoiserFit`.
        optimizer: See `vidfer.tasks.optimizers`. The paper's `sgdma` needs another rate for each family, and is behind at all.
        lr: Peak learning rate.
        momentum: Momentum of `sgdma`.

    Returns:
        `psnr`, the mean over test images and noise levels in dB, `psnr_by_sigma` and `psnr_noisy`, of the images before;
        `rmse` over all pixels, on 0-255; `per_image`, both for each; `seconds` of CPU for denoising all test images; `n_test`,
        `params`, `steps`, and `data`, which names the data.

    Raises:
        NotEnoughImagesError: There are fewer training photographs.
        VidferError: A photograph is trained and tested on, an option is unknown, or the training diverged.
    """
    material = load_material(str(root), None if test_roots is None else tuple(str(each) for each in test_roots))
    crops = RandomCrops(material.draw(size, seed), CROP, SIGMAS, True, steps * BATCH_SIZE)
    with _alone(seed):
        network = build_denoiser(family)
        DenoiserFit(
            network, crops, steps=steps, batch_size=BATCH_SIZE, seed=seed, adversarial=family == "gan",
            optimizer=optimizer, lr=lr, momentum=momentum,
        ).run()  # fmt: skip
        figures = _test(network, material.test)
    params = sum(weight.numel() for weight in network.parameters())
    return figures | {"params": params, "steps": steps, "data": material.text}


def _test(network: nn.Module, images: tuple[TestImage, ...]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    for image in images:
        restored, spent = _denoise(network, image)
        seconds += spent
        figures = {"psnr": psnr(restored, image.clean), "rmse": rmse(restored, image.clean)}
        rows.append({"name": image.name, "sigma": image.sigma, **figures})
    ratios, sigmas = np.array([row["psnr"] for row in rows]), np.array([row["sigma"] for row in rows])
    return {
        "psnr": float(ratios.mean()),
        "psnr_noisy": float(np.mean([psnr(image.noisy, image.clean) for image in images])),
        "psnr_by_sigma": {f"{sigma:g}": float(ratios[sigmas == sigma].mean()) for sigma in SIGMAS},
        "rmse": float(np.sqrt(np.mean([row["rmse"] ** 2 for row in rows]))),
        "per_image": rows,
        "seconds": seconds,
        "n_test": len(rows),
    }


def _denoise(network: nn.Module, image: TestImage) -> tuple[Pixels, float]:
    """Denoise an image: 8-bit values, and the CPU time of the network."""
    signed = torch.from_numpy(np.ascontiguousarray(image.noisy.transpose(2, 0, 1)))[None] / 127.5 - 1
    start = time.process_time()
    with torch.inference_mode():
        restored = network(signed.contiguous(memory_format=torch.channels_last))[0]
    spent = time.process_time() - start
    if not restored.isfinite().all():
        raise VidferError("the training diverged: take a smaller learning rate")
    return restored.add(1).mul(127.5).round().clamp(0, 255).permute(1, 2, 0).numpy(), spent


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Compute by one thread, from this seed, and leave torch as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
