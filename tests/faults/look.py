"""What vidfer sees and hears of a clip that `film` wrote, in this process, since a child takes longer to start than to decode."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.film import pitch, read
from vidfer.media import audio_child, decode_child
from vidfer.media.audio_child import RATE, Listener
from vidfer.media.container import open_media
from vidfer.media.downmix import Downmix
from vidfer.types import ClipError

_LEVEL, _QUIET = 0.04, 0.03  # of a beep, and s of silence before it


@dataclass(frozen=True)
class Seen:
    """Times in s and numbers of frames, None where a frame is not upright or shows something else; what was said in the end."""

    frames: tuple[tuple[float, int | None], ...]
    said: str

    @property
    def numbers(self) -> list[int | None]:
        return [number for _, number in self.frames]

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.frames]


@dataclass(frozen=True)
class Heard:
    """Times in s and numbers of beeps, what is said of damage and of the time line, from when to when there is sound."""

    beeps: tuple[tuple[float, int], ...]
    damage: str
    doubt: str
    span: tuple[float, float]


def seen(path: Path, *, fps: float | None = None, every: int | None = None) -> Seen:
    """Decode the frames of a clip; by default all of them."""
    request = {"op": "frames", "path": str(path), "fps": fps, "every": every, "decoder": "auto", "max_pixels": 10**6}
    frames, said = [], ""
    try:
        for header, payload in decode_child.handle(request):
            if payload is not None:
                image = np.frombuffer(payload, np.uint8).reshape(header["height"], header["width"], 3)
                frames.append((header["pts"], read(image)))
    except ClipError as error:
        said = f"{error.status}: {error.message}"
    return Seen(tuple(frames), said)


def heard(path: Path) -> Heard:
    """Find the beeps in the samples that windows are cut from."""
    with open_media(str(path)) as container:
        listener = Listener(container, Downmix())
        wave = np.concatenate([np.zeros(0, np.float32), *listener.samples()])
        start = listener.offset or 0.0
        return Heard(_beeps(wave, start), listener.damage, listener.line.doubt(), (start, start + len(wave) / RATE))


def windows(path: Path, **how: object) -> tuple[list[tuple[dict[str, object], bytes]], dict[str, object]]:
    """Return the windows of a clip's sound as headers and vectors, and what is said in the end."""
    request = {"path": str(path), "win_dur": 2.0, "hop_dur": 1.0, "speed": 1.0, "vad": False, "loudness": None}
    *found, (end, _) = audio_child.handle({**request, "augment": "", **how})
    return [(header, bytes(vector or b"")) for header, vector in found if "start" in header], end


def _beeps(wave: np.ndarray, start: float) -> tuple[tuple[float, int], ...]:
    loud = np.flatnonzero(np.abs(wave) > _LEVEL)
    begins = loud[np.diff(loud, prepend=-RATE) > _QUIET * RATE]
    found = []
    for begin in begins.tolist():
        part = wave[begin + RATE // 100 : begin + 6 * RATE // 100]
        if len(part) > RATE // 50:
            tone = float(np.abs(np.fft.rfft(part * np.hanning(len(part)), RATE)).argmax())
            found.append((begin / RATE + start, round((tone - pitch(0)) / (pitch(1) - pitch(0)))))
    return tuple(found)
