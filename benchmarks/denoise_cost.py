"""What the denoiser costs: CPU seconds on one thread, plain PyTorch against `Denoiser` by both backends.

    python benchmarks/denoise_cost.py                        # the shipped weights
    python benchmarks/denoise_cost.py --weights FILE --repeat 50

Backends take turns, so that a busy machine disturbs all alike; figures are medians after a warm-up, of CPU time, not of
time by the clock. Arrays of 8-bit pixels go in and come out, so that conversions count.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Backend = Callable[[Images], Images]

SIZES = {"one crop, 160x160": (160, 160), "one frame, 640x480": (480, 640)}


def eager(weights: str) -> "Backend":
    """Build the generator as PyTorch runs it by default: channels first, the whole image in one piece."""
    import numpy as np
    import torch

    from vidfer.models.generator import Generator
    from vidfer.weights.files import find_weights

    found = find_weights("denoise", weights)
    network = Generator(**found.card["arguments"]).eval()
    found.load_into(network)

    @torch.inference_mode()
    def denoise(images: "Images") -> "Images":
        signed = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().div(127.5).sub(1)
        restored = network(signed).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(restored.permute(0, 2, 3, 1).numpy())

    return denoise


def measure(backends: "dict[str, Backend]", images: "Images", repeat: int) -> dict[str, list[float]]:
    """Time backends in turns.

    Args:
        backends: What to time, by name.
        images: uint8 `(N, H, W, 3)`.
        repeat: Rounds that count; three more come first.

    Returns:
        CPU seconds of each round, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in backends}
    for number in range(-3, repeat):
        for name, backend in backends.items():
            start = time.process_time()
            backend(images)
            if number >= 0:
                seconds[name].append(time.process_time() - start)
    return seconds


def frame(height: int, width: int) -> "Images":
    """Cut a noisy frame out of scikit-image's astronaut, uint8 `(1, height, width, 3)`."""
    import numpy as np

    from vidfer.datasets.photos import add_noise, read_sample

    photo = np.tile(read_sample("astronaut"), (1, 2, 1))[:height, :width]
    return add_noise(photo, 25.0, np.random.default_rng(0)).astype(np.uint8)[None]


def main(weights: str, repeat: int) -> None:
    """Print costs and differences for a crop and for a frame."""
    import numpy as np
    import torch

    from vidfer.inference.denoiser import Denoiser
    from vidfer.inference.network import Compute

    torch.set_num_threads(1)
    backends: dict[str, Any] = {
        "eager": eager(weights),
        "torch": Denoiser(weights, compute=Compute(backend="torch")),
        "onnx": Denoiser(weights, compute=Compute(backend="onnx")),
    }
    for title, (height, width) in SIZES.items():
        images = frame(height, width)
        results = {name: backend(images).astype(int) for name, backend in backends.items()}
        seconds = measure(backends, images, repeat)
        print(title)
        for name, spent in seconds.items():
            print(f"  {name:<5} {statistics.median(spent):.4f} CPU-s (fastest {min(spent):.4f}, {repeat} rounds)")
        apart = np.abs(results["eager"] - results["onnx"])
        print(f"  largest difference {apart.max()}/255, in {(apart > 0).mean():.2%} of all values", flush=True)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="small", metavar="NAME|FILE", help="default: small, as shipped")
    parser.add_argument("--repeat", type=int, default=20, metavar="N", help="rounds that count (default: 20)")
    options = parser.parse_args()
    main(options.weights, options.repeat)
