"""What the image model costs: CPU milliseconds a face on one thread, in batches of 32, from 8-bit pixels to logits.

    python benchmarks/image_cost.py                          # the shipped weights
    python benchmarks/image_cost.py --image-model FILE --repeat 50

With and without the mirror image take turns; figures are medians after a warm-up, of CPU time, not of time by the clock.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from vidfer.inference.models import ImageModel

_BATCH = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--repeat", type=int, default=30, help="rounds that count (default: 30)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = ImageModel(args.image_model)
    faces = np.random.default_rng(0).integers(0, 256, (_BATCH, 48, 48), np.uint8)
    seconds: dict[str, list[float]] = {"none": [], "flip": []}
    for number in range(-3, args.repeat):
        for tta, taken in seconds.items():
            start = time.process_time()
            model.of_gray(faces, tta=tta)
            if number >= 0:
                taken.append(time.process_time() - start)
    size = sum(tensor.numel() for tensor in model.weights.tensors().values())
    print(f"{args.image_model}: {size / 1e6:.2f} M numbers, {model.weights.path.stat().st_size / 1e6:.1f} MB")
    for tta, taken in seconds.items():
        print(
            f"--tta {tta}: {statistics.median(taken) / _BATCH * 1e3:.2f} ms a face (fastest {min(taken) / _BATCH * 1e3:.2f})"
        )


if __name__ == "__main__":
    main()
