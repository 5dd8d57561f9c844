"""Generated stand-ins for FER2013 and RAVDESS, drawn and synthesised by rule, so that every training runs without a data set."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vidfer.datasets.ravdess import EMOTION_CODES
from vidfer.pipeline.atomic import naming, replacing, write_atomic
from vidfer.types import EMOTIONS, VidferError

RATE: Final = 16_000
_MARK = "made_by_vidfer.txt"


class Face(NamedTuple):
    """How an expression is drawn, in shares of the face."""

    corners: float  # height of the mouth's corners over its middle; smiles are positive
    opening: float  # half the height of the open mouth
    brows: float  # height of the brows over the eyes
    slant: float  # how far the brows' inner ends lie under the outer ones
    eyes: float  # half the height of the eyes
    nose: float  # strength of the wrinkle over the nose, in [0, 1]


class Voice(NamedTuple):
    """How an expression sounds."""

    pitch: float  # mean pitch relative to the speaker's
    swing: float  # depth of the pitch's slow swing
    level: float  # loudness
    rate: float  # syllables a second
    tilt: float  # how fast the overtones fall off: high is dull
    breath: float  # share of noise


FACES: Final = {
    "angry": Face(-0.04, 0.01, 0.05, 0.07, 0.035, 0.3),
    "disgust": Face(-0.06, 0.03, 0.07, 0.02, 0.020, 1.0),
    "fear": Face(-0.03, 0.05, 0.15, -0.06, 0.065, 0.0),
    "happy": Face(0.09, 0.03, 0.11, 0.0, 0.030, 0.0),
    "sad": Face(-0.08, 0.0, 0.11, -0.07, 0.025, 0.0),
    "surprise": Face(0.0, 0.10, 0.17, 0.0, 0.070, 0.0),
    "neutral": Face(0.0, 0.0, 0.10, 0.0, 0.040, 0.0),
}
"""The seven drawn expressions."""

VOICES: Final = {
    "angry": Voice(1.25, 0.15, 0.9, 5.5, 0.6, 0.10),
    "disgust": Voice(0.90, 0.10, 0.5, 3.0, 1.0, 0.35),
    "fear": Voice(1.50, 0.05, 0.5, 6.5, 1.2, 0.30),
    "happy": Voice(1.35, 0.30, 0.8, 5.0, 0.8, 0.05),
    "sad": Voice(0.85, 0.05, 0.25, 2.5, 1.8, 0.20),
    "surprise": Voice(1.60, 0.45, 0.7, 3.5, 0.8, 0.10),
    "neutral": Voice(1.00, 0.08, 0.45, 4.0, 1.2, 0.05),
}
"""The seven synthesised voices."""


def _is_made(root: Path) -> bool:
    if root.exists() and not root.is_dir():
        raise VidferError(f"{root} is no folder: samples are written into one, give another root")
    return (root / _MARK).exists()


def write_faces(root: Path, *, train: int = 40, test: int = 15, seed: int = 0) -> Path:
    """Draw so many faces of each class in FER2013's layout, unless they are there already; return `root`."""
    import cv2

    if _is_made(root):
        return root
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("public_test", test)):
        for name in EMOTIONS:
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                png = cv2.imencode(".png", draw_face(name, rng))[1].tobytes()  # imwrite hides that a disk is full
                with naming(place := folder / f"sample_{name}_{index:04d}.png"):
                    place.write_bytes(png)
    write_atomic(root / _MARK, "Sample (drawn) faces: no person, no benchmark.\n")
    return root


def write_sounds(root: Path, *, actors: Collection[int] = range(1, 7), seconds: float = 1.2, seed: int = 0) -> Path:
    """Synthesise voices of actors (1 to 24, odd ones speak lower) in RAVDESS' layout, unless they are there; return `root`."""
    from scipy.io import wavfile

    if _is_made(root):
        return root
    rng = np.random.default_rng(seed)
    for actor in actors:
        folder = root / f"Actor_{actor:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        base = rng.uniform(95, 135) if actor % 2 else rng.uniform(170, 230)
        for code, name in EMOTION_CODES.items():
            for repetition in (1, 2):
                samples = synthesise(name, base, seconds, rng)
                path = folder / f"03-01-{code:02d}-01-01-{repetition:02d}-{actor:02d}.wav"
                with naming(path):
                    wavfile.write(path, RATE, (samples * 32767).astype(np.int16))
    write_atomic(root / _MARK, "Sample (synthesised) voices: no person, no benchmark.\n")
    return root


