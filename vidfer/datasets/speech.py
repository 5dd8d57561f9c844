"""nEMO and ASED, corpora of acted speech in Polish and Amharic, by their file names, in any folders.

References:
    Christop: nEMO: dataset of emotional speech in Polish. LREC-COLING 2024.
    Retta, Almekhlafi, Sutcliffe, Mhamed, Ali, Feng: A new Amharic speech emotion dataset and classification benchmark. ACM
    transactions on Asian and low-resource language information processing 2023.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from vidfer.datasets.report import (
    SOUND_SUFFIXES,
    LabelledClip,
    PreparationReport,
    media_files,
    mostly_named,
    one_file_of_each,
    prepare,
)
from vidfer.types import VidferError

NEMO_LABELS: Final = {
    "anger": "angry",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
}
"""nEMO's words and the class that each counts as; there is no disgust."""

ASED_LABELS: Final = {"n1": "neutral", "f2": "fear", "h3": "happy", "s4": "sad", "a5": "angry"}
"""ASED's codes and the class that each counts as; there are neither disgust nor surprise."""

# The speaker may stand before the published name, divided by __, where files were sorted into folders by class.
_NEMO: Final = re.compile(r"(?:[A-Z]{2}\d__)?(?P<take>(?P<speaker>[A-Z]{2}\d)_(?P<code>[a-z]+)_\d+)")
_ASED: Final = re.compile(r"(?:s\d\d__)?(?P<take>(?P<code>[a-z]\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d))")


def is_nemo(root: Path) -> bool:
    """Tell whether most clips below a folder are named as in nEMO."""
    return mostly_named(root, _NEMO)


def is_ased(root: Path) -> bool:
    """Tell whether most clips below a folder are named as in ASED."""
    return mostly_named(root, _ASED)


def find_nemo(root: Path) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the recordings `EB0_anger_16.wav` at any depth below a folder, sorted by name; persons are `nemo-EB0`.

    The report, see `prepare`, also drops names that are none of nEMO and other files of a take.

    Raises:
        VidferError: The folder is missing, holds no such recording, or an emotion is none of nEMO.
    """
    return _find(root, "nEMO", "nemo", _NEMO, NEMO_LABELS, "EB0_anger_16.wav")


def find_ased(root: Path) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the recordings `a5-03-01-01-01.wav` at any depth below a folder, sorted by name; persons are `ased-1` to `ased-65`.

    The last number is the speaker's. The report, see `prepare`, also drops names that are none of ASED and other files of a take.

    Raises:
        VidferError: The folder is missing, holds no such recording, or an emotion is none of ASED.
    """
    return _find(root, "ASED", "ased", _ASED, ASED_LABELS, "a5-03-01-01-01.wav")


def _find(
    root: Path, title: str, prefix: str, pattern: re.Pattern[str], labels: dict[str, str], example: str
) -> tuple[list[LabelledClip], PreparationReport]:
    dropped: dict[str, list[str]] = defaultdict(list)
    found = []
    for path in media_files(root):
        match = pattern.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in SOUND_SUFFIXES:
            dropped[f"name is none of {title}"].append(path.name)
            continue
        if match["code"] not in labels:
            codes = ", ".join(f"{code} {name}" for code, name in labels.items())
            wrong = f"{path}: emotion {match['code']} is none of {title} ({codes})"
            raise VidferError(f"{wrong}: correct the name or remove the file")
        speaker = str(int(match["speaker"])) if match["speaker"].isdigit() else match["speaker"]
        found.append((match["take"], LabelledClip(path, labels[match["code"]], f"{prefix}-{speaker}")))
    if not found:
        raise VidferError(f"no recording of {title} in {root}: expected names like {example}")
    clips = sorted(one_file_of_each(found, dropped).values(), key=lambda clip: clip.path.name)
    return prepare(f"{title} in {root.name}", root, clips, dropped)
