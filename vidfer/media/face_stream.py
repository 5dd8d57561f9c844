"""From a stream of frames to a stream of tracked, aligned and judged faces."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidfer.media.align import align
from vidfer.media.cuts import CutDetector
from vidfer.media.decode import Frame
from vidfer.media.detect import Detections, FaceDetector
from vidfer.media.quality import Quality, judge
from vidfer.media.tracks import Tracker, describe, distinct

CleanFrame = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8] | None, float]]
"""From an image to the same without noise, or None where it is good as it is, and the noise found in it (sigma, 0-255)."""

_ROUGH = 0.67  # a frame shrunk to less than this gives landmarks that are worth refining at full size


@dataclass(frozen=True)
class FaceSettings:
    """Detection, tracking and cut thresholds; every one of them changes the artifact.

    Args:
        detect_interval: Seconds of presentation time between full detections; in between, each known face is looked for where
            it was. Half of it once a face has been lost.
        detect_side: Long side in px to which a frame is shrunk for a full detection.
        min_face: Smallest face that is looked for, as a share of the frame's short side (never below 20 px of the shrunk one).
        min_score: Score from which a detection starts a track, in [0, 1].
        keep_score: Score from which it continues one.
        max_gap: Seconds for which a missing face is followed, see `Tracker`.
        cut_colour: Distance of two frames' colour histograms that a cut exceeds, in [0, 1].
        cut_layout: Correlation of their brightness patterns that a cut stays below, in [-1, 1]; the colour distance is added
            to it, since the more the colours change, the less the layout has to.
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
    """One face in one frame.

    Args:
        track: Number of the person's track: 0, 1, 2... in order of appearance.
        box: `(4,)` float64 x0 y0 x1 y1 in px of the full frame; may reach over its edge.
        landmarks: `(5, 2)` float64 px: eyes (the image's left first), nose, mouth corners.
        score: The detector's score in [0, 1].
        detected: Whether a full detection found it; else it was found again where it had been.
        crop: The aligned face, `(160, 160, 3)` uint8 RGB.
        quality: Blur, size, pose, noise, weight.
        raw: The same cut out of the frame as it came, where `crop` comes from a denoised one; else None.
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
    """The faces of one sampled frame.

    Args:
        index: The frame's number.
        pts: Its presentation time in seconds.
        faces: By track.
        noise_sigma: Noise of the whole frame on the scale 0-255; None unless frames are denoised where need be.
    """

    index: int
    pts: float
    faces: list[Face]
    noise_sigma: float | None = None


def iter_faces(
    frames: Iterable[Frame], detector: FaceDetector, settings: FaceSettings, clean: CleanFrame | None = None
) -> Iterator[FaceFrame]:
    """Find and follow the faces of a video, frame by frame, holding one frame at a time.

    A full detection costs 30-100 CPU-ms, so it is done at a cadence in seconds; in between, and at once after a face has been
    lost, the detector looks again only where faces were. A scene cut ends all tracks and brings a full detection.

    Args:
        frames: In presentation order, as `read_frames` yields them.
        detector: Finds faces.
        settings: Thresholds.
        clean: Denoises frames before anything is looked for in them; the noise in a face's quality stays that of the frame
            as it came.

    Yields:
        One `FaceFrame` for each frame, in order. A face that is not found in a frame is absent there.
    """
    finder = _Finder(detector, settings)
    tracker = Tracker(settings.max_gap, settings.min_score)
    cuts = CutDetector(settings.cut_colour, settings.cut_layout)
    for frame in frames:
        denoised, sigma = clean(frame.image) if clean else (None, None)
        seen = frame if denoised is None else Frame(frame.index, frame.pts, denoised)
        if cuts.cut(seen.image):
            tracker.cut()
            finder.force_detection()
        found, detected = finder.find(seen, tracker)
        crops = [align(seen.image, points) for points in found.landmarks]
        looks = [describe(crop) for crop in crops]
        faces = []
        for row, track in enumerate(tracker.update(frame.pts, found, looks)):
            if track is not None:
                box, points, score = found.boxes[row], found.landmarks[row], float(found.scores[row])
                quality = judge(frame.image, crops[row], box, points, score)
                raw = None if denoised is None else align(frame.image, points)
                faces.append(Face(track, box, points, score, detected, crops[row], quality, raw))
        yield FaceFrame(frame.index, frame.pts, sorted(faces, key=lambda face: face.track), sigma)


class _Finder:
    """Choose between a full detection and a look at the known places."""

    def __init__(self, detector: FaceDetector, settings: FaceSettings) -> None:
        self._detector, self._settings = detector, settings
        self._last = float("-inf")

    def force_detection(self) -> None:
        """Make the next look a full detection."""
        self._last = float("-inf")

    def find(self, frame: Frame, tracker: Tracker) -> tuple[Detections, bool]:
        """Return a frame's faces, and whether they come from a full detection."""
        interval = self._settings.detect_interval * (0.5 if tracker.lost else 1.0)
        if frame.pts - self._last >= interval - 1e-6:
            self._last = frame.pts
            return self._detect(frame), True
        return self._sift(self._detector.refine(frame.image, tracker.boxes), frame), False

    def _detect(self, frame: Frame) -> Detections:
        side = self._settings.detect_side
        faces = self._detector.detect([frame.image], long_side=side, min_face=self._settings.min_face)[0]
        if len(faces) and side / max(frame.image.shape) < _ROUGH:
            fine = self._detector.refine(frame.image, faces.boxes)
            better = fine.scores >= faces.scores - 0.05
            faces = Detections(
                np.where(better[:, None], fine.boxes, faces.boxes),
                faces.scores,
                np.where(better[:, None, None], fine.landmarks, faces.landmarks),
            )
        return self._sift(faces, frame)

    def _sift(self, faces: Detections, frame: Frame) -> Detections:
        """Keep faces that are sure enough, have an extent, lie in the frame with their middle, and are distinct."""
        height, width = frame.image.shape[:2]
        middle = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        inside = ((middle >= 0) & (middle < [width, height])).all(axis=1)
        extent = ((faces.boxes[:, 2:] - faces.boxes[:, :2]) >= 2).all(axis=1)
        apart = np.linalg.norm(faces.landmarks[:, 1] - faces.landmarks[:, 0], axis=1) > 1
        good = inside & extent & apart & (faces.scores >= self._settings.keep_score)
        return distinct(faces[np.flatnonzero(good)])