def draw_face(name: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw a face that shows an expression: uint8 `(48, 48)`."""
    import cv2

    size = 192
    style = FACES[name]
    jitter = rng.normal(0, 0.007, 6)
    corners, opening, brows, slant, eyes, nose = (a + b for a, b in zip(style, jitter, strict=True))
    skin, dark = rng.uniform(120, 220), rng.uniform(10, 60)
    image: npt.NDArray[Any] = np.full((size, size), rng.uniform(20, 120), np.float32)
    width = rng.uniform(0.36, 0.44)

    def at(x: float, y: float) -> tuple[int, int]:
        return round((0.5 + x) * size), round((0.5 + y) * size)

    cv2.ellipse(image, at(0, 0), (round(width * size), round(0.47 * size)), 0, 0, 360, skin, -1)
    for side in (-1, 1):
        eye = (max(round(0.07 * size), 1), max(round(eyes * size), 1))
        cv2.ellipse(image, at(side * 0.17, -0.12), eye, 0, 0, 360, 245.0, -1)
        cv2.circle(image, at(side * 0.17, -0.12), max(min(eye) - 1, 2), dark, -1)
        inner, outer = at(side * 0.08, -0.12 - brows + slant), at(side * 0.26, -0.12 - brows)
        cv2.line(image, inner, outer, dark, 6)
        if nose > 0.1:
            cv2.line(image, at(side * 0.03, -0.05), at(side * 0.09, 0.05), skin * (1 - 0.5 * nose), 4)
    cv2.line(image, at(0, -0.05), at(0.02, 0.08), skin * 0.7, 4)
    across = np.linspace(-1, 1, 21)
    middle = 0.25 - corners * across**2 + corners / 2
    gap = np.maximum(opening, 0.008) * np.sqrt(1 - across**2)
    upper = [at(0.15 * x, y) for x, y in zip(across, middle - gap, strict=True)]
    lower = [at(0.15 * x, y) for x, y in zip(across, middle + gap, strict=True)]
    cv2.fillPoly(image, [np.array(upper + lower[::-1])], dark)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 5), rng.uniform(0.95, 1.1))
    turn[:, 2] = turn[:, 2] + rng.normal(0, 4, 2)
    image = cv2.warpAffine(image, turn, (size, size), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA) + rng.normal(0, 5, (48, 48))
    return np.asarray(small.clip(0, 255), np.uint8)


def synthesise(name: str, base: float, seconds: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Synthesise an expression at a speaker's mean pitch `base` in Hz: samples in [-1, 1] at 16 kHz.

    A voice is overtones of a swinging pitch, shaped by formants and syllables, and breath.
    """
    voice = Voice(*(value * rng.uniform(0.92, 1.08) for value in VOICES[name]))
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = base * voice.pitch * (1 + voice.swing * np.sin(2 * np.pi * (0.8 * time + rng.uniform())))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = np.array([rng.uniform(500, 800), rng.uniform(1100, 1700), rng.uniform(2300, 2800)])
    overtone = np.arange(1, 21)[:, None]
    shape = 0.1 + (1 / (1 + ((overtone * base * voice.pitch - formants) / 150) ** 2)).sum(1, keepdims=True)
    sound = (shape * overtone**-voice.tilt * np.sin(overtone * phase)).sum(0)
    sound /= np.abs(sound).max()
    sound += voice.breath * rng.normal(0, 0.3, len(time))
    syllables = 0.15 + np.abs(np.sin(np.pi * voice.rate * time)) ** 1.5
    return np.asarray(np.clip(0.6 * voice.level * syllables * sound, -1, 1))


WIDTH, HEIGHT, FPS = 640, 480, 25
SAMPLING_RATE = 16_000

_FACE = (222.0, 115.0)
_LEFT = 32  # columns of the photograph that no view shows
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410))
"""Formants in Hz of the vowels in "had", "bed", "beet" and "bought" (Peterson and Barney, 1952, men's means)."""


