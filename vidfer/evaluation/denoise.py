"""PSNR, SSIM and RMSE of a denoiser, and of references beside it, on clean photographs with added noise.

The references need no training, and are given the true sigma. Their settings come from the literature and hold for every sigma.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.photos import Photo, Photos, add_noise, read_photos
from vidfer.evaluation import Notify, Progress
from vidfer.metrics.image import Pixels, psnr, rmse, ssim
from vidfer.types import UsageError, VidferError

Method = Callable[[Pixels, float], Pixels]
"""A function of noisy pixels, uint8 or float `(H, W, 3)`, and sigma on 0-255 that returns uint8."""

PROTOCOLS: Final = ("clipped", "unclipped")
"""Noise rounded and clipped to 8 bits, as in a video frame; and noise left as floating-point numbers, as in most papers."""

_MEASURES: Final = {"psnr": psnr, "ssim": ssim, "rmse": rmse}
_NO_BM3D = (
    "the reference 'bm3d' needs the package bm3d, which cannot be loaded ({error}). Its licence allows non-commercial use "
    "only, so it is no part of vidfer: install it yourself (pip install bm3d), or leave it out of --against"
)


@dataclass(frozen=True)
class DenoiseOptions:
    """A denoiser on clean photographs with added noise.

    Noise is Gaussian and the same in every run: it depends on the image and the level alone. Figures are means over images, in
    RGB at full size: PSNR in dB, SSIM (Wang et al. 2004), RMSE on 0-255. The references are given sigma; the denoiser is not.

    Args:
        root: Folder of photographs, or sample for those of scikit-image.
        sigma: Standard deviations of the noise on 0-255.
        weights: Weights of the denoiser by name, or a file.
        against: References, of noisy, bilateral, nlm, nlm_cv, bm3d (bm3d needs its own package).
        device: cpu, cuda or cuda:N, for the denoiser.
    """

    root: str
    sigma: tuple[float, ...] = (15, 25, 50)
    weights: str = "small"
    against: tuple[str, ...] = ("noisy",)
    device: str = "cpu"


def evaluate_denoise(
    options: DenoiseOptions, notify: Notify = lambda _: None, progress: Progress = lambda done, total, what: None
) -> dict[str, Any]:
    """Measure a denoiser, and references beside it, on the photographs of a folder that have 16 px or more.

    `notify` is called with a line about each photograph that is left out or gray. Returns `on` and `n`; for each of
    `PROTOCOLS`, by level, the means of `psnr` in dB, `ssim`, and `rmse` on 0-255; `references`: the same by name; `weights`;
    `cpu_seconds` of this process by method.
    """
    from vidfer.inference.denoiser import Denoiser
    from vidfer.inference.network import Compute

    levels = [f"{sigma:g}" for sigma in options.sigma]
    if not levels or not all(0 < sigma <= 255 for sigma in options.sigma):
        raise UsageError(f"--sigma {','.join(levels)}: noise levels are above 0 and up to 255, such as 15,25,50")
    methods = {name: find_reference(name) for name in options.against}
    denoiser = Denoiser(options.weights, compute=Compute(options.device))
    methods[""] = lambda noisy, _: denoiser(noisy[None])[0]  # a name that no reference has
    photos, report = read_photos(options.root, smallest=16)
    for line in report.lines(examples=report.found):
        notify(line)
    figures: dict[tuple[str, str, str], list[list[float]]] = defaultdict(list)
    seconds = dict.fromkeys(methods, 0.0)
    done, total = 0, len(photos) * len(levels) * len(PROTOCOLS) * len(methods)
    for title, clean, sigma, protocol, noisy in _cases(photos, options.sigma):
        for name, method in methods.items():
            progress(done, total, f"{title} · sigma {sigma:g} · {name or options.weights}")
            start = time.process_time()
            image = method(noisy, sigma)
            seconds[name] += time.process_time() - start
            figures[name, protocol, f"{sigma:g}"].append([measure(image, clean) for measure in _MEASURES.values()])
            done += 1
    tables: dict[str, dict[str, Any]] = {name: {protocol: {} for protocol in PROTOCOLS} for name in methods}
    for (name, protocol, level), rows in figures.items():
        means = np.mean(rows, axis=0).round(4).tolist()
        tables[name][protocol][level] = dict(zip(_MEASURES, means, strict=True))
    return {
        "n": len(photos),
        **tables.pop(""),
        "references": tables,
        "weights": options.weights,
        "cpu_seconds": {name or "denoiser": round(spent, 3) for name, spent in seconds.items()},
        "on": Path(options.root).resolve().name,
    }


def denoise_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `evaluate_denoise` returned, at most 80 columns wide for short names."""
    ours = Path(found["weights"]).stem
    methods = {**found["references"], "": {protocol: found[protocol] for protocol in PROTOCOLS}}
    width = max(len(name or ours) for name in (*methods, "method"))
    note = f". The references are given sigma; {ours} is not." if set(found["references"]) - {"noisy"} else ""
    count = f"{found['n']} image" + ("s" if found["n"] > 1 else "")
    lines = [
        f"{ours} on {found['on']}: {count}, RGB at full size, means over images",
        f"PSNR in dB, RMSE on 0-255{note}",
        f"{'':5}  {'':{width}}  {'noise in 8 bits (clipped)':^25}  {'noise in floats (unclipped)':^25}".rstrip(),
        f"sigma  {'method':{width}}" + f"  {'PSNR':>7} {'SSIM':>8} {'RMSE':>8}" * 2,
    ]
    for level in found["clipped"]:
        for index, (name, table) in enumerate(methods.items()):
            cells = [table[protocol][level] for protocol in PROTOCOLS]
            row = "".join(f"  {each['psnr']:7.2f} {each['ssim']:8.4f} {each['rmse']:8.2f}" for each in cells)
            lines.append(f"{'' if index else level:>5}  {name or ours:{width}}{row}")
    return lines


