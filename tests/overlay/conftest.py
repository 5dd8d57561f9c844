"""Clips whose frames carry their number as bars, with sound, of many kinds; and tables of people in them."""

from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest

from tests.in_process import in_process as in_process_child
from vidfer.overlay import write
from vidfer.overlay.child import handle
from vidfer.results.schema import typed
from vidfer.types import EMOTIONS

WIDTH, HEIGHT = 192, 144
BITS = 8


def frame_of(number, width=WIDTH, height=HEIGHT):
    """Return a gray RGB frame, `(H, W, 3)` uint8, with its number in eight bars along its upper edge."""
    image = np.full((height, width, 3), 120, np.uint8)
    for bit in range(BITS):
        left, right = (round(width * at / BITS) for at in (bit, bit + 1))
        image[: height // 6, left:right] = 220 if number >> bit & 1 else 30
    return image


def number_of(image):
    """Read the number back from a frame, whatever its size is."""
    height, width = image.shape[:2]
    columns = [round(width * (bit + 0.5) / BITS) for bit in range(BITS)]
    return sum(int(image[height // 16, column].mean() > 125) << bit for bit, column in enumerate(columns))


def tone(count, rate, start=0):
    """Return a rising tone, so that a shift shows, float32 `(count,)`."""
    at = (start + np.arange(count)) / rate
    return (0.4 * np.sin(2 * np.pi * (220 + 100 * at) * at)).astype(np.float32)


def write_clip_file(
    path,
    times,
    *,
    rate=25,
    base=Fraction(1, 90_000),
    codec="libx264",
    pix_fmt="yuv420p",
    size=(WIDTH, HEIGHT),
    rotation=0,
    aspect=None,
    colours=(),
    sound="aac",
    seconds=None,
    sound_start=0.0,
    layout="mono",
    sampling=48_000,
    options=None,
):
    """Write numbered frames at times in s, and a tone as long as they are."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.codec_context.time_base = base
        video.time_base = base
        if rotation:
            video.set_display_rotation(rotation)
        if aspect:
            video.sample_aspect_ratio = aspect
        for name, value in dict(colours).items():
            setattr(video.codec_context, name, value)
        audio = container.add_stream(sound, rate=sampling, layout=layout) if sound else None
        packets = list(_pictures(video, times, base, size))
        if audio is not None:
            length = times[-1] - times[0] + 1 / rate if seconds is None else seconds
            packets += _sound(audio, length, sampling, layout, times[0] + sound_start)
        for packet in sorted(packets, key=lambda each: float(each.dts * each.time_base)):
            container.mux(packet)
    return path


def _pictures(stream, times, base, size):
    for number, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(frame_of(number, *size), format="rgb24")
        frame.pts, frame.time_base = round(time / base), base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(stream, seconds, rate, layout, start):
    channels = len(av.AudioLayout(layout).channels)
    kind = stream.codec_context.format.name
    signal = np.repeat(tone(round(seconds * rate), rate)[None], channels, 0)
    resampler = av.AudioResampler(
        format=kind, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size or 0
    )
    whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(signal), format="fltp", layout=layout)
    whole.sample_rate = rate
    whole.pts, whole.time_base = round(start * rate), Fraction(1, rate)
    for frame in [*resampler.resample(whole), *resampler.resample(None)]:
        yield from stream.encode(frame)
    yield from stream.encode(None)


def people_of(boxes, *, step=0.2, cuts=(), times=None, duration=10.0, sound="ok", **smooth):
    """Return tables and a summary of people: `boxes` has for each number a list of `(time, box)`."""
    rows = [
        {"person_id": f"c#{number}", "frame": 0, "time_s": time, "status": "face", "flaws": "", "number": number}
        | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
        for number, seen in boxes.items()
        for time, box in seen
    ]
    for time in times or ():
        rows += [] if any(row["time_s"] == time for row in rows) else [{"time_s": time, "status": "no_face"}]
    frames = pd.DataFrame(
        rows, columns=["person_id", "frame", "time_s", "status", "flaws", "x0", "y0", "x1", "y1", "number"]
    )
    shares = {**dict.fromkeys(EMOTIONS, 0.05), "happy": 0.7, **smooth}
    there = frames["x0"].notna()
    for name, share in shares.items():
        frames[f"smooth_{name}"] = np.where(there, share, np.nan)
    frames["smooth_expression"] = np.where(there, max(shares, key=shares.__getitem__), None)
    people = pd.DataFrame(
        {
            "person_id": [f"c#{number}" for number in boxes],
            "person": list(boxes),
            "n_faces": [len(seen) for seen in boxes.values()],
        }
    )
    windows = pd.DataFrame({"start_s": [0.0], "end_s": [duration], "status": [sound], "speech": [0.5]})
    seconds = pd.DataFrame(
        {"start_s": [0.0], "end_s": [duration], "sound_status": [sound], "sound_expression": ["sad"]}
    )
    tables = {
        "frames": typed("frames", frames.drop(columns="number")),
        "people": typed("people", people),
        "seconds": typed("seconds", seconds.assign(sound_sad=0.4)),
        "windows": typed("windows", windows),
    }
    media = {"step_s": step, "cuts_s": list(cuts), "codec": "h264", "duration_s": duration}
    return tables, {"media": media}


InProcess = in_process_child(handle)


@pytest.fixture
def in_process(monkeypatch):
    """Let overlays be drawn in this process."""
    monkeypatch.setattr(write, "Child", InProcess)


def read_back(path):
    """Return what a file holds by PyAV: frames, their times and the end of the last in s; packets and samples of the sound."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video))
        start = min(0, container.start_time or 0) / 1e6
        times = [frame.time - (container.start_time or 0) / 1e6 + start for frame in frames]
        end = times[-1] + float(frames[-1].duration * frames[-1].time_base)
        if video.duration:
            end = float((video.start_time + video.duration) * video.time_base) - (container.start_time or 0) / 1e6
    packets, samples, first, rate, codec = [], [], 0.0, 0, ""
    with av.open(str(path)) as container:
        if container.streams.audio:
            packets = [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]
    with av.open(str(path)) as container:
        if container.streams.audio:
            decoded = list(container.decode(container.streams.audio[0]))
            rate, codec = decoded[0].sample_rate, container.streams.audio[0].codec.canonical_name
            first = decoded[0].time - (container.start_time or 0) / 1e6 + start
            resampler = av.AudioResampler(format="fltp", layout=decoded[0].layout.name, rate=decoded[0].sample_rate)
            for frame in decoded:
                frame.pts = None
                samples += [each.to_ndarray() for each in resampler.resample(frame)]
    sound = np.concatenate(samples, axis=1) if samples else np.zeros((0, 0))
    return {
        "frames": frames,
        "times": times,
        "end": end,
        "packets": packets,
        "sound": sound,
        "first": first,
        "rate": rate,
        "codec": codec,
    }
