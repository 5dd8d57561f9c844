"""How dark a frame may be for its faces to be found: what `DARK` of `vidfer.results.frames` rests on.

    python benchmarks/dark_frames.py --photos data/faces_wild --count 60

Photographs are darkened until 95 % of their gray levels lie below a figure, with noise of sigma 0.5 before rounding, as a camera
has it; of the faces that are found in the photograph as it is, the share is counted that is found again.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from vidfer.media.face_stream import FaceSettings, brightness
from vidfer.stages.faces import detector

LEVELS = (96, 64, 48, 40, 32, 24, 20, 16, 12, 8)
LONG_SIDE = 720


def main() -> None:
    """Print the share for each level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    rng, settings, finder = np.random.default_rng(0), FaceSettings(), detector()

    def count(image: np.ndarray) -> int:
        found = finder.detect([image], long_side=settings.detect_side, min_face=settings.min_face)[0]
        return int((found.scores >= settings.min_score).sum())

    shares: list[list[float]] = []
    files = sorted(path for path in options.photos.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    for path in (files[int(place)] for place in rng.permutation(len(files))):
        found = cv2.imread(str(path))
        if found is None or min(found.shape[:2]) < 120 or len(shares) == options.count:
            continue
        scale = min(1.0, LONG_SIDE / max(found.shape))
        smaller = cv2.resize(found, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.ascontiguousarray(smaller[..., ::-1], np.uint8)
        bright = brightness(image)
        if bright < LEVELS[0] or not (all_faces := count(image)):
            continue
        dark = (image * (level / bright) + rng.normal(0, 0.5, image.shape) for level in LEVELS)
        shares.append([min(1.0, count(np.rint(each).clip(0, 255).astype(np.uint8)) / all_faces) for each in dark])
    print(f"{len(shares)} photographs")
    for level, share in zip(LEVELS, np.mean(shares, axis=0), strict=True):
        print(f"95 % of the gray levels below {level:3}: {share:.0%} of the faces")


if __name__ == "__main__":
    main()
