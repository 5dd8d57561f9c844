import pytest

from vidfer.datasets.folders import find_folders, is_folders
from vidfer.types import VidferError


def facts(clips):
    return [(clip.name, clip.label, clip.person, clip.split) for clip in clips]


def test_a_folder_per_class_in_common_forms(tree):
    root = tree("Happiness/1.mp4", "sad/anna/2.mp4", "sad/anna/day1/3.mp4", "surprised/4.wav", "notes/readme.txt")
    clips, report = find_folders(root)
    assert facts(clips) == [
        ("1.mp4", "happy", None, None),
        ("2.mp4", "sad", "anna", None),
        ("3.mp4", "sad", "anna", None),
        ("4.wav", "surprise", None, None),
    ]
    assert report.dropped == {}


def test_folders_of_splits(tree):
    root = tree("train/happy/1.mp4", "Validation/happy/ben/1.mp4", "test/anger/2.mp4", "train/lost.mp4", "fear/3.mp4")
    clips, report = find_folders(root)
    assert sorted(facts(clips)) == [
        ("2.mp4", "angry", None, "test"),
        ("3.mp4", "fear", None, None),
        ("Validation/happy/ben/1.mp4", "happy", "ben", "val"),
        ("train/happy/1.mp4", "happy", None, "train"),
    ]
    assert report.dropped == {"in no class's folder": ["lost.mp4"]}
    assert set(report.noted) == {"file name occurs twice"}


def test_an_unknown_class_is_an_error_with_a_remedy(tree):
    root = tree("happy/1.mp4", "contempt/2.mp4")
    with pytest.raises(VidferError, match=r"contempt: 'contempt' names no class: rename it to one of angry, .*move it"):
        find_folders(root)


def test_what_is_recognised(tree):
    assert is_folders(tree("a/happy/1.mp4") / "a")
    assert is_folders(tree("b/test/sadness/1.mp4") / "b")
    assert not is_folders(tree("c/holiday/1.mp4") / "c")
