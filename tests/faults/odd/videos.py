"""Odd videos: damaged, mislabelled, and of unusual but right make."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.faults.clips import Kind
from tests.faults.odd.films import (
    EXACT,
    Edit,
    box,
    chunk,
    element,
    film,
    noise,
    remuxed,
    sound,
    spot,
    tone,
    wav,
)
from tests.faults.odd.pictures import jpeg, saved

INDEX_FIRST = {"movflags": "+faststart"}
SOUND = {"mp4": "aac", "mkv": "pcm_s16le", "avi": "pcm_s16le", "webm": "libopus", "ts": "mp2"}


def kind(name: str, suffix: str, status: Any = "no_face", **how: Any) -> Kind:
    """A film as `films.film` writes it."""
    return Kind(name, lambda folder: film(folder / f"{name}.{suffix}", **how), status)


def edited(name: str, suffix: str, edit: Edit, status: Any, **how: Any) -> Kind:
    """A film whose bytes are changed."""

    def make(folder: Path) -> Path:
        path = film(folder / f"{name}.{suffix}", **how)
        path.write_bytes(edit(path.read_bytes()))
        return path

    return Kind(name, make, status)


def content(name: str, suffix: str, data: bytes, status: Any) -> Kind:
    """A file of bytes."""

    def make(folder: Path) -> Path:
        (folder / f"{name}.{suffix}").write_bytes(data)
        return folder / f"{name}.{suffix}"

    return Kind(name, make, status)


def chosen(name: str, suffix: str, change: Any, status: Any, **how: Any) -> Kind:
    """A film some of whose packets are changed or left out."""

    def make(folder: Path) -> Path:
        plain = film(folder / f"plain-{name}.mp4", options={"g": "8", "bf": "2"}, **how)
        return remuxed(plain, folder / f"{name}.{suffix}", change)

    return Kind(name, make, status)


def _sizes(name: str, suffix: str, container: str) -> Kind:
    """H.264 of two sizes, one after the other, without any container or in one that does not care."""

    def make(folder: Path) -> Path:
        parts = [
            film(folder / f"{k}.{suffix}", size=size, container=container, clock=10)
            for k, size in enumerate([(160, 120), (96, 128)])
        ]
        path = folder / f"{name}.{suffix}"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        for part in parts:
            part.unlink()
        return path

    return Kind(name, make, ("no_face", "partial"))


def _raw(name: str, pix_fmt: str, size: tuple[int, int], codec: str = "ffv1") -> Kind:
    suffix = {"ffv1": "mkv", "zmbv": "avi", "png": "mov"}[codec]
    return kind(name, suffix, codec=codec, pix_fmt=pix_fmt, size=size, times=(0.0, 0.2, 0.4))


def cut(share: float) -> Edit:
    """Keep the beginning."""
    return lambda data: data[: int(len(data) * share)]


def _spoilt(data: bytes) -> bytes:
    at = data.index(b"stbl")
    return data[:at] + noise(400) + data[at + 400 :]


def _hole(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(2000) + data[middle + 2000 :]


def _headless(data: bytes) -> bytes:
    return data[: data.index(b"mdat") - 4]


def _stopped(number: int, packet: av.Packet, _: int) -> av.Packet:
    packet.dts = packet.pts = round(min(0.4, 0.1 * number) / packet.time_base)
    return packet


def _encrypted(data: bytes) -> bytes:
    return spot(data, b"avc1", 0, b"encv", last=True)


def _nested(folder: Path) -> Path:
    """An AVI whose frames are other files: an MP4, a picture, a sound, a script."""
    inner = film(folder / "inner.mp4").read_bytes()
    (folder / "inner.mp4").unlink()
    path = folder / "nested.avi"
    with av.open(str(path), "w", options=EXACT) as file:
        stream = file.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        for number, data in enumerate((inner, saved("PNG"), wav(noise(500)), b"#EXTM3U\ninner.mp4\n", noise(900))):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
            packet.is_keyframe = True
            file.mux_one(packet)
    return path


def _audio_only(folder: Path) -> Path:
    return sound(folder / "audio_only.mp4", tone(1.5), codec="aac")


def _interlaced(folder: Path) -> Path:
    options = {"flags": "+ilme+ildct", "field_order": "tt"}
    return film(
        folder / "interlaced.mpg", codec="mpeg2video", clock=25, options=options, times=tuple(k / 25 for k in range(12))
    )


def _mp4(*tracks: bytes, more: bytes = b"") -> bytes:
    return box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", box(b"mvhd", bytes(100)), *tracks) + more


def _deep(mark: bytes, depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = box(mark, data)
    return data


_EBML = element(0x1A45DFA3, element(0x4282, b"matroska"))

DAMAGED = (
    content("empty", "mp4", b"", "corrupt"),
    content("one_byte", "mkv", b"\x1a", "corrupt"),
    content("random_bytes", "mp4", noise(20_000), "corrupt"),
    content("zeros", "avi", bytes(20_000), "corrupt"),
    content("a_text", "mp4", b"Dear all,\nplease find the film attached.\n" * 40, "unsupported"),
    content("a_page", "webm", b"<!doctype html><title>404</title>" * 20, "unsupported"),
    content("a_script", "mp4", b"ffconcat version 1.0\nfile '/etc/hostname'\n", "unsupported"),
    content("a_playlist", "mp4", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "unsupported"),
    content("an_archive", "mov", b"PK\x03\x04" + noise(2_000), "corrupt"),
    content("a_program", "avi", b"\x7fELF\x02\x01\x01" + noise(2_000), "corrupt"),
    content("a_document", "mp4", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + noise(2_000), "corrupt"),
    content("jpeg_named_mp4", "mp4", saved("JPEG"), "no_face"),
    content("many_jpegs", "mjpg", saved("JPEG") * 5, "no_face"),
    content("mjpeg_of_two_sizes", "mjpeg", saved("JPEG") + jpeg(400, 300) + saved("JPEG"), ("no_face", "partial")),
    content("boxes_in_boxes", "mp4", _mp4(_deep(b"trak", 30_000)), "corrupt"),
    content("edits_in_edits", "mp4", _mp4(box(b"trak", _deep(b"edts", 30_000))), "corrupt"),
    content("box_of_no_size", "mp4", _mp4(more=box(b"mdat", noise(99), size=0)), "corrupt"),
    content("box_too_large", "mp4", _mp4(more=box(b"mdat", noise(99), size=0xFFFFFFF0)), "corrupt"),
    content("box_of_sixteen_exabytes", "mp4", _mp4(more=struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1)), "corrupt"),
    content("ebml_alone", "mkv", _EBML, "corrupt"),
    content("ebml_in_ebml", "mkv", _EBML + element(0x18538067, _deep(b"\x1f\x43\xb6\x75", 500)), "corrupt"),
    content("segment_too_large", "webm", _EBML + element(0x18538067, noise(99), size=2**55), "corrupt"),
    content("riff_alone", "avi", chunk(b"RIFF", b"AVI ", size=2**32 - 1), "corrupt"),
    content("flv_alone", "flv", b"FLV\x01\x05\0\0\0\x09\0\0\0\0", "corrupt"),
    edited("lost_index", "mp4", cut(0.7), "corrupt"),
    edited("header_only", "mp4", _headless, "corrupt", mux=INDEX_FIRST),
    edited("corrupt_index", "mp4", _spoilt, "unsupported", mux=INDEX_FIRST),
    edited("truncated_mp4", "mp4", cut(0.6), "partial", mux=INDEX_FIRST, sound="aac"),
    edited("truncated_mkv", "mkv", cut(0.4), "partial", sound="pcm_s16le"),
    edited("truncated_avi", "avi", cut(0.4), "partial", codec="mpeg4", sound="pcm_s16le"),
    edited("truncated_ts", "ts", cut(0.6), "no_face", codec="mpeg2video", clock=25, sound="mp2"),
    edited("truncated_flv", "flv", cut(0.6), "partial", codec="flv1"),
    edited("truncated_nut", "nut", cut(0.6), "no_face", codec="mpeg4"),
    edited("hole", "mkv", _hole, "partial", size=(320, 240)),
    edited("encrypted", "mp4", _encrypted, "unsupported"),
    edited("unknown_codec", "avi", lambda data: data.replace(b"FMP4", b"QQQQ"), "unsupported", codec="mpeg4"),
    edited("wrong_codec", "avi", lambda data: data.replace(b"FMP4", b"MJPG"), "corrupt", codec="mpeg4"),
    edited("zero_time_base", "mp4", lambda data: spot(data, b"mdhd", 16, bytes(4)), ("no_face", "corrupt")),
    edited("zero_rate", "avi", lambda data: spot(data, b"vids", 20, bytes(8)), ("no_face", "corrupt"), codec="mpeg4"),
    edited("appended_twice", "mp4", lambda data: data * 2, "no_face"),
    edited(
        "junk_before",
        "mts",
        lambda data: noise(5_000) + data,
        ("no_face", "corrupt"),
        codec="mpeg2video",
        container="mpegts",
        clock=25,
    ),
    edited("junk_behind", "mp4", lambda data: data + noise(50_000), "no_face"),
    edited("bad_utf8", "mkv", lambda data: data.replace(b"Lavf", b"\xff\xfe\xc0\x80"), "no_face"),
    Kind("nested", _nested, "corrupt"),
    Kind("audio_only", _audio_only, "no_video"),
)

UNUSUAL = (
    kind("av1", "mp4", codec="libsvtav1", size=(160, 128)),
    kind("transport_stream", "ts", codec="mpeg2video", clock=25, sound="mp2"),
    kind("vp9_alpha", "webm", codec="libvpx-vp9", pix_fmt="yuva420p"),
    kind("hevc_10_bit", "mp4", codec="libx265", pix_fmt="yuv420p10le"),
    kind("h264_444", "mkv", pix_fmt="yuv444p"),
    kind("h264_full_range", "mkv", pix_fmt="yuvj420p"),
    kind("h264_gray", "mkv", pix_fmt="gray"),
    kind("turned", "mp4", rotation=90),
    kind("turned_askew", "mp4", rotation=33),
    kind("variable_rate", "mkv", times=(0.0, 0.05, 0.4, 0.41, 1.0, 1.7)),
    kind("edit_list", "mp4", options={"bf": "2"}, sound="aac"),
    kind("one_frame", "mp4", times=(0.0,)),
    kind("a_frame_an_hour", "mkv", times=(0.0, 3600.0, 7200.0)),
    kind("narrow_pixels", "mp4", sample_aspect_ratio=Fraction(1, 3)),
    kind("absurd_pixels", "mkv", codec="ffv1", sample_aspect_ratio=Fraction(5000, 1)),
    _raw("one_pixel", "yuv444p", (1, 1)),
    _raw("four_pixels", "yuv420p", (2, 2)),
    _raw("a_column", "rgb24", (1, 1200), "png"),
    _raw("a_row", "rgb24", (1200, 1), "png"),
    _raw("odd_chroma", "yuv420p", (161, 121)),
    _raw("odd_chroma_410", "yuv410p", (157, 119)),
    _raw("gray_16_bit", "gray16le", (160, 120)),
    _raw("alpha", "yuva420p", (160, 120)),
    _raw("rgb_alpha", "bgra", (160, 120)),
    _raw("sixteen_bit", "yuv444p16le", (160, 120)),
    _raw("rgb_15_bit", "rgb555le", (160, 120), "zmbv"),
    _raw("one_bit", "monob", (160, 120), "png"),
    Kind("interlaced", _interlaced, "no_face"),
    _sizes("two_sizes", "h264", "h264"),
    _sizes("two_sizes_ts", "ts", "mpegts"),
    chosen(
        "only_b_frames",
        "mkv",
        lambda _, packet, latest: packet if packet.pts < latest else None,
        ("corrupt", "no_face"),
    ),
    chosen(
        "no_key_frame", "mkv", lambda n, packet, _: None if n % 8 == 0 else packet, ("corrupt", "no_face", "partial")
    ),
    chosen("first_key_missing", "mp4", lambda n, packet, _: packet if n else None, ("no_face", "partial")),
    chosen("same_times", "mkv", _stopped, ("no_face", "partial")),
)

VIDEOS = (*DAMAGED, *UNUSUAL)
