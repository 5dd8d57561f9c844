"""What a face detector takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """The N faces of one image: boxes `(N, 4)` x0 y0 x1 y1, scores `(N,)` in [0, 1] and landmarks `(N, 5, 2)`, all float64.

    Landmarks are the eyes (the image's left one first), the nose's tip and the mouth's corners. Units are px of the full image;
    boxes may reach over its edge.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    landmarks: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: "NDArray[Any] | Sequence[int]") -> "Detections":
        return Detections(self.boxes[rows], self.scores[rows], self.landmarks[rows])


class FaceDetector(Protocol):
    """What finds faces, as `vidfer.inference.mtcnn.MtcnnDetector` does."""

    def detect(
        self, images: Sequence[NDArray[np.uint8]], *, long_side: int = 480, min_face: float = 0.08
    ) -> list[Detections]:
        """Find every face of each image."""
        ...

    def refine(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> Detections:
        """Look again at boxes of one image."""
        ...


def as_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `(H, W, 3)`, from RGB, gray or RGBA.

    Raises:
        ValueError: Any other shape, or numbers of another kind than uint8.
    """
    if image.dtype != np.uint8:
        raise ValueError(f"need an image of uint8, 0-255, not of {image.dtype}")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in {1, 3, 4}:
        raise ValueError(f"need an image (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {image.shape}")
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., :3]
