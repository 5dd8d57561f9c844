"""Small files that announce much: pixels, hours, tracks, notes, rates."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.faults.odd.films import element, film, noise, tone, wav
from tests.faults.odd.pictures import gif, image, jpeg, png, saved, webp

JPEG = saved("JPEG", image(64, 48))
LARGE = png(12_288, 12_288, depth=1, colour=0)


def number(value: int, size: int = 4) -> bytes:
    """A number of Matroska."""
    return value.to_bytes(size)


def mkv(tracks: list[bytes], *clusters: bytes, more: bytes = b"", duration: float = 0.0) -> bytes:
    """A Matroska file; `duration` in ms is what it announces."""
    length = element(0x4489, struct.pack(">d", duration)) if duration else b""
    info = element(0x1549A966, element(0x2AD7B1, number(1_000_000)), length)
    body = element(0x18538067, info, element(0x1654AE6B, *tracks), more, *clusters)
    return element(0x1A45DFA3, element(0x4282, b"matroska")) + body


def pictures(place: int, width: int = 64, height: int = 48) -> bytes:
    """A track of JPEGs that says that they are so large."""
    size = element(0xE0, element(0xB0, number(width)), element(0xBA, number(height)))
    return element(0xAE, _numbers(place), element(0x83, b"\x01"), element(0x86, b"V_MJPEG"), size)


def sounds(place: int, channels: int = 1) -> bytes:
    """A track of 16-bit samples at 16 kHz."""
    kind = element(
        0xE1, element(0xB5, struct.pack(">d", 16_000.0)), element(0x9F, number(channels)), element(0x6264, b"\x10")
    )
    return element(0xAE, _numbers(place), element(0x83, b"\x02"), element(0x86, b"A_PCM/INT/LIT"), kind)


def _numbers(place: int) -> bytes:
    return element(0xD7, number(place)) + element(0x73C5, number(place))


def cluster(milliseconds: int, *blocks: tuple[int, int, bytes]) -> bytes:
    """Packets, each of a track, at a time in ms after the cluster's."""
    packed = [
        element(0xA3, (0x4000 | track).to_bytes(2) + struct.pack(">h", at) + b"\x80" + data)
        for track, at, data in blocks
    ]
    return element(0x1F43B675, element(0xE7, milliseconds.to_bytes(8)), *packed)


def _png_in_mov(folder: Path) -> Path:
    """Pictures of 12288x12288 px in a track that says 64x48."""
    with av.open(str(folder / "pixels.mov"), "w") as file:
        stream = file.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for place in range(3):
            packet = av.Packet(LARGE)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, place, place, Fraction(1, 10)
            packet.is_keyframe = True
            file.mux_one(packet)
    return folder / "pixels.mov"


def _grows(folder: Path) -> Path:
    """One small picture, and then one of 12288x12288 px."""
    with av.open(str(folder / "grows.mov"), "w") as file:
        stream = file.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for place, data in enumerate((png(64, 48), LARGE)):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, place, place, Fraction(1, 10)
            packet.is_keyframe = True
            file.mux_one(packet)
    return folder / "grows.mov"


def _bytes(name: str, data: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data())
        return folder / name

    return make


def _chapters(count: int) -> bytes:
    atoms = [
        element(
            0xB6,
            element(0x73C4, number(k + 1)),
            element(0x91, number(k * 10**6, 8)),
            element(0x80, element(0x85, b"c")),
        )
        for k in range(count)
    ]
    return element(0x1043A770, element(0x45B9, *atoms))


def _attachments(count: int) -> bytes:
    files = [
        element(0x61A7, element(0x466E, b"f%d" % k), element(0x4660, b"font/ttf"), element(0x465C, noise(200)))
        for k in range(count)
    ]
    return element(0x1941A469, *files)


def _tag(name: bytes, value: bytes) -> bytes:
    return element(0x67C8, element(0x45A3, name), element(0x4487, value))


def _tags(*tags: bytes) -> bytes:
    return element(0x1254C367, element(0x7373, element(0x63C0), *tags))


def _many_tags(count: int) -> bytes:
    return _tags(*(_tag(b"K%d" % k, b"v" * 900) for k in range(count)))


def _date(text: bytes) -> bytes:
    return _tags(_tag(b"CREATION_TIME", text))


ONE = cluster(0, (1, 0, JPEG))


def _at(step: int, count: int) -> bytes:
    """Pictures `step` ms apart."""
    return mkv([pictures(1)], *(cluster(k * step, (1, 0, JPEG)) for k in range(count)))


def _video(**how: Any) -> bytes:
    return mkv([pictures(1)], ONE, **how)


