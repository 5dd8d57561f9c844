import shutil

import numpy as np

from vidfer.datasets.clips import LabelledClip, find_clips
from vidfer.datasets.fer2013 import read_images
from vidfer.datasets.leaks import find_leaks, find_shared, remove_leaks
from vidfer.datasets.splits import take_people


def splits_of(root, **names):
    return {split: [LabelledClip(root / name, "sad") for name in listed.split()] for split, listed in names.items()}


def test_what_recurs_is_removed_from_what_is_learnt_from_and_named(tree):
    root = tree("t1", "t2", "v1", "e1")
    tree("t3", "v3", "e3", content=b"in all three")
    tree("t4", "v4", content=b"train, val")
    tree("t5", "t6", content=b"twice in train")
    tree("e5", "e6", content=b"twice in test")
    splits = splits_of(root, train="t1 t2 t3 t4 t5 t6", val="v1 v3 v4", test="e1 e3 e5 e6")
    kept, report = remove_leaks(splits)
    assert {split: [clip.name for clip in clips] for split, clips in kept.items()} == {
        "train": ["t1", "t2", "t5"],
        "val": ["v1", "v4"],
        "test": ["e1", "e3", "e5", "e6"],
    }
    assert report.dropped == {
        "in train, and recurs in test": ["t3 = test: e3"],
        "in train, and recurs in val": ["t4 = val: v4"],
        "in val, and recurs in test": ["v3 = test: e3"],
        "copy within train": ["t6 = t5"],
    }
    assert report.noted == {"copy within test": ["e6 = e5"]}
    assert (report.found, report.kept) == (13, 9)
    assert not find_leaks(kept)
    found = [str(leak) for leak in find_leaks(splits)]
    assert found == ["train: t3 = val: v3 = test: e3", "train: t4 = val: v4"]


def test_without_leaks_nothing_changes(tree):
    splits = splits_of(tree("a", "b"), train="a", val="", test="b")
    kept, report = remove_leaks(splits)
    assert kept == splits
    assert report.lines() == ["leak check by content: 2 of 2 kept"]


def test_a_copy_under_another_name_and_person_is_found(tree):
    root = tree("03-01-03-01-01-01-01.wav", "03-01-04-01-01-01-02.wav")
    shutil.copy(root / "03-01-03-01-01-01-01.wav", root / "03-01-03-01-01-01-03.wav")
    clips, _ = find_clips("ravdess", root)
    kept, report = remove_leaks({"train": take_people(clips, "1-2"), "test": take_people(clips, "3")})
    assert [clip.person for clip in kept["train"]] == ["ravdess-2"]
    assert report.dropped == {
        "in train, and recurs in test": ["03-01-03-01-01-01-01.wav = test: 03-01-03-01-01-01-03.wav"]
    }


def test_images_are_compared_by_their_digests(write_image, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 48))
    for split, name, at in (
        ("train", "a.png", 0),
        ("train", "b.png", 1),
        ("public_test", "c.png", 1),
        ("public_test", "d.png", 2),
    ):
        write_image(split, "sad", name, noise[at])
    images = {split: read_images(tmp_path / "fer", split) for split in ("train", "public_test")}
    shared = find_shared({split: list(zip(each.name, each.digest, strict=True)) for split, each in images.items()})
    assert [leak.names for leak in shared] == [{"train": ["sad/b.png"], "public_test": ["sad/c.png"]}]
