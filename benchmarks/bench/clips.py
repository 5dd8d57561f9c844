"""Clips to measure on: scikit-image's astronaut portrait, moving, with the demo's voice; made once and kept in the cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

FPS: Final = 25
_LOOP: Final = 10 * FPS
"""Frames until the motion begins anew; longer clips repeat the encoded ones."""

_VERSION: Final = 2
_RATE: Final = 16_000
_FACE: Final = (222.0, 115.0)
"""Middle of the face in the portrait, px."""

_EDGES: Final = (176.0, 65.0, 268.0, 178.0)
"""The face in the portrait, from the hair to the chin: left, top, right, bottom in px."""


@dataclass(frozen=True)
class Clip:
    """A clip to be made: size in px, length in s, number of faces side by side, and whether it has sound."""

    width: int = 640
    height: int = 480
    seconds: float = 10.0
    faces: int = 1
    sound: bool = True

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * FPS)

    @property
    def name(self) -> str:
        """Name of the file."""
        sound = "" if self.sound else "_silent"
        return f"{self.width}x{self.height}_{self.faces}_{self.seconds:g}s{sound}_v{_VERSION}.mp4"

    def __str__(self) -> str:
        """Return size and faces in words."""
        return f"{self.width}x{self.height}, {'one face' if self.faces == 1 else f'{self.faces} faces'}"

    def path(self) -> Path:
        """Return the file, which is made if it is not in the cache."""
        from vidfer.pipeline.atomic import replacing

        path = cache_folder() / self.name
        if not path.exists():
            with replacing(path) as part:
                _write(self, Path(part))
        return path


def cache_folder() -> Path:
    """Return the folder of what is made once: `$VIDFER_BENCH_CLIPS`, or `vidfer-bench` in the user's cache folder."""
    from vidfer.pipeline.store import user_folder

    folder = user_folder("VIDFER_BENCH_CLIPS", "vidfer-bench")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def boxes(clip: Clip, number: int) -> NDArray[np.float64]:
    """Return where the faces of one frame are, `(faces, 4)`: left, top, right and bottom in px, as they were drawn."""
    left, top, right, bottom = _EDGES
    corners = np.array([[left, top, 1.0], [right, bottom, 1.0]])
    found = []
    for panel in range(clip.faces):
        box = corners @ _motion(clip, panel, number).T
        box[:, 0] += panel * (clip.width // clip.faces)
        found.append(box.ravel())
    return np.array(found)


def variants(clip: Path, count: int, folder: Path) -> list[Path]:
    """Write copies of a clip that differ in their metadata alone, so that each is another clip to the store."""
    import av

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"clip_{number:04}.mp4" for number in range(count)]
    with av.open(str(clip)) as source:
        packets = [packet for packet in source.demux() if packet.dts is not None]
        for number, path in enumerate(paths):
            with av.open(str(path), "w", format="mp4") as target:
                target.metadata["comment"] = f"copy {number}"
                streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
                for packet in packets:
                    stream, packet.stream = packet.stream, streams[packet.stream.index]
                    target.mux(packet)
                    packet.stream = stream
    return paths


def decoded(path: Path, seconds: float | None = None) -> Iterator[tuple[float, Image]]:
    """Yield time in s and image `(H, W, 3)` RGB of each frame, by PyAV on one thread."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if seconds is not None and frame.time >= seconds:
                return
            yield frame.time, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def samples(path: Path) -> NDArray[np.float32]:
    """Return a clip's sound `(N,)`, mono at 16 kHz in [-1, 1]."""
    import av

    resampler = av.AudioResampler(format="fltp", layout="mono", rate=_RATE)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


def _write(clip: Clip, path: Path) -> None:
    """Encode one round of the motion, and repeat its packets."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "23", "preset": "veryfast", "bf": "0"})
        video.width, video.height, video.pix_fmt = clip.width, clip.height, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, FPS)
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=_RATE, layout="mono") if clip.sound else None
        loop = [bytes(packet) for packet in _encode(clip, video)]
        for number in range(clip.frames):
            packet = av.Packet(loop[number % len(loop)])
            packet.stream, packet.time_base = video, Fraction(1, FPS)
            packet.pts = packet.dts = number
            packet.duration, packet.is_keyframe = 1, number % len(loop) == 0
            container.mux(packet)
        if audio is not None:
            _add_sound(container, audio, clip.seconds)


def _encode(clip: Clip, video: Any) -> Iterator[Any]:  # noqa: ANN401 - PyAV's
    import av

    rng = np.random.default_rng(0)
    noise = rng.normal(0, 4.0, (clip.height + 64, clip.width + 64, 3)).round().astype(np.int16)
    for number in range(min(_LOOP, clip.frames)):
        top, left = rng.integers(64, size=2)
        noisy = draw(clip, number) + noise[top : top + clip.height, left : left + clip.width]
        frame = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        yield from video.encode(frame)
    yield from video.encode()


def draw(clip: Clip, number: int) -> Image:
    """Draw one frame without noise: each face has a panel of its own, as in a video call."""
    import cv2

    from vidfer.datasets.photos import read_sample

    portrait, width = read_sample("astronaut"), clip.width // clip.faces
    panels = [
        cv2.warpAffine(portrait, _motion(clip, panel, number), (width, clip.height), borderMode=cv2.BORDER_REPLICATE)
        for panel in range(clip.faces)
    ]
    image = np.zeros((clip.height, clip.width, 3), np.uint8)
    image[:, : width * clip.faces] = np.hstack(panels)
    return image


def _motion(clip: Clip, panel: int, number: int) -> NDArray[np.float64]:
    """Return the affine transform `(2, 3)` from the portrait to a panel: it sways, and closes in and out."""
    at = 2 * np.pi * (number % _LOOP / _LOOP + panel / clip.faces)
    width, height = clip.width // clip.faces, clip.height
    scale = min(width, height) / 320 * (1.25 + 0.2 * np.sin(at))
    x, y = _FACE[0] + 18.0 * np.sin(at), _FACE[1] + 12.0 * np.cos(at)
    return np.array([[scale, 0, width / 2 - scale * x], [0, scale, height / 2 - scale * y]])


def _add_sound(container: Any, stream: Any, seconds: float) -> None:  # noqa: ANN401 - PyAV's
    """Encode the demo's voice, repeated as often as need be."""
    import av

    voice = _voice()
    left = round(seconds * _RATE)
    while left > 0:
        part = voice[:left]
        frame = av.AudioFrame.from_ndarray(part[None], format="fltp", layout="mono")
        frame.sample_rate = _RATE
        container.mux(stream.encode(frame))
        left -= len(part)
    container.mux(stream.encode())


@cache
def _voice() -> NDArray[np.float32]:
    """Return the sound of ten seconds of the demo clip."""
    from vidfer.datasets.synthetic import write_demo_clip

    with TemporaryDirectory() as folder:
        write_demo_clip(Path(folder) / "demo.mp4", seconds=10.0)
        return samples(Path(folder) / "demo.mp4")