def make_noisy(clean: Photo, sigma: float, *, clip: bool) -> Pixels:
    """Add the noise that belongs to an image, uint8 `(H, W, 3)`, and a sigma on 0-255: uint8 with `clip`, else float32."""
    digest = sha256(f"{clean.shape} {sigma:g}".encode() + np.ascontiguousarray(clean).tobytes()).digest()
    noisy = add_noise(clean, sigma, np.random.default_rng(int.from_bytes(digest)), clip=clip)
    return noisy.astype(np.uint8) if clip else noisy


def find_reference(name: str) -> Method:
    """Find a reference by name: raise `UsageError` if there is none, `VidferError` if its package is missing."""
    if name not in REFERENCES:
        raise UsageError(f"no reference '{name}': there are {', '.join(REFERENCES)}")
    if name == "bm3d":
        try:
            import_module(name)
        except ImportError as error:
            raise VidferError(_NO_BM3D.format(error=error)) from error
    return REFERENCES[name]


def _cases(photos: Photos, sigmas: Sequence[float]) -> Iterator[tuple[str, Photo, float, str, Pixels]]:
    for title, photo in photos.items():
        clean = photo[:, :]
        for sigma, protocol in product(sigmas, PROTOCOLS):
            yield title, clean, sigma, protocol, make_noisy(clean, sigma, clip=protocol == "clipped")


def _bilateral(noisy: Pixels, sigma: float) -> Pixels:
    """Zhang, Gunturk: Multiresolution bilateral filtering for image denoising, IEEE TIP 17(12), 2008, section II.

    The spatial spread is 1.8 px, the range 2 sigma, times 3 because OpenCV adds up the differences of the three colours.
    """
    import cv2

    return _eight_bits(cv2.bilateralFilter(noisy.astype(np.float32), -1, 3 * 2 * sigma, 1.8))


def _nlm(noisy: Pixels, sigma: float) -> Pixels:
    """Non-local means (Buades, Coll, Morel, CVPR 2005; Darbon et al., ISBI 2008), with the settings of scikit-image's example."""
    from skimage.restoration import denoise_nl_means

    unit, strength = noisy.astype(np.float32) / 255, sigma / 255
    smooth = denoise_nl_means(unit, 5, 6, h=0.6 * strength, sigma=strength, fast_mode=True, channel_axis=-1)
    return _eight_bits(smooth * 255)


def _nlm_cv(noisy: Pixels, sigma: float) -> Pixels:
    """OpenCV's non-local means in 8 bits, on lightness and colour of Lab separately, h = 0.72 sigma for both."""
    import cv2

    bgr = np.ascontiguousarray(_eight_bits(noisy)[..., ::-1])
    strength = 0.72 * sigma
    smooth = cv2.fastNlMeansDenoisingColored(bgr, None, strength, strength, 7, 21)
    return np.ascontiguousarray(smooth[..., ::-1])


def _bm3d(noisy: Pixels, sigma: float) -> Pixels:
    """The authors' program: Dabov et al., IEEE TIP 16(8), 2007; Mäkinen, Azzari, Foi, IEEE TIP 29, 2020."""
    from bm3d import bm3d_rgb

    return _eight_bits(bm3d_rgb(noisy.astype(np.float64) / 255, sigma / 255) * 255)


def _eight_bits(image: Pixels) -> npt.NDArray[np.uint8]:
    return np.rint(image).clip(0, 255).astype(np.uint8)


REFERENCES: Final[dict[str, Method]] = {
    "noisy": lambda noisy, _: noisy,
    "bilateral": _bilateral,
    "nlm": _nlm,
    "nlm_cv": _nlm_cv,
    "bm3d": _bm3d,
}
