"""From a stream of frames to a stream of tracked, aligned and judged faces."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.align import align
from vidfer.media.decode import Frame
from vidfer.media.detect import Detections, FaceDetector
from vidfer.media.pixels import shrunk, thinned
from vidfer.media.quality import Quality, judge, percentiles
from vidfer.media.tracks import Tracker, describe, distinct

CleanFrame = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8] | None, float]]
"""From an image to the same without noise, or None where it is good as it is, and the noise found in it (sigma, 0-255)."""

_ROUGH: Final = 0.67  # a frame shrunk to less than this gives landmarks that are worth refining at full size


@dataclass(frozen=True)
class FaceSettings:
    """Detection, tracking and cut thresholds; every one of them changes the artifact.

    Args:
        detect_interval: Seconds between full detections, half of it once a face has been lost; in between, each known face is
            looked for where it was.
        detect_side: Long side in px to which a frame is shrunk for a full detection.
        min_face: Smallest face that is looked for, as a share of the frame's short side (never below 20 px of the shrunk one).
        min_score: Score from which a detection starts a track, in [0, 1].
        keep_score: Score from which it continues one.
        max_gap: Seconds for which a missing face is followed, see `Tracker`.
        cut_colour: Distance of two frames' colour histograms that a cut exceeds, in [0, 1].
        cut_layout: Correlation of their brightness patterns that a cut stays below, in [-1, 1], after adding that distance.
    """

    detect_interval: float = 0.5
    detect_side: int = 480
    min_face: float = 0.08
    min_score: float = 0.95
    keep_score: float = 0.7
    max_gap: float = 1.0
    cut_colour: float = 0.07
    cut_layout: float = 0.3


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one frame; box `(4,)`, landmarks `(5, 2)` and score as in `Detections`.

    Tracks are numbered in order of appearance. `detected` says that a full detection found the face, not a look where it was.
    `crop` is the aligned face, `(160, 160, 3)` uint8 RGB; where it comes from a denoised frame, `raw` is the same cut out of the
    frame as it came.
    """

    track: int
    box: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    score: float
    detected: bool
    crop: NDArray[np.uint8]
    quality: Quality
    raw: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """The faces of one sampled frame, ordered by track; index and pts as in `Frame`.

    `size` is the frame's width and height in px, `brightness` the gray level, 0-255, below which 95 % of it lie, and `cut` says
    whether a new scene begins with it. `noise_sigma` is the noise of the whole frame on the scale 0-255; None unless frames are
    denoised where need be.
    """

    index: int
    pts: float
    faces: list[Face]
    size: tuple[int, int]
    brightness: float
    cut: bool = False
    noise_sigma: float | None = None


def iter_faces(
    frames: Iterable[Frame], detector: FaceDetector, settings: FaceSettings, clean: CleanFrame | None = None
) -> Iterator[FaceFrame]:
    """Find and follow the faces of a video: yield one `FaceFrame` for each frame, holding one at a time.

    A full detection is slow, so it is done at a cadence in seconds; in between, the detector looks again only where faces were.
    A scene cut ends all tracks and brings a full detection. `clean` denoises frames before anything is looked for in them; the
    noise in a face's quality stays that of the frame as it came.
    """
    tracker = Tracker(settings.max_gap, settings.min_score)
    cuts = CutDetector(settings.cut_colour, settings.cut_layout)
    last = float("-inf")  # time of the last full detection
    for frame in frames:
        denoised, sigma = clean(frame.image) if clean else (None, None)
        image = frame.image if denoised is None else denoised
        few = thinned(image)
        cut = cuts.cut(few)
        if cut:
            tracker.cut()
            last = float("-inf")
        detected = frame.pts - last >= settings.detect_interval * (0.5 if tracker.lost else 1.0) - 1e-6
        if detected:
            last, found = frame.pts, _detect(detector, image, settings)
        else:
            found = detector.refine(image, tracker.boxes)
        found = _sift(found, image.shape, settings.keep_score)
        crops = [align(image, points) for points in found.landmarks]
        looks = [describe(crop) for crop in crops]
        faces = []
        for row, track in enumerate(tracker.update(frame.pts, found, looks)):
            if track is not None:
                box, points, score = found.boxes[row], found.landmarks[row], float(found.scores[row])
                quality = judge(frame.image, crops[row], box, points)
                raw = None if denoised is None else align(frame.image, points)
                faces.append(Face(track, box, points, score, detected, crops[row], quality, raw))
        faces.sort(key=lambda face: face.track)
        size = (frame.image.shape[1], frame.image.shape[0])
        yield FaceFrame(
            frame.index, frame.pts, faces, size, brightness(few if denoised is None else frame.image), cut, sigma
        )


