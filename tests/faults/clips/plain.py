"""A plain clip of a face with sound, in as many different copies as are wanted."""

from pathlib import Path

import numpy as np

from tests.faults.clips import Kind
from vidfer.datasets.photos import read_sample

SIZE, FPS, RATE = 160, 25, 16_000


def write_face_clip(path: Path, number: int = 0, frames: int = 10, *, sound: bool = True) -> Path:
    """Write an MP4 of a face that stands somewhere else in each copy, and perhaps a tone of another pitch."""
    import av

    photo = read_sample("astronaut")
    view = photo[20 : 20 + SIZE, 130 + number : 130 + number + SIZE]
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("mpeg4", rate=FPS, options={"flags": "+bitexact"})
        video.width, video.height, video.pix_fmt, video.bit_rate = SIZE, SIZE, "yuv420p", 2_000_000
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=RATE, layout="mono", options={"flags": "+bitexact"}) if sound else None
        for step in range(frames):
            image = np.roll(view, step % 3, axis=1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(video.encode())
        if audio is None:
            return path
        times = np.arange(RATE * frames // FPS) / RATE
        tone = (0.2 * np.sin(2 * np.pi * (200 + 5 * number) * times)).astype(np.float32)
        heard = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        heard.sample_rate = RATE
        container.mux(audio.encode(heard))
        container.mux(audio.encode())
    return path


KINDS = (
    Kind("face_and_sound", lambda folder: write_face_clip(folder / "face.mp4")),
    Kind("face_alone", lambda folder: write_face_clip(folder / "face.mp4", 7, sound=False)),
    Kind("face_for_two_seconds", lambda folder: write_face_clip(folder / "face.mp4", 11, 50)),
    Kind("face_for_one_frame", lambda folder: write_face_clip(folder / "face.mp4", 3, 1)),
)
