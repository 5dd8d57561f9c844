"""Which windows of sound count, and the sound model's probabilities for them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vidfer.inference.decision import invert_label_smoothing, softmax
from vidfer.media.vad import VOICE_SHARE
from vidfer.types import EMOTIONS, VidferError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating]

Calibration = tuple[float, float]
"""Temperature, and the label smoothing that is taken back before."""


def heard(windows: "Mapping[str, np.ndarray]", *, voice: bool) -> "npt.NDArray[np.bool_]":
    """Choose the windows that are answered for.

    Args:
        windows: The arrays of the stage `audio`.
        voice: Whether someone has to speak in them; else it is enough that they are not silent.

    Returns:
        bool `(W,)`.
    """
    import numpy as np

    sounding = windows["silent"] == 0
    return np.asarray(sounding & (windows["voice"] >= VOICE_SHARE) if voice else sounding)


def window_probabilities(
    windows: "Mapping[str, np.ndarray]",
    kept: "npt.NDArray[np.bool_]",
    model: str,
    digest: str,
    calibration: Calibration | None,
) -> "npt.NDArray[np.float32]":
    """Answer for windows.

    Args:
        windows: The arrays of the stage `audio`.
        kept: Which of them to answer for, `(W,)`.
        model: Name or file of the sound model's weights.
        digest: Their digest, see `vidfer.weights.files.weights_digest`.
        calibration: From the weights' card; None where it has none.

    Returns:
        float32 `(W, 7)`; NaN for the others.

    Raises:
        VidferError: The weights are unusable.
    """
    import numpy as np

    from vidfer.inference.loaded import audio_model, one_thread

    probabilities = np.full((len(kept), len(EMOTIONS)), np.nan, np.float32)
    if kept.any():
        with one_thread():
            logits = audio_model(model, digest)(windows["vectors"][kept])
        require_finite("sound", logits)
        probabilities[kept] = calibrated(logits, calibration)
    return probabilities


def calibrated(logits: "Floats", calibration: Calibration | None) -> "Floats":
    """Turn logits `(N, 7)` into probabilities by a card's calibration; None is a temperature of 1."""
    temperature, smoothing = calibration or (1.0, 0.0)
    return softmax(invert_label_smoothing(logits, smoothing), temperature)


def require_finite(kind: str, logits: "Floats") -> None:
    """Refuse answers that are no numbers.

    Raises:
        VidferError: They are not finite.
    """
    import numpy as np

    if not np.isfinite(logits).all():
        raise VidferError(f"the {kind} model answered with numbers that are not finite: its weights cannot be used")
