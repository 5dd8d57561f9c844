"""`vidfer evaluate denoise`: measure a denoiser on clean photographs with added noise."""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.cli.options import device_name, require_device

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vidfer.datasets.photos import Photo, Photos

PROTOCOLS: Final = ("clipped", "unclipped")
"""Noise rounded and clipped to 8 bits, as in a video frame; and noise left as floating-point numbers, as in most papers."""

_Rows = dict[tuple[str, str, str], list[tuple[float, ...]]]
_SMALLEST = 16
_MEASURES = ("psnr", "ssim", "rmse")

_EPILOG = """
Noise is Gaussian and the same in every run: it depends on the image and the level alone. Figures are means over images, in
RGB at full size: PSNR in dB, SSIM (Wang et al. 2004), RMSE on 0-255. The references are told sigma; the denoiser is not.
"""


def add_kind(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the kind `denoise` of `vidfer evaluate`."""
    parser = kinds.add_parser("denoise", help="a denoiser on clean photographs with added noise", epilog=_EPILOG)
    parser.add_argument("--root", required=True, metavar="DIR", help="folder of photographs, or 'sample'")
    parser.add_argument(
        "--sigma",
        type=parse_sigmas,
        default=(15.0, 25.0, 50.0),
        metavar="S,S",
        help="standard deviations on 0-255 (default: 15,25,50)",
    )
    parser.add_argument("--weights", default="small", metavar="NAME|FILE", help="default: small, as shipped")
    parser.add_argument(
        "--against",
        type=parse_references,
        default=("noisy",),
        metavar="NAME,NAME",
        help="of noisy, bilateral, nlm, nlm_cv, bm3d (default: noisy; bm3d needs its own package)",
    )
    parser.add_argument(
        "--device", type=device_name, default="cpu", help="cpu, cuda or cuda:N, for the denoiser (default: cpu)"
    )
    parser.set_defaults(run=_run)


def parse_sigmas(text: str) -> tuple[float, ...]:
    """Parse a list of noise levels.

    Args:
        text: Numbers above 0 and up to 255, such as `15,25,50`.

    Returns:
        The levels, in their order.

    Raises:
        argparse.ArgumentTypeError: The text is no such list, or names a level twice.
    """
    try:
        sigmas = tuple(float(part) for part in text.split(","))
    except ValueError:
        sigmas = ()
    if not sigmas or not all(0 < sigma <= 255 for sigma in sigmas):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of noise levels above 0 and up to 255, such as 15,25,50")
    _require_each_once(text, [_label(sigma) for sigma in sigmas])
    return sigmas


def parse_references(text: str) -> tuple[str, ...]:
    """Parse a list of references.

    Args:
        text: Names, such as `noisy,nlm`.

    Returns:
        The names, in their order.

    Raises:
        argparse.ArgumentTypeError: A name is unknown, or stands there twice.
    """
    from vidfer.evaluation.reference_denoisers import REFERENCES

    names = tuple(text.split(","))
    for name in names:
        if name not in REFERENCES:
            raise argparse.ArgumentTypeError(f"no reference '{name}': there are {', '.join(REFERENCES)}")
    _require_each_once(text, names)
    return names


def evaluate_denoiser(
    root: str, sigmas: Sequence[float], weights: str | Path, against: Sequence[str] = (), *, device: str = "cpu"
) -> dict[str, Any]:
    """Measure a denoiser, and references beside it, on the photographs of a folder.

    Photographs left out, and gray ones, are named on the standard error stream, where a bar shows progress on a terminal.

    Args:
        root: A folder, or `sample` for the images of scikit-image; images of less than 16 px are left out.
        sigmas: Noise levels: standard deviations on 0-255.
        weights: Shipped name or weights file of the denoiser.
        against: References, see `vidfer.evaluation.reference_denoisers`.
        device: Where the denoiser computes.

    Returns:
        `n`; for each of `PROTOCOLS`, by level: `psnr` in dB, `ssim`, and `rmse` on 0-255, means over images;
        `references`: the same by name; `weights`; `cpu_seconds` of this process by method.

    Raises:
        UsageError: A reference is unknown, or torch cannot compute on the device.
        VidferError: There is nothing to read, there are no such weights, or a reference's package is missing.
    """
    from vidfer.datasets.photos import read_photos
    from vidfer.evaluation.reference_denoisers import find_reference

    ours = _denoiser(weights, device)
    methods = {**{name: find_reference(name) for name in against}, "": ours}  # a name that no reference can have
    photos, report = read_photos(root, smallest=_SMALLEST)
    for line in report.lines(examples=report.found):
        print(line, file=sys.stderr)
    rows: _Rows = defaultdict(list)
    seconds = dict.fromkeys(methods, 0.0)
    with _progress() as progress:
        bar = progress.add_task("", total=len(photos) * len(sigmas) * len(PROTOCOLS) * len(methods))
        for title, clean, sigma, protocol, noisy in _cases(photos, sigmas):
            for name, method in methods.items():
                progress.update(bar, description=f"{title} · sigma {_label(sigma)} · {name or weights}")
                start = time.process_time()
                image = method(noisy, sigma)
                seconds[name] += time.process_time() - start
                rows[name, protocol, _label(sigma)].append(_measure(image, clean))
                progress.advance(bar)
    tables = {name: _means(rows, name, sigmas) for name in methods}
    return {
        "n": len(photos),
        **tables.pop(""),
        "references": tables,
        "weights": str(weights),
        "cpu_seconds": {name or "denoiser": round(spent, 3) for name, spent in seconds.items()},
    }


def make_noisy(clean: "Photo", sigma: float, *, clip: bool) -> "npt.NDArray[np.number[Any]]":
    """Add the noise that belongs to an image and a level, whatever else is measured.

    Args:
        clean: uint8 `(H, W, 3)`.
        sigma: Standard deviation on 0-255.
        clip: Round and clip the sum to 8 bits; the noise is the same with and without.

    Returns:
        uint8 `(H, W, 3)`, or float32 where it is not clipped.
    """
    from hashlib import sha256

    import numpy as np

    from vidfer.datasets.photos import add_noise

    digest = sha256(f"{clean.shape} {_label(sigma)}".encode() + np.ascontiguousarray(clean).tobytes()).digest()
    noisy = add_noise(clean, sigma, np.random.default_rng(int.from_bytes(digest)), clip=clip)
    return noisy.astype(np.uint8) if clip else noisy


def _cases(photos: "Photos", sigmas: Sequence[float]) -> Iterator[tuple[str, "Photo", float, str, Any]]:
    for title, photo in photos.items():
        clean = photo[:, :]
        for sigma in sigmas:
            for protocol in PROTOCOLS:
                yield title, clean, sigma, protocol, make_noisy(clean, sigma, clip=protocol == "clipped")


def _denoiser(weights: str | Path, device: str) -> Callable[[Any, float], Any]:
    from vidfer.inference.denoiser import Denoiser

    require_device(device)
    denoiser = Denoiser(weights, device=device)
    return lambda noisy, _: denoiser(noisy[None])[0]


def _measure(image: Any, clean: Any) -> tuple[float, ...]:  # noqa: ANN401 - arrays, which nothing here may import at once
    from vidfer.metrics.image import psnr, rmse, ssim

    return psnr(image, clean), ssim(image, clean), rmse(image, clean)


def _means(rows: _Rows, name: str, sigmas: Sequence[float]) -> dict[str, Any]:
    return {
        protocol: {
            level: {
                measure: round(sum(values) / len(values), 4)
                for measure, values in zip(_MEASURES, zip(*rows[name, protocol, level], strict=True), strict=True)
            }
            for level in map(_label, sigmas)
        }
        for protocol in PROTOCOLS
    }


def _progress() -> Any:  # noqa: ANN401 - rich's Progress, imported only here
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _run(args: argparse.Namespace) -> int:
    found = evaluate_denoiser(args.root, args.sigma, args.weights, args.against, device=args.device)
    ours = Path(args.weights).stem
    count = f"{found['n']} image" + ("s" if found["n"] > 1 else "")
    print(f"{ours} on {Path(args.root).resolve().name}: {count}, RGB at full size, means over images")
    if set(args.against) - {"noisy"}:
        print(f"PSNR in dB, RMSE on 0-255. The references are told sigma; {ours} is not.")
    else:
        print("PSNR in dB, RMSE on 0-255")
    for line in _table(found, ours):
        print(line)
    print(json.dumps(found))
    return 0


def _table(found: dict[str, Any], ours: str) -> list[str]:
    methods = {**found["references"], "": {protocol: found[protocol] for protocol in PROTOCOLS}}
    width = max(len(name or ours) for name in (*methods, "method"))
    lines = [
        f"{'':5}  {'':{width}}  {'noise in 8 bits (clipped)':^25}  {'noise in floats (unclipped)':^25}".rstrip(),
        f"sigma  {'method':{width}}" + f"  {'PSNR':>7} {'SSIM':>8} {'RMSE':>8}" * 2,
    ]
    for level in found["clipped"]:
        for index, (name, table) in enumerate(methods.items()):
            cells = "".join(
                f"  {table[protocol][level]['psnr']:7.2f} {table[protocol][level]['ssim']:8.4f} "
                f"{table[protocol][level]['rmse']:8.2f}"
                for protocol in PROTOCOLS
            )
            lines.append(f"{'' if index else level:>5}  {name or ours:{width}}{cells}")
    return lines


def _label(sigma: float) -> str:
    return f"{sigma:g}"


def _require_each_once(text: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"'{text}' names something twice")