def write_demo_clip(path: Path, *, seconds: float = 10.0, noise_sigma: float = 4.0) -> None:
    """Write an MP4 of scikit-image's astronaut portrait: slow pan and zoom, noise of `noise_sigma` (0-255), voice-like sound."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast", "bf": "0"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=SAMPLING_RATE, layout="mono")
        rng = np.random.default_rng(0)
        portrait = _portrait()
        noise = rng.normal(0, noise_sigma, (2 * HEIGHT, 2 * WIDTH, 3)).astype(np.float32)
        for at in np.linspace(0, 1, round(seconds * FPS)):
            image = _view(portrait, at)
            top, left = rng.integers(HEIGHT), rng.integers(WIDTH)
            noisy = np.clip((image + noise[top : top + HEIGHT, left : left + WIDTH]).round(), 0, 255).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(_voice(seconds)[None], format="fltp", layout="mono")
        sound.sample_rate = SAMPLING_RATE
        container.mux(audio.encode(sound))
        container.mux(audio.encode())


def _portrait() -> npt.NDArray[np.uint8]:
    """Return what the camera sees of scikit-image's astronaut, NASA's portrait of Eileen Collins: uint8 `(264, 512, 3)`."""
    from PIL import Image

    with Image.open(Path(__file__).with_name("portrait.png")) as part:
        seen = np.asarray(part.convert("RGB"))
    return np.pad(seen, ((0, 0), (_LEFT, 512 - _LEFT - seen.shape[1]), (0, 0)))


def _view(portrait: npt.NDArray[np.uint8], at: float) -> npt.NDArray[np.uint8]:
    """Look through the camera at time `at` in [0, 1]: a 4:3 window around the face that drifts and closes in."""
    import cv2

    width = 330.0 - 90.0 * at
    scale = WIDTH / width
    x = _FACE[0] + 18.0 * np.sin(2 * np.pi * at)
    y = _FACE[1] + 12.0 * np.cos(2 * np.pi * at)
    shift = np.array([[scale, 0, WIDTH / 2 - scale * x], [0, scale, HEIGHT / 2 - scale * y]])
    view = cv2.warpAffine(portrait, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(view, np.uint8)


def _voice(seconds: float) -> npt.NDArray[np.float32]:
    """Sing vowels: a pulse train of lively pitch through three resonators, four syllables a second, short pauses."""
    time = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    pitch = 210.0 + 45.0 * np.sin(2 * np.pi * 0.6 * time) + 15.0 * np.sin(2 * np.pi * 2.3 * time)
    phase = np.cumsum(pitch) / SAMPLING_RATE
    pulses = np.diff(np.floor(phase), prepend=0.0)
    syllable = (4.0 * time).astype(int)
    voice = np.zeros_like(time)
    for number, formants in enumerate(_VOWELS):
        sound = pulses * (syllable % len(_VOWELS) == number)
        for formant in formants:
            radius = np.exp(-np.pi * 90.0 / SAMPLING_RATE)
            turn = 2 * np.cos(2 * np.pi * formant / SAMPLING_RATE)
            sound = _resonate(sound, radius, turn)
        voice += sound
    loudness = np.sin(np.pi * (4.0 * time % 1.0)) ** 2 * (syllable % 11 < 9)
    voice *= loudness
    breath = np.random.default_rng(1).normal(0, 1e-3, time.shape)
    return np.asarray(0.5 * voice / np.abs(voice).max() + breath, np.float32)


def _resonate(sound: npt.NDArray[np.float64], radius: float, turn: float) -> npt.NDArray[np.float64]:
    """Filter by `(1 - r) / (1 - r t z^-1 + r^2 z^-2)`: by spectra, since the answer to a pulse has died away after a second."""
    size = len(sound) + SAMPLING_RATE
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    gain = (1 - radius) / (1 - radius * turn * z + (radius * z) ** 2)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound, size) * gain, size)[: len(sound)])