def brightness(image: NDArray[np.uint8]) -> float:
    """Return the 95th percentile of the gray levels, 0-255, of an image `(H, W, 3)` uint8 RGB, from about 150 px by 150.

    A median would call a lit face before a black wall dark.
    """
    import cv2

    return percentiles(cv2.cvtColor(thinned(image), cv2.COLOR_RGB2GRAY), (95,))[0]


def _detect(detector: FaceDetector, image: NDArray[np.uint8], settings: FaceSettings) -> Detections:
    """Detect all faces, with boxes and landmarks refined at full size where the frame was shrunk much."""
    faces = detector.detect([image], long_side=settings.detect_side, min_face=settings.min_face)[0]
    if not len(faces) or settings.detect_side / max(image.shape) >= _ROUGH:
        return faces
    fine = detector.refine(image, faces.boxes)
    better = fine.scores >= faces.scores - 0.05
    boxes = np.where(better[:, None], fine.boxes, faces.boxes)
    return Detections(boxes, faces.scores, np.where(better[:, None, None], fine.landmarks, faces.landmarks))


def _sift(faces: Detections, shape: tuple[int, ...], keep_score: float) -> Detections:
    """Keep faces that are sure enough, have an extent, lie in the frame with their middle, and are distinct."""
    middle = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    inside = ((middle >= 0) & (middle < [shape[1], shape[0]])).all(axis=1)
    extent = ((faces.boxes[:, 2:] - faces.boxes[:, :2]) >= 2).all(axis=1)
    apart = np.linalg.norm(faces.landmarks[:, 1] - faces.landmarks[:, 0], axis=1) > 1
    return distinct(faces[np.flatnonzero(inside & extent & apart & (faces.scores >= keep_score))])


class CutDetector:
    """Detect scene cuts: neighbouring frames that differ in colour and in layout.

    Colour alone would call a flash or a fade a cut, layout alone fast motion; a cut changes both. The thresholds are those of
    `FaceSettings`.
    """

    def __init__(self, colour: float, layout: float) -> None:
        self._colour, self._layout = colour, layout
        self._before: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def cut(self, image: NDArray[np.uint8]) -> bool:
        """Whether a new scene begins with this frame, `(H, W, 3)` uint8 RGB; the first one is no cut."""
        histogram, pattern = _colours_and_layout(image)
        before, self._before = self._before, (histogram, pattern)
        if before is None:
            return False
        colour = float(np.abs(before[0] - histogram).sum() / 2)
        return colour > self._colour and float(before[1] @ pattern) < self._layout + colour


def _colours_and_layout(image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a smoothed histogram of brightness and chroma, sum 1, and a brightness pattern, norm 1."""
    import cv2

    thumb = shrunk(thinned(image), 64, 36)  # all pixels of a large frame would be slow
    colours = np.asarray(cv2.cvtColor(thumb, cv2.COLOR_RGB2YCrCb), np.uint8).reshape(-1, 3)
    levels = (colours >> 2) + np.array([0, 64, 128], np.uint8)
    sums = np.zeros((3, 64 + 8))  # of the counts from 4 below each level to 3 above it
    sums[:, 5:-3] = np.bincount(levels.ravel(), minlength=192).reshape(3, 64).cumsum(axis=1)
    sums[:, -3:] = sums[:, -4:-3]
    histogram = (sums[:, 8:] - sums[:, :-8]).ravel() / 8 / (3 * len(colours))
    blocks = cv2.resize(cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY), (16, 9), interpolation=cv2.INTER_AREA)
    pattern = blocks.astype(np.float64).ravel()
    pattern -= pattern.mean()
    return histogram, pattern / max(float(np.linalg.norm(pattern)), 1.0)
