"""A clip made on the spot: a bundled portrait under a moving camera, with a synthesised voice."""

from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from skimage import data

from vidfer.pipeline.atomic import replacing

WIDTH, HEIGHT, FPS = 640, 480, 25
SAMPLING_RATE = 16_000

_FACE = (222.0, 115.0)
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410))
"""Formants in Hz of the vowels in "had", "bed", "beet" and "bought" (Peterson and Barney, 1952, men's means)."""


def write_demo_clip(path: Path, *, seconds: float = 10.0, noise_sigma: float = 4.0) -> None:
    """Write an MP4 of scikit-image's astronaut portrait: slow pan and zoom, noise of `noise_sigma` (0-255), voice-like sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast", "bf": "0"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=SAMPLING_RATE, layout="mono")
        rng = np.random.default_rng(0)
        portrait = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
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


def _view(portrait: npt.NDArray[np.uint8], at: float) -> npt.NDArray[np.uint8]:
    """Look through the camera at time `at` in [0, 1]: a 4:3 window around the face that drifts and closes in."""
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
            sound = lfilter([1 - radius], [1, -radius * turn, radius * radius], sound)
        voice += sound
    loudness = np.sin(np.pi * (4.0 * time % 1.0)) ** 2 * (syllable % 11 < 9)
    voice *= loudness
    breath = np.random.default_rng(1).normal(0, 1e-3, time.shape)
    return np.asarray(0.5 * voice / np.abs(voice).max() + breath, np.float32)
