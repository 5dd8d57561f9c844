import os
import struct
import wave
from pathlib import Path

import pytest

from vidfer.media.find import find_clips
from vidfer.types import UsageError


def test_folders_stand_for_all_their_clips(tmp_path):
    for name in ("b.mp4", "a/c.mov", "a/notes.pdf", ".hidden/x.mp4", "a/.DS_Store"):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    clips = find_clips([tmp_path / "clips"])
    assert [str(place) for _, place in clips] == ["clips/a/c.mov", "clips/b.mp4"]


def test_a_file_named_twice_is_one_clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"")
    assert len(find_clips([path, tmp_path, path])) == 1


def test_an_empty_folder_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no videos, pictures or sound files there"):
        find_clips([tmp_path])


def test_own_results_are_no_clips(tmp_path):
    for name in ("a.mp4", "vidfer-results/a.mp4/frames.csv", "store/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    clips = find_clips([tmp_path], leave_out=[tmp_path / "vidfer-results", tmp_path / "store"])
    assert [file.name for file, _ in clips] == ["a.mp4"]


def test_no_place_leaves_the_output_folder(tmp_path, monkeypatch):
    (tmp_path / "p" / "sub").mkdir(parents=True)
    (tmp_path / "p" / "a.mp4").write_bytes(b"")
    monkeypatch.chdir(tmp_path / "p" / "sub")
    assert [place for _, place in find_clips([Path("..")])] == [Path("p/a.mp4")]


def test_a_folder_may_be_a_link_and_those_in_it_are_passed_over(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"")
    (tmp_path / "videos" / "round").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "videos")
    assert [file.name for file, _ in find_clips([tmp_path / "link"])] == ["a.mp4"]


def test_plots_of_comparisons_are_no_clips(tmp_path):
    for name in ("compare_condition.png", "compare_condition.md", "compare_mine.png", "other.png"):
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file, _ in find_clips([tmp_path])] == ["compare_mine.png", "other.png"]


def test_broken_links_and_pipes_are_listed(tmp_path):
    (tmp_path / "link.mp4").symlink_to(tmp_path / "gone.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert [file.name for file, _ in find_clips([tmp_path])] == ["link.mp4", "pipe.mp4"]


def write_video(path, container, codec="mpeg4"):
    import av
    import numpy as np

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    "container", ["mp4", "mov", "matroska", "webm", "avi", "flv", "mpegts", "mpeg", "asf", "ogg", "nut"]
)
def test_a_video_in_a_folder_is_found_whatever_its_name(tmp_path, container):
    codec = {"webm": "libvpx", "flv": "flv1", "mpegts": "mpeg2video", "mpeg": "mpeg2video", "ogg": "libtheora"}
    try:
        path = write_video(tmp_path / "clip.part", container, codec.get(container, "mpeg4"))
    except ValueError as error:
        pytest.skip(f"this FFmpeg has no such encoder: {error}")
    assert [file for file, _ in find_clips([tmp_path])] == [path]


@pytest.mark.parametrize("lost", [1, 57, 187])
def test_a_broadcast_that_was_recorded_from_within_a_packet_is_found(tmp_path, lost):
    packets = b"".join(b"G\x01\x00" + bytes([number]) * 185 for number in range(30))
    (tmp_path / "recorded.ts").write_bytes(packets[lost:])
    (tmp_path / "genome.txt").write_bytes(b"\n".join([b"GATTACA" * 11] * 200)[lost:])
    (tmp_path / "page.ts").write_bytes(b"const G = 1; // Go\n" * 400)
    assert [file.name for file, _ in find_clips([tmp_path])] == ["recorded.ts"]


