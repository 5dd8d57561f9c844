"""Face detection by MTCNN."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

_SMALLEST: Final = 20  # px; P-Net sees 12, and finds little between 12 and 20
_ONET: Final = 48
_MARGIN: Final = 32


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
    """What finds faces, as `MtcnnDetector` does."""

    def detect(
        self, images: Sequence[NDArray[np.uint8]], *, long_side: int = 480, min_face: float = 0.08
    ) -> list[Detections]:
        """Find every face of each image."""
        ...

    def refine(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> Detections:
        """Look again at boxes of one image."""
        ...


class MtcnnDetector:
    """MTCNN with the weights that come with facenet-pytorch.

    References:
        Zhang, Zhang, Li, Qiao, Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks,
        IEEE Signal Processing Letters 2016.
    """

    def __init__(self, device: str = "cpu") -> None:
        import torch
        from facenet_pytorch import MTCNN

        self._device = torch.device(device)
        self._mtcnn = MTCNN(keep_all=True, device=self._device)
        self._lock = threading.Lock()

    def detect(
        self, images: Sequence[NDArray[np.uint8]], *, long_side: int = 480, min_face: float = 0.08
    ) -> list[Detections]:
        """Find every face of each image `(H, W, 3)` uint8 RGB (gray and RGBA are converted), the largest first.

        A larger image is shrunk to `long_side` px first; faces below `min_face` of the short side are not looked for. Images are
        taken one by one: batching gains little on a CPU, and needs equal sizes.
        """
        return [self._detect(as_rgb(image), long_side, min_face) for image in images]

    def refine(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> Detections:
        """Look again at boxes `(N, 4)` px of one image by MTCNN's last network, at a twentieth of a full detection's cost.

        The N results are in the order of the boxes: a low score means that there is no face, 0 that the box is unusable.
        """
        import torch

        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
        squares = np.round(np.hstack([centre - half, centre + half]))
        usable = _usable(squares, image.shape)
        result = Detections(boxes.astype(np.float64), np.zeros(len(boxes)), np.zeros((len(boxes), 5, 2)))
        if not usable.any():
            return result
        patches = np.stack([_patch(image, square) for square in squares[usable]])
        batch = torch.from_numpy(patches).to(self._device).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            offsets, points, scores = (out.cpu().numpy() for out in self._mtcnn.onet((batch - 127.5) / 128))
        origin, side = squares[usable, None, :2], (squares[usable, 2] - squares[usable, 0])[:, None, None]
        result.scores[usable] = scores[:, 1]
        result.landmarks[usable] = origin + side * points.reshape(-1, 2, 5).transpose(0, 2, 1)
        result.boxes[usable] = squares[usable] + side[:, 0] * offsets
        return result

    def _detect(self, image: NDArray[np.uint8], long_side: int, min_face: float) -> Detections:
        import cv2

        scale = min(1.0, long_side / max(image.shape))
        short = round(scale * min(image.shape[:2]))
        smallest = max(_SMALLEST, round(min_face * short))
        if short < smallest:
            return _sift((None, None, None), 1, image.shape)
        if scale < 1:
            image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        with self._lock:  # the size is a setting of the detector that threads may share
            self._mtcnn.min_face_size = smallest
            try:
                found, margin = self._mtcnn.detect(image, landmarks=True), 0
            except IndexError:  # facenet-pytorch stumbles over a candidate that lies outside the image: give it room
                margin = _MARGIN
                framed = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
                found = self._mtcnn.detect(framed, landmarks=True)
        return _sift(found, scale, image.shape, margin)


def as_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `(H, W, 3)`, from RGB, gray or RGBA.

    Raises:
        ValueError: Any other shape.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in {1, 3, 4}:
        raise ValueError(f"need an image (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {image.shape}")
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., :3]


def _sift(found: tuple[Any, Any, Any], scale: float, shape: tuple[int, ...], margin: int = 0) -> Detections:
    """Return usable faces in px of the full image: finite, with an extent, inside, eyes apart."""
    boxes, scores, landmarks = found  # object arrays or None, as facenet-pytorch gives them
    if boxes is None:
        return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
    boxes, points = np.asarray(boxes, np.float64) - margin, np.asarray(landmarks, np.float64) - margin
    apart = np.linalg.norm(points[:, 1] - points[:, 0], axis=1) > 1
    keep = _usable(boxes, shape) & np.isfinite(points).all(axis=(1, 2)) & apart
    return Detections(boxes[keep] / scale, np.asarray(scores, np.float64)[keep], points[keep] / scale)


def _usable(boxes: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    extent = np.minimum(boxes[:, 2:], [shape[1], shape[0]]) - np.maximum(boxes[:, :2], 0)
    return np.asarray(np.isfinite(boxes).all(axis=1) & (extent >= 2).all(axis=1), np.bool_)


def _patch(image: NDArray[np.uint8], square: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a square of the image at O-Net's size, black where it reaches over the edge, as in MTCNN's training."""
    import cv2

    height, width = image.shape[:2]
    x0, y0, x1, y1 = square.astype(int)
    part = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    over = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    if any(over):
        part = np.asarray(cv2.copyMakeBorder(part, *over, cv2.BORDER_CONSTANT), np.uint8)
    method = cv2.INTER_AREA if len(part) > _ONET else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (_ONET, _ONET), interpolation=method), np.uint8)
