"""CREMA-D by its file names: `1001_DFA_ANG_XX.wav` in `AudioWAV`, `.flv` in `VideoFlash`, or in any other folders.

References:
    Cao, Cooper, Keutmann, Gur, Nenkova, Verma: CREMA-D: crowd-sourced emotional multimodal actors dataset. IEEE transactions
    on affective computing 2014.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from vidfer.datasets.report import (
    SOUND_SUFFIXES,
    VIDEO_SUFFIXES,
    LabelledClip,
    PreparationReport,
    media_files,
    missing_takes,
    mostly_named,
    one_file_of_each,
    prepare,
)
from vidfer.types import VidferError

LABELS: Final = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
"""CREMA-D's codes and the class that each counts as; there is no surprise."""

SENTENCES: Final = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
"""Codes of the twelve sentences."""

MODALITIES: Final = {
    "any": VIDEO_SUFFIXES + SOUND_SUFFIXES,
    "sound": (".wav", *(suffix for suffix in SOUND_SUFFIXES if suffix != ".wav"), *VIDEO_SUFFIXES),
    "video": VIDEO_SUFFIXES,
}
"""What may be asked for, and the suffixes that have it, the preferred ones first."""

_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX?)")  # 1040_ITH_SAD_X is published so
_SILENT: Final = "1076_MTI_SAD_XX"


def is_crema_d(root: Path) -> bool:
    """Tell whether most clips below a folder are named as in CREMA-D."""
    return mostly_named(root, _NAME)


def find_crema_d(root: Path, modality: str = "any") -> tuple[list[LabelledClip], PreparationReport]:
    """Find recordings at any depth below a folder, one file of each take, sorted by name; persons are `crema-d-<actor>`.

    The modality is `any` for all takes, the video where there is one; `sound` for all takes, the WAV file where there is one;
    `video` for takes with video. The report, see `prepare`, also drops names that are none of CREMA-D and other files of a take,
    and notes what actors lack although most have it, and the take that is published without sound.

    Raises:
        VidferError: The folder is missing, holds no such recording, the modality is unknown, or an emotion code is.
    """
    if modality not in MODALITIES:
        raise VidferError(f"modality '{modality}' of CREMA-D is none of {', '.join(MODALITIES)}")
    wanted = MODALITIES[modality]  # the preferred suffix first
    dropped: dict[str, list[str]] = defaultdict(list)
    found, present = [], []
    files = [path for path in media_files(root) if path.suffix.lower() in wanted]
    for path in sorted(files, key=lambda path: wanted.index(path.suffix.lower())):
        match = _NAME.fullmatch(path.stem)
        if match is None or not 1001 <= int(match[1]) <= 1091 or match[2] not in SENTENCES:
            dropped["name is none of CREMA-D"].append(path.name)
            continue
        script = f"{match[2]}_{match[3]}_{match[4] if match[4] != 'X' else 'XX'}"
        found.append((f"{match[1]}_{script}", LabelledClip(path, _label(path, match[3]), f"crema-d-{match[1]}")))
        present.append((script, match[1]))
    if not found:
        raise VidferError(f"no recording ({modality}) in {root}: expected names like 1001_DFA_ANG_XX.wav")
    takes = one_file_of_each(found, dropped)
    missing = [f"{actor}_{script}" for script, actor in missing_takes(present)]
    noted = {"missing": missing} if missing else {}
    if _SILENT in takes:
        noted["published without sound"] = [takes[_SILENT].name]
    clips = sorted(takes.values(), key=lambda clip: clip.path.name)
    return prepare(f"CREMA-D in {root.name}", root, clips, dropped, noted)


def _label(path: Path, code: str) -> str:
    if code not in LABELS:
        codes = ", ".join(f"{code} {name}" for code, name in LABELS.items())
        raise VidferError(f"{path}: emotion {code} is none of CREMA-D ({codes}): correct the name or remove the file")
    return LABELS[code]
