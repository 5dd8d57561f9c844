"""The displayed expression of a clip, as far as its file name tells."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vidfer.datasets.ravdess import parse_name
from vidfer.types import EMOTIONS

CLASS_NAMES: Final = {
    **{name: name for name in EMOTIONS},
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "calm": "neutral",  # as in RAVDESS
}
"""Words in file names and the class that each counts as."""


def ravdess_label(path: Path) -> str | None:
    """Read the class from a RAVDESS name; None where the name is none of RAVDESS or the recording is sound alone."""
    recording = parse_name(path)
    return None if recording is None or recording.modality == 3 else EMOTIONS[recording.target]


def name_label(path: Path) -> str | None:
    """Find the class that words of the file's name, or of its folder's, stand for.

    Args:
        path: A file such as `M030_sad_3_001.mp4` or `happy/0001.mp4`.

    Returns:
        The class, or None where there is none, or more than one.

    Example:
        >>> from pathlib import Path
        >>> name_label(Path("clips/M030_sad_3_001.mp4")), name_label(Path("clips/contempt.mp4"))
        ('sad', None)
    """
    named = {
        CLASS_NAMES[word] for part in (path.stem, path.parent.name) for word in _words(part) if word in CLASS_NAMES
    }
    return named.pop() if len(named) == 1 else None


LABELS: Final[dict[str, Callable[[Path], str | None]]] = {"ravdess": ravdess_label, "name": name_label}
"""Ways to label a clip, by the name of `--labels`."""


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())
