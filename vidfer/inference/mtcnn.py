"""Face detection by MTCNN: a cascade of three small networks."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.inference.boxes import AreaSampler, Boxes, suppress
from vidfer.inference.network import CPU, Compute, Network, open_network
from vidfer.media.detect import Detections, as_rgb
from vidfer.media.pixels import shrunk
from vidfer.weights.files import SHIPPED, find_weights

_SMALLEST: Final = 20  # px; P-Net sees 12, and finds little between 12 and 20
_CELL, _STRIDE = 12, 2  # px that P-Net looks at, and how far apart
_FACTOR: Final = 0.709  # from one size of the image to the next
_PNET_SCORE, _RNET_SCORE, _ONET_SCORE = 0.6, 0.7, 0.7
_RNET_SIDE, _ONET_SIDE = 24, 48
_NOTHING: Final = {
    **{"score": np.zeros(0, np.float32), "offsets": np.zeros((0, 4), np.float32)},
    "points": np.zeros((0, 10), np.float32),
}
_BATCH: Final = 64  # candidates that a network looks at together: more do not fit into a processor's cache


class MtcnnDetector:
    """MTCNN with the weights and the arithmetic of facenet-pytorch 2.5.3. Threads may share one.

    P-Net looks at all places of the image in several sizes, and its candidates, without those that overlap, go to R-Net and what
    that leaves to O-Net, each time with the box corrected. The figures are the same on any number of cores.

    References:
        Zhang, Zhang, Li, Qiao, Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks,
        IEEE Signal Processing Letters 2016.
    """

    def __init__(self, compute: Compute = CPU) -> None:
        networks = [open_network(find_weights("detector", name), compute) for name in SHIPPED["detector"]]
        self._pnet, self._rnet, self._onet = networks

    def detect(
        self, images: Sequence[NDArray[np.uint8]], *, long_side: int = 480, min_face: float = 0.08
    ) -> list[Detections]:
        """Find every face of each image `(H, W, 3)` uint8 RGB (gray and RGBA are converted), the largest first.

        A larger image is shrunk to `long_side` px first; faces below `min_face` of the short side are not looked for.
        """
        return [self._detect(as_rgb(image), long_side, min_face) for image in images]

    def refine(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> Detections:
        """Look again at boxes `(N, 4)` px of one image by MTCNN's last network, at a twentieth of a full detection's cost.

        The N results are in the order of the boxes: a low score means that there is no face, 0 that the box is unusable.
        """
        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
        squares = np.round(np.hstack([centre - half, centre + half]))
        usable = _usable(squares, image.shape)
        result = Detections(boxes.astype(np.float64), np.zeros(len(boxes)), np.zeros((len(boxes), 5, 2)))
        if not usable.any():
            return result
        patches = np.stack([_patch(image, square) for square in squares[usable]])
        found = self._onet(image=(patches.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128)
        origin, side = squares[usable, None, :2], (squares[usable, 2] - squares[usable, 0])[:, None, None]
        result.scores[usable] = found["score"]
        result.landmarks[usable] = origin + side * found["points"].reshape(-1, 2, 5).transpose(0, 2, 1)
        result.boxes[usable] = squares[usable] + side[:, 0] * found["offsets"]
        return result

    def _detect(self, image: NDArray[np.uint8], long_side: int, min_face: float) -> Detections:
        import cv2

        scale = min(1.0, long_side / max(image.shape))
        short = round(scale * min(image.shape[:2]))
        smallest = max(_SMALLEST, round(min_face * short))
        if short < smallest:
            return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
        if scale < 1:
            image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        found = self._cascade(AreaSampler(image), smallest)
        found = found[np.argsort(np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1))[::-1]]
        apart = np.linalg.norm(found.landmarks[:, 1] - found.landmarks[:, 0], axis=1) > 1
        found = found[_usable(found.boxes, image.shape) & np.isfinite(found.landmarks).all(axis=(1, 2)) & apart]
        return Detections(found.boxes / scale, found.scores, found.landmarks / scale)

    def _cascade(self, image: AreaSampler, smallest: int) -> Detections:
        boxes = self._proposals(image, smallest)
        boxes, found = _look(self._rnet, image, boxes, _RNET_SIDE, _RNET_SCORE)
        kept = suppress(boxes, found["score"], 0.7)
        boxes = _square(_corrected(boxes[kept], found["offsets"][kept]))
        boxes, found = _look(self._onet, image, boxes, _ONET_SIDE, _ONET_SCORE)
        origin, sides = boxes[:, None, :2] - 1, boxes[:, None, 2:] - boxes[:, None, :2] + 1
        points = sides * found["points"].reshape(-1, 2, 5).transpose(0, 2, 1) + origin
        boxes = _corrected(boxes, found["offsets"])
        kept = suppress(boxes, found["score"], 0.7, of_smaller=True, edge=1)
        return Detections(*(each[kept].astype(np.float64) for each in (boxes, found["score"], points)))

    def _proposals(self, image: AreaSampler, smallest: int) -> Boxes:
        """Return square candidates `(N, 4)` that P-Net finds in the image at all sizes."""
        found = [(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 4), np.float32))]
        for scale in _scales(min(image.height, image.width), smallest):
            size = int(image.height * scale + 1), int(image.width * scale + 1)
            maps = self._pnet(image=image.whole(*size)[None])
            rows, columns = np.nonzero(maps["score"][0] >= _PNET_SCORE)
            scores, offsets = maps["score"][0, rows, columns], maps["offsets"][0, :, rows, columns]
            corner = _STRIDE * np.stack([columns, rows], axis=1).astype(np.float32)
            boxes = np.floor(np.hstack([corner + 1, corner + _CELL]) / np.float32(scale))
            kept = suppress(boxes, scores, 0.5)
            found.append((boxes[kept], scores[kept], offsets[kept]))
        boxes, scores, offsets = (np.concatenate(each) for each in zip(*found, strict=True))
        kept = suppress(boxes, scores, 0.7)
        boxes, sides = boxes[kept], np.tile(boxes[kept, 2:] - boxes[kept, :2], 2)
        return _square(boxes + offsets[kept] * sides)


def _scales(short: int, smallest: int) -> Iterator[float]:
    """Yield factors by which an image whose short side is so many px is shrunk, until it shows no face of P-Net's size."""
    scale = _CELL / smallest
    side = short * scale
    while side >= _CELL:
        yield scale
        scale, side = scale * _FACTOR, side * _FACTOR


