"""RAVDESS by its file names: `MM-VC-EE-II-SS-RR-AA`, sound alone or with video, in any folders.

References:
    Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). PLoS ONE 2018.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vidfer.datasets.report import PreparationReport
from vidfer.types import EMOTIONS, VidferError

EMOTION_CODES: Final = {
    1: "neutral",
    2: "neutral",  # calm: the set's second baseline, counted as neutral here
    3: "happy",
    4: "sad",
    5: "angry",
    6: "fear",
    7: "disgust",
    8: "surprise",
}
"""RAVDESS emotion codes and the class that each counts as."""

SUFFIXES: Final = (".flac", ".wav", ".mp4", ".mkv", ".mov", ".avi", ".m4a", ".ogg", ".mp3")

_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")


@dataclass(frozen=True)
class Recording:
    """One recording of RAVDESS.

    Args:
        path: The file.
        modality: 1 sound and video, 2 video alone, 3 sound alone.
        channel: 1 speech, 2 song.
        emotion: RAVDESS code, 1 to 8.
        intensity: 1 normal, 2 strong.
        statement: 1 "kids are talking", 2 "dogs are sitting".
        repetition: 1 or 2.
        actor: 1 to 24; odd are male, even female.
    """

    path: Path
    modality: int
    channel: int
    emotion: int
    intensity: int
    statement: int
    repetition: int
    actor: int

    @property
    def target(self) -> int:
        """The class as an index into `EMOTIONS`."""
        return EMOTIONS.index(EMOTION_CODES[self.emotion])


def parse_name(path: Path) -> Recording | None:
    """Read a recording's facts from its name.

    Args:
        path: A file; only its name without suffix is looked at.

    Returns:
        The recording, or None where the name is not one of RAVDESS. There is no neutral with strong intensity.

    Example:
        >>> from pathlib import Path
        >>> parse_name(Path("03-01-02-01-01-02-16.flac")).actor
        16
    """
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    recording = Recording(path, *(int(code) for code in match.groups()))
    impossible = recording.emotion == 1 and recording.intensity == 2
    return recording if 1 <= recording.actor <= 24 and not impossible else None


def find_recordings(
    root: Path, actors: Collection[int] | None = None, *, drop_copies: bool = True
) -> tuple[list[Recording], PreparationReport]:
    """Find the recordings with sound below a folder.

    Args:
        root: Folder, searched with all its subfolders.
        actors: Actors wanted; None for all.
        drop_copies: Drop all but the first of byte-identical files, as training should; a test keeps them.

    Returns:
        The recordings sorted by actor and name, and a report: names that are none of RAVDESS, empty files, copies, and
        recordings that actors lack although others have them.

    Raises:
        VidferError: The folder is missing, or holds no recording of these actors.
    """
    if not root.is_dir():
        raise VidferError(f"no folder {root}")
    dropped: dict[str, list[str]] = defaultdict(list)
    found: list[Recording] = []
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES):
        recording = parse_name(path)
        if recording is None:
            dropped["name is none of RAVDESS"].append(path.name)
        elif recording.modality != 2 and (actors is None or recording.actor in actors):
            found.append(recording)
    count = len(found)
    if not found:
        wanted = "" if actors is None else f" of actors {', '.join(map(str, sorted(actors)))}"
        raise VidferError(f"no recording{wanted} in {root}: expected names like 03-01-05-01-02-01-12.flac")
    found = sorted(found, key=lambda r: (r.actor, r.path.name))
    noted = {"missing": missing} if (missing := _missing(found)) else {}
    kept, copies = _separate_copies(found, dropped)
    if copies and drop_copies:
        dropped["copy of another recording"].extend(copies)
    elif copies:
        noted["copy of another recording"] = copies
        kept = [r for r in found if r.path.name not in dropped["empty file"]]
    dropped = {reason: names for reason, names in dropped.items() if names}
    return kept, PreparationReport(root.name, count, len(kept), dropped, noted)


def _separate_copies(found: list[Recording], dropped: dict[str, list[str]]) -> tuple[list[Recording], list[str]]:
    from blake3 import blake3

    kept, copies = [], []
    seen: set[bytes] = set()
    for recording in found:
        data = recording.path.read_bytes()
        digest = blake3(data).digest()
        if not data:
            dropped["empty file"].append(recording.path.name)
        elif digest in seen:
            copies.append(recording.path.name)
        else:
            seen.add(digest)
            kept.append(recording)
    return kept, copies


def _missing(found: list[Recording]) -> list[str]:
    actors = {recording.actor for recording in found}
    have: dict[str, set[int]] = defaultdict(set)
    for recording in found:
        have[recording.path.stem[:-3]].add(recording.actor)
    return [
        f"{script}-{actor:02d}"
        for script, present in sorted(have.items())
        if 2 * len(present) > len(actors)
        for actor in sorted(actors - present)
    ]
