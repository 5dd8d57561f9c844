"""Sound of a clip as openSMILE vectors of short windows, computed in a child process that serves many clips."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.child import Header, require_local_file
from vidfer.media.kept import KeptChild
from vidfer.media.loudness import BEAT, TARGET
from vidfer.pipeline.paths import is_folder
from vidfer.types import TRANSIENT, ClipError, Status

FEATURES: Final = 1582
"""Numbers in a vector: the functionals of the INTERSPEECH 2010 paralinguistic challenge."""

RATE: Final = 16_000
"""Sampling rate in Hz of what the features are computed from."""

_NOTHING: Final = np.zeros(FEATURES, np.float32)

CHILD: Final = KeptChild("vidfer.media.audio_child")
"""The process that computes the vectors, kept from one clip to the next."""


@dataclass(frozen=True, eq=False)
class AudioWindows:
    """The sound of one clip.

    Args:
        times: `(W, 2)` float64, start and end of each window in seconds on the clip's time line.
        vectors: `(W, 1582)` float32; zeros where the window is silent.
        speech: `(W,)` float32 in [0, 1], the share of each window's time in which someone speaks; 0 where it is silent.
        window_status: For each window `ok`, `silent`, or `no_voice` where `speech` is below `SPEECH_SHARE`.
        status: `ok`, `partial`, `silent` (every window), `no_audio`, `too_short`, `invalid_audio`, `corrupt` or
            `unsupported`; there are windows in the first three cases only.
        message: What is the matter, and the notes; empty if nothing is to be said.
        loudness: Of the whole in LUFS before the gain; None if it was not measured, or of silence.
        gain: In dB, which the whole was amplified by.
        notes: Which of several tracks was taken, which channel is heard where the mean cancels out, and why pictures and sound
            may lie apart.
    """

    times: NDArray[np.float64]
    vectors: NDArray[np.float32]
    speech: NDArray[np.float32]
    window_status: list[str]
    status: Status
    message: str
    loudness: float | None = None
    gain: float = 0.0
    notes: str = ""


def read_windows(
    path: str | Path,
    *,
    win_dur: float = 2.0,
    hop_dur: float = 1.0,
    speed: float = 1.0,
    vad: bool = True,
    loudness: float | None = TARGET,
    augment: str = "",
    timeout: float = 120.0,
    progress: Callable[[float], None] = lambda _share: None,
) -> AudioWindows:
    """Compute a vector for every window of a clip's sound track: the one flagged as default, else the first.

    The sound is mixed to mono and resampled to 16 kHz: the mean of the channels, or the loudest one where that would cancel the
    sound (stereo in antiphase; see `Downmix`). Pauses between its time stamps are silence. A clip shorter than a window gives
    one window of the whole, from 100 ms on. What is left of a longer clip after its last whole window gets one more that ends
    with the clip, if it is half a hop or more. A window whose peak stays below -80 dB is silent and gets no vector; one in
    which hardly anyone speaks is marked, so that no prediction is made from music and noise.

    All this is said of the sound after one gain for the whole recording, see `LoudnessMeter.gain`, so that how loud it was
    recorded, or is played, changes nothing; without it, features and the answer hang on the recording's level. A recording
    whose peak stays below -80 dB is silent as it is.

    Args:
        path: A local file, with or without video.
        win_dur: Length of a window in seconds, at least 0.1.
        hop_dur: Seconds from one window to the next, greater than 0 and at most `win_dur`.
        speed: Playing speed, above 0, which changes tempo and pitch together; windows are of the sound as played, and their
            times those in the clip.
        vad: Whether to detect speech, two thirds of the work; else every window that is not silent counts as speech.
        augment: How the sound, as played, is made worse before its loudness is measured, see `spoil`; nothing leaves it.
        loudness: Loudness in LUFS that the recording is brought to; None leaves it as it is.
        timeout: Seconds of waiting that are allowed beyond the playing time of what was processed, and for any one answer.
        progress: Called after each window with a share in [0, 1] of the sound, too small by up to a minute's.

    Raises:
        ClipError: `unreadable`, `timeout`, `crashed` or `out_of_memory`; everything else is a status of the result.
        ValueError: Senseless durations.

    References:
        Schuller, Steidl, Batliner, Burkhardt, Devillers, Müller, Narayanan, The INTERSPEECH 2010 Paralinguistic Challenge,
        Interspeech 2010. Eyben, Wöllmer, Schuller, openSMILE, ACM Multimedia 2010.
    """
    if not (win_dur >= 0.1 and 0 < hop_dur <= win_dur):
        raise ValueError(f"need win_dur >= 0.1 and 0 < hop_dur <= win_dur, not {win_dur} and {hop_dur}")
    length = float(BEAT)  # seconds at the most, as far as is known
    heard: Header = {"loudness": None, "gain": 0.0, "notes": ""}
    windows: list[Header] = []
    vectors: list[NDArray[np.float32]] = []
    try:
        if is_folder(Path(path)):
            raise ClipError(Status.NO_AUDIO, "pictures have no sound")
        request = {"path": require_local_file(path), "win_dur": win_dur, "hop_dur": hop_dur}
        with CHILD.lend(timeout=timeout) as child:
            child.send({**request, "speed": speed, "vad": vad, "loudness": loudness, "augment": augment})
            while "end" not in (answer := child.receive())[0]:
                header, payload = answer
                if "measured" in header:
                    child.left = min(timeout, child.left + BEAT)
                    length += BEAT
                    continue
                windows.append(header)
                vectors.append(np.frombuffer(payload, np.float32) if len(payload) else _NOTHING)
                child.left = min(timeout, child.left + hop_dur * max(speed, 1.0))
                progress(min(1.0, (header["stop"] - windows[0]["start"]) / length))
        heard = answer[0]
        status, message = _overall({window["status"] for window in windows}, heard)
    except ClipError as error:
        if error.status in TRANSIENT:
            raise
        windows, vectors, status, message = [], [], error.status, error.message
    return AudioWindows(
        times=np.array([(window["start"], window["stop"]) for window in windows], np.float64).reshape(-1, 2),
        vectors=np.array(vectors, np.float32).reshape(-1, FEATURES),
        speech=np.array([window["speech"] for window in windows], np.float32),
        window_status=[window["status"] for window in windows],
        status=status,
        message=message,
        loudness=heard["loudness"],
        gain=heard["gain"],
        notes=heard["notes"],
    )


def _overall(states: set[str], end: Header) -> tuple[Status, str]:
    """Return the status of the whole sound, and a message with the notes in the end."""
    if not states:
        length = f"{1000 * end['seconds']:.0f} ms"
        status, message = Status.TOO_SHORT, f"{length} of sound are too short: openSMILE needs 100 ms"
    elif states == {"silent"}:
        status, message = Status.SILENT, "the sound is silent"
    elif end["end"]:
        status, message = Status.PARTIAL, f"the sound {end['end']}"
    else:
        status, message = Status.OK, ""
    return status, "; ".join(filter(None, [message, end["notes"]]))
