import os

import pytest

from vidfer.datasets.report import LabelledClip, content_keys, file_fault, media_files, missing_takes, prepare
from vidfer.types import EMOTIONS, VidferError


def test_a_clip_tells_its_class_and_name(tmp_path):
    clip = LabelledClip(tmp_path / "x.mp4", "sad")
    assert EMOTIONS[clip.target] == "sad"
    assert clip.name == "x.mp4"


def test_everything_odd_is_listed_and_nothing_lost(tree):
    root = tree("a/1.mp4", "b/1.mp4", "2.mp4", "folder.mp4/inside.txt")
    tree("same1.mp4", "same2.mp4", content=b"same")
    tree("torn1.mp4", "torn2.mp4", content=b"torn")
    tree("empty.mp4", content=b"")
    labels = {"torn1.mp4": "happy"}
    names = ["a/1.mp4", "b/1.mp4", "2.mp4", "same1.mp4", "same2.mp4", "torn1.mp4", "torn2.mp4", "empty.mp4"]
    names += ["gone.mp4", "folder.mp4"]
    clips = [LabelledClip(root / name, labels.get(name, "sad")) for name in names]
    kept, report = prepare("mine", root, clips, {"foreign": ["x.mp4"]})
    assert [clip.name for clip in kept] == ["a/1.mp4", "b/1.mp4", "2.mp4", "same1.mp4", "same2.mp4"]
    assert report.dropped == {
        "foreign": ["x.mp4"],
        "empty file": ["empty.mp4"],
        "missing": ["gone.mp4"],
        "no regular file": ["folder.mp4"],
        "one content under two labels": ["torn1.mp4", "torn2.mp4"],
    }
    assert report.noted == {
        "file name occurs twice": ["a/1.mp4", "b/1.mp4"],
        "copy of another clip": ["same2.mp4 of same1.mp4"],
    }
    assert report.found == report.kept + 6 == 11


def test_nothing_usable_is_an_error_that_says_why(tree):
    root = tree("1.mp4", content=b"")
    with pytest.raises(VidferError, match=r"mine: no usable clip in .*; 1 left out: empty file \(1\.mp4\)"):
        prepare("mine", root, [LabelledClip(root / "1.mp4", "sad")])


def test_a_take_is_missing_where_most_have_it():
    present = [(script, person) for script in "ab" for person in "123"]
    present.remove(("a", "2"))
    assert missing_takes([*present, ("c", "1")]) == [("a", "2")]


def test_recordings_are_found_by_suffix_at_any_depth(tree, tmp_path):
    root = tree("b/c/2.MP4", "a.wav", "b/1.flv", "b/notes.txt")
    assert [path.relative_to(root).as_posix() for path in media_files(root)] == ["a.wav", "b/1.flv", "b/c/2.MP4"]
    with pytest.raises(VidferError, match="no folder"):
        media_files(tmp_path / "none")


def test_faults_that_show_without_decoding(tree):
    root = tree("fine.mp4", "folder/x")
    tree("empty.mp4", content=b"")
    (root / "loop.mp4").symlink_to("loop.mp4")
    (root / "lost.mp4").symlink_to("elsewhere.mp4")
    assert [file_fault(root / name) for name in ("fine.mp4", "empty.mp4", "folder", "lost.mp4")] == [
        "",
        "empty file",
        "no regular file",
        "missing",
    ]
    assert file_fault(root / "loop.mp4")


def test_contents_are_equal_where_bytes_are(tree):
    root = tree("1", "3", content=b"one")
    tree("2", content=b"two")
    tree("4", content=b"four")
    one, two, three, four = content_keys(root / name for name in "1234")
    assert one == three
    assert len({one, two, four}) == 3
    (root / "3").write_bytes(b"two")
    os.utime(root / "3", ns=(1, 1))
    keys = content_keys(root / name for name in "123")
    assert keys[1] == keys[2] != keys[0]  # a file that was changed is read anew
    with pytest.raises(VidferError, match="none cannot be read: No such file"):
        content_keys([root / "none"])