def test_sound_in_a_folder_is_found_whatever_its_name(tmp_path):
    with wave.open(str(tmp_path / "speech.bin"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\0" * 3200)
    assert [file.name for file, _ in find_clips([tmp_path])] == ["speech.bin"]


SIDECARS = {
    "a.srt": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    "a.json": b'{"clip": 1}',
    "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(600),
    "a.bmp": b"BM" + bytes(100),
    "a.heic": struct.pack(">I", 24) + b"ftypheic" + bytes(100),
    "a.avif": struct.pack(">I", 24) + b"ftypavif" + bytes(100),
    "notes.txt": "G\u00fcnther".encode(),
    "frames.csv": b"clip,status\n",
    "frames.parquet": b"PAR1" + bytes(100),
    "report.html": b"<!doctype html>",
    "LICENSE": b"GNU GENERAL PUBLIC LICENSE " * 100,
    "empty": b"",
}


@pytest.mark.parametrize("name", SIDECARS)
def test_a_sidecar_of_a_folder_is_passed_over_but_a_clip_where_it_is_named(tmp_path, name):
    (tmp_path / "b.mp4").write_bytes(b"damaged")
    (tmp_path / name).write_bytes(SIDECARS[name])
    told = []
    assert [file.name for file, _ in find_clips([tmp_path], notify=told.append)] == ["b.mp4"]
    remedy = "; save the pictures as PNG, JPEG or WebP" if name in {"a.bmp", "a.heic", "a.avif"} else ""
    assert told == [f"1 file that is no media was passed over: 1 {Path(name).suffix or 'without suffix'}{remedy}"]
    assert len(find_clips([tmp_path, tmp_path / name])) == 2
    assert len(find_clips([tmp_path / name, tmp_path])) == 2


@pytest.mark.parametrize(
    "first",
    ["The free", "Two skip", "One wide", "moot", "caffeine", "ID3 tags", "OggS pages", "fLaC files", "DKIF", ".snd files",
     "#!AMRT", "nut/multimedia containers"],
)  # fmt: skip
def test_a_text_that_begins_with_the_letters_of_a_format_is_no_clip(tmp_path, first):
    (tmp_path / "a.mp4").write_bytes(b"damaged")
    (tmp_path / "b.txt").write_text(f"{first} and so on, in plain words.")
    assert [file.name for file, _ in find_clips([tmp_path])] == ["a.mp4"]


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        *((name, "pcm_s16be") for name in ("caf", "au", "aiff")),
        *(("flac", "flac"), ("mp3", "libmp3lame"), ("adts", "aac"), ("w64", "pcm_s16le")),
    ],
)
def test_every_format_of_sound_is_found_whatever_its_name(tmp_path, container, codec):
    import av
    import numpy as np

    with av.open(str(tmp_path / "clip.part"), "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000)
        for start in range(0, 9600, 960):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert [file.name for file, _ in find_clips([tmp_path])] == ["clip.part"]


def test_sidecars_are_counted_in_one_line(tmp_path):
    for name in ("a.mp4", "a.srt", "b.srt", "a.json"):
        (tmp_path / name).write_bytes(b"x")
    told = []
    find_clips([tmp_path], notify=told.append)
    assert told == ["3 files that are no media were passed over: 2 .srt, 1 .json"]


def test_all_missing_paths_are_named(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "gone.mp4")
    missing = [tmp_path / "x.mp4", tmp_path / "a.mp4" / "y", tmp_path / "link.mp4", tmp_path / ("n" * 300)]
    with pytest.raises(UsageError) as told:
        find_clips([missing[0], tmp_path / "a.mp4", *missing[1:]])
    assert all(str(path) in str(told.value) for path in missing)


def save_pictures(folder, names, suffix_of=None):
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name, format=suffix_of)
    return folder


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_in_a_folder_is_found_whatever_its_name(tmp_path, kind):
    save_pictures(tmp_path, ["photo"], kind)
    assert [file.name for file, _ in find_clips([tmp_path])] == ["photo"]


def test_a_damaged_picture_is_found_by_its_name(tmp_path):
    names = ["a.JPG", "b.jpeg", "c.png", "d.webp", "e.gif", "f.apng"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file, _ in find_clips([tmp_path])] == names


def test_pictures_among_a_clips_results_are_no_clips(tmp_path):
    save_pictures(tmp_path / "run" / "a.mp4", ["1.png"])
    save_pictures(tmp_path, ["b.png"])
    for name in ("summary.json", "frames.parquet"):
        (tmp_path / "run" / "a.mp4" / name).write_bytes(b"")
    assert [file.name for file, _ in find_clips([tmp_path])] == ["b.png"]


def test_a_folder_of_numbered_pictures_is_a_clip_at_a_rate_and_else_each_picture_is(tmp_path):
    save_pictures(tmp_path / "take", ["f_10.png", "f_9.png", "F.txt"], "PNG")
    (tmp_path / "take" / "voice.wav").write_bytes(b"")
    (tmp_path / "take" / "F.txt").write_bytes(b"")
    places = [str(place) for _, place in find_clips([tmp_path / "take"])]
    assert places == ["take/f_10.png", "take/f_9.png", "take/voice.wav"]
    found = find_clips([tmp_path], picture_fps=25)
    name = tmp_path.name
    assert found == [
        (tmp_path / "take", Path(name) / "take"),
        (tmp_path / "take" / "voice.wav", Path(name) / "take" / "voice.wav"),
    ]
    assert find_clips([tmp_path / "take"], picture_fps=25)[0] == (tmp_path / "take", Path("take"))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a1.png", "a2.jpg"], "differ, such as a.jpg and a.png"),
        (["a1.png", "b2.png"], "differ"),
        (["a1.png", "cover.png"], "cover.png does not end in a number"),
        (["a1.png", "a01.png"], "have one number"),
        (["a1.png"], "there are 1"),
    ],
)
def test_pictures_that_are_no_series_are_told_and_are_clips_each(tmp_path, names, reason):
    save_pictures(tmp_path, names)
    told = []
    assert len(find_clips([tmp_path], notify=told.append, picture_fps=25)) == len(names)
    assert len(told) == 1
    assert reason in told[0]