FILES: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "pixels_mov": (_png_in_mov, "too_large", "no_audio"),
    "pixels_grow": (_grows, "partial", "no_audio"),
    "pixels_mkv": (_bytes("pixels.mkv", lambda: mkv([pictures(1, 12_288, 12_288)], ONE)), "ok", "no_audio"),
    "pixels_png": (_bytes("pixels.png", lambda: png(12_288, 12_288)), "too_large", "no_audio"),
    "pixels_jpeg": (_bytes("pixels.jpg", lambda: jpeg(12_288, 12_288)), "too_large", "no_audio"),
    "pixels_webp": (_bytes("pixels.webp", lambda: webp(12_288, 12_288)), "too_large", "no_audio"),
    "pixels_gif": (_bytes("pixels.gif", lambda: gif((12_288, 12_288), (0, 0, 1, 1))), "too_large", "no_audio"),
    "pixels_gif_later": (
        _bytes("later.gif", lambda: gif((8, 8), (0, 0, 1, 1), (0, 0, 12_288, 12_288))), "too_large", "no_audio"
    ),
    "ten_hours": (_bytes("hours.mkv", lambda: _video(duration=36e6)), "partial", "no_audio"),
    "a_million_years": (_bytes("years.mkv", lambda: _video(duration=3e16)), "ok", "no_audio"),
    "tracks": (_bytes("tracks.mkv", lambda: mkv([pictures(k + 1) for k in range(10_000)], ONE)), "ok", "no_audio"),
    "tracks_of_sound": (
        _bytes("sounds.mkv", lambda: mkv([pictures(1), *(sounds(k + 2) for k in range(10_000))], ONE)), "ok", "too_short"
    ),
    "chapters": (_bytes("chapters.mkv", lambda: _video(more=_chapters(20_000))), "ok", "no_audio"),
    "attachments": (_bytes("attachments.mkv", lambda: _video(more=_attachments(3000))), "ok", "no_audio"),
    "one_tag_of_10_mb": (_bytes("tag.mkv", lambda: _video(more=_date(b"9" * 10**7))), "ok", "no_audio"),
    "tags": (_bytes("tags.mkv", lambda: _video(more=_many_tags(3000))), "ok", "no_audio"),
    "last_date": (_bytes("date.mkv", lambda: _video(more=_date(b"9999-12-31T23:59:59-14:00"))), "ok", "no_audio"),
    "times_beyond": (
        _bytes("beyond.mkv", lambda: _at(10**12, 20)), "partial", "no_audio"
    ),
    "a_million_hz": (lambda folder: film(folder / "fast.mkv", codec="mjpeg", pix_fmt="yuvj420p", clock=10**6,
        times=tuple(k / 1000 for k in range(40))), "ok", "no_audio"),
    "a_frame_in_a_day": (
        _bytes("slow.mkv", lambda: _at(86_400_000, 4)), "ok", "no_audio"
    ),
    "sound_at_1_hz": (_bytes("rate1.wav", lambda: wav(noise(100_000), rate=1)), "no_video", "unsupported"),
    "sound_at_1_mhz": (_bytes("rate1m.wav", lambda: wav(tone(0.2, 10**6)[0].tobytes(), rate=10**6)), "no_video", "ok"),
    "sound_at_2_ghz": (_bytes("rate2g.wav", lambda: wav(noise(10_000), rate=2**31 - 1)), "no_video", "unsupported"),
    "sound_of_255_channels": (_bytes("ch255.wav", lambda: wav(noise(255 * 3200), channels=255)), "no_video", "ok"),
    "sound_of_65535_channels": (_bytes("ch65535.wav", lambda: wav(noise(65535 * 2), channels=65535)), "no_video", "corrupt"),
    "sound_beyond": (
        _bytes("sound.mkv", lambda: mkv([sounds(1)], *(cluster(k * 10**12, (1, 0, noise(32_000))) for k in range(20)))),
        "no_video", "partial",
    ),
}  # fmt: skip
"""Of each name: what writes it, what becomes of its pictures, and of its sound."""


def packets(folder: Path, count: int) -> Path:
    """As many packets of one byte within a second, none of which is a picture."""
    part = cluster(0, *((1, k % 1000, b"x") for k in range(20_000)))
    (folder / "packets.mkv").write_bytes(mkv([pictures(1)], *[part] * (count // 20_000)))
    return folder / "packets.mkv"


def pauses(folder: Path, hours: int) -> Path:
    """A tenth of a second of sound in each hour."""
    data = mkv([sounds(1)], *(cluster(k * 3_590_000, (1, 0, tone(0.1)[0].tobytes())) for k in range(hours)))
    (folder / "pauses.mkv").write_bytes(data)
    return folder / "pauses.mkv"
