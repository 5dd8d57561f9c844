"""What decides how faces are found and followed."""

from dataclasses import dataclass


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
        max_gap: Seconds that a track survives without its face.
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
