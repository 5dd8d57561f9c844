import pytest

from vidfer.datasets.preparation import LabelledClip, missing_takes, prepare
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
    assert missing_takes([*present, ("c", "1")]) == ["a 2"]
