"""Measure where the five facial landmarks lie in FER2013's frames: the figures behind `vidfer.media.align.TEMPLATE`.

Usage: python benchmarks/fer2013_template.py ROOT [IMAGES_PER_CLASS], with ROOT as `configs/data/fer2013.yaml` takes it
"""

import sys
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray

from vidfer.datasets.fer2013 import read_images
from vidfer.types import EMOTIONS

SIZE: Final = 192
PAD: Final = 48
NAMES: Final = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


def landmarks(mtcnn: MTCNN, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return the surest face's landmarks `(5, 2)` in units of the frame's side, or None without a sure face."""
    large = cv2.resize(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
    boxes, scores, points = mtcnn.detect(large, landmarks=True)
    if boxes is None or max(scores) < 0.95:
        return None
    best = np.asarray(points[int(np.argmax(scores))], np.float64)
    return (best - PAD + 0.5) / SIZE


def main(root: Path, per_class: int) -> None:
    """Print means, medians and spreads over images evenly spaced through those of each class."""
    torch.set_num_threads(1)
    mtcnn = MTCNN(keep_all=True, min_face_size=80)
    found, tried = [], 0
    images = read_images(root, "train")
    for label, name in enumerate(EMOTIONS):
        of_class = images.image[images.target == label]
        chosen = of_class[np.linspace(0, len(of_class) - 1, min(per_class, len(of_class))).astype(int)]
        faces = [points for points in (landmarks(mtcnn, image) for image in chosen) if points is not None]
        print(f"{name:10} {len(faces)} of {len(chosen)}  mean {np.mean(faces, axis=0).round(3).tolist()}")
        found += faces
        tried += len(chosen)
    points = np.array(found)
    print(f"{len(points)} faces in {tried} images; side = 1, origin at the frame's upper left corner")
    for name, mean, median, spread in zip(NAMES, points.mean(0), np.median(points, 0), points.std(0), strict=True):
        print(f"{name:18} mean {mean.round(4)} median {median.round(4)} std {spread.round(4)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
