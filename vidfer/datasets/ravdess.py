"""RAVDESS by its file names: `MM-VC-EE-II-SS-RR-AA`, speech and song, sound or video or both, in any folders.

References:
    Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). PLoS ONE 2018.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vidfer.datasets.report import (
    LabelledClip,
    PreparationReport,
    media_files,
    missing_takes,
    mostly_named,
    one_file_of_each,
    prepare,
)
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

MODALITIES: Final = {
    "sound": (1, 3),
    "faces": (1, 2),
    "audio-visual": (1,),
    "video-only": (2,),
    "audio-only": (3,),
}
"""What may be asked for, and the modality codes that have it, the preferred one first."""

CHANNELS: Final = {"speech": (1,), "song": (2,), "both": (1, 2)}
"""What may be asked for, and the codes of its vocal channels."""

_LIKE = re.compile(r"\d\d-\d\d-(\d\d)-\d\d-\d\d-\d\d-\d\d")
_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")
_SPEECH_ONLY: Final = (7, 8)  # emotions
_NEVER_SANG: Final = "18"


@dataclass(frozen=True)
class Recording:
    """One recording of RAVDESS, by the codes of its name."""

    path: Path
    modality: int  # 1 sound and video, 2 video alone, 3 sound alone
    channel: int  # 1 speech, 2 song
    emotion: int  # 1 to 8
    intensity: int  # 1 normal, 2 strong
    statement: int  # 1 "kids are talking", 2 "dogs are sitting"
    repetition: int
    actor: int  # 1 to 24; odd are male, even female

    @property
    def target(self) -> int:
        """The class as an index into `EMOTIONS`."""
        return EMOTIONS.index(EMOTION_CODES[self.emotion])


def parse_name(path: Path) -> Recording | None:
    """Read a recording's facts from its name; None where it is not one of RAVDESS, which has no strong neutral.

    Example:
        >>> from pathlib import Path
        >>> parse_name(Path("03-01-02-01-01-02-16.flac")).actor
        16
    """
    if (match := _NAME.fullmatch(path.stem)) is None:
        return None
    recording = Recording(path, *(int(code) for code in match.groups()))
    impossible = recording.emotion == 1 and recording.intensity == 2
    return recording if 1 <= recording.actor <= 24 and not impossible else None


def is_ravdess(root: Path) -> bool:
    """Tell whether most clips below a folder are named as in RAVDESS."""
    return mostly_named(root, _LIKE)


def find_ravdess(
    root: Path, channel: str = "both", modality: str = "sound"
) -> tuple[list[LabelledClip], PreparationReport]:
    """Find recordings at any depth below a folder, one file of each take, by actor and name; persons are `ravdess-<actor>`.

    The modality is `sound` for takes with sound, `faces` for takes with video, in both cases the audio-visual file where there is
    one; or exactly `audio-visual`, `video-only` or `audio-only`. The report, see `prepare`, also drops names that are none of
    RAVDESS, songs with an expression that the set only has in speech, and other files of a take, and notes recordings that
    actors lack although most have them.

    Raises:
        VidferError: The folder is missing, holds no such recording, a choice is unknown, or an emotion code is.
    """
    for what, given, known in (("modality", modality, MODALITIES), ("channel", channel, CHANNELS)):
        if given not in known:
            raise VidferError(f"{what} '{given}' of RAVDESS is none of {', '.join(known)}")
    wanted, channels = MODALITIES[modality], CHANNELS[channel]
    dropped: dict[str, list[str]] = defaultdict(list)
    found = []
    for path in media_files(root):
        recording = parse_name(path)
        if recording is None:
            _require_known_label(path)
            dropped["name is none of RAVDESS"].append(path.name)
        elif recording.modality not in wanted or recording.channel not in channels:
            continue
        elif recording.channel == 2 and recording.emotion in _SPEECH_ONLY:
            dropped["a song, and the set has none with this expression"].append(path.name)
        else:
            found.append(recording)
    if not found:
        raise VidferError(
            f"no recording ({channel}, {modality}) in {root}: expected names like 03-01-05-01-02-01-12.wav"
        )
    noted = {"missing": missing} if (missing := _missing(found)) else {}
    found.sort(key=lambda r: wanted.index(r.modality))
    named = [(r.path.stem[3:], LabelledClip(r.path, EMOTION_CODES[r.emotion], f"ravdess-{r.actor}")) for r in found]
    takes = one_file_of_each(named, dropped)
    clips = sorted(takes.values(), key=lambda clip: (clip.path.stem[-2:], clip.path.name))
    return prepare(f"RAVDESS in {root.name}", root, clips, dropped, noted)


def _missing(found: list[Recording]) -> list[str]:
    form = Counter(r.modality for r in found).most_common(1)[0][0]  # of takes that are not there, the form is a guess
    missing = missing_takes((r.path.stem[3:-3], f"{r.actor:02d}") for r in found)
    return [
        f"{form:02d}-{script}-{actor}"
        for script, actor in missing
        if not (actor == _NEVER_SANG and script.startswith("02"))
    ]


def _require_known_label(path: Path) -> None:
    match = _LIKE.fullmatch(path.stem)
    if match and int(match[1]) not in EMOTION_CODES:
        codes = ", ".join(f"{code:02d} {name}" for code, name in EMOTION_CODES.items())
        raise VidferError(
            f"{path}: emotion {match[1]} is none of RAVDESS ({codes}): correct the name or remove the file"
        )