def _look(
    network: Network, image: AreaSampler, boxes: Boxes, side: int, threshold: float
) -> tuple[Boxes, dict[str, NDArray[np.float32]]]:
    """Show a network the candidates; return those above a score, and what it says of them."""
    limits = np.array([image.width, image.height])
    inside = np.hstack([np.maximum(np.trunc(boxes[:, :2]), 1) - 1, np.minimum(np.trunc(boxes[:, 2:]), limits)])
    inside = inside.astype(np.int64)  # facenet-pytorch counts pixels from 1 here
    seen = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    boxes, inside = boxes[seen], inside[seen]
    starts = range(0, len(boxes), _BATCH)
    batches = [network(image=image.parts(inside[start : start + _BATCH], side)) for start in starts] or [_NOTHING]
    found = {name: np.concatenate([each[name] for each in batches]) for name in batches[0]}
    sure = found["score"] > threshold
    return boxes[sure], {name: each[sure] for name, each in found.items()}


def _corrected(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)


def _square(boxes: Boxes) -> Boxes:
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + sides * np.float32(0.5) - longest * np.float32(0.5)
    return np.hstack([corner, corner + longest])


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
    if len(part) > _ONET_SIDE:
        return shrunk(part, _ONET_SIDE, _ONET_SIDE)
    return np.asarray(cv2.resize(part, (_ONET_SIDE, _ONET_SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
