import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vidfer.datasets.clips import find_clips
from vidfer.datasets.fer2013 import read_images
from vidfer.datasets.report import LabelledClip
from vidfer.datasets.splits import (
    find_leaks,
    find_shared,
    leave_persons_out,
    published_splits,
    remove_leaks,
    require_disjoint,
    take_people,
)
from vidfer.types import EMOTIONS, VidferError


def clips_of(*people, labels=EMOTIONS, split=None):
    return [LabelledClip(Path(f"{person}_{label}.mp4"), label, person, split) for person in people for label in labels]


RAVDESS = clips_of(*(f"ravdess-{actor}" for actor in range(1, 25)))


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ("2-16", {f"ravdess-{actor}" for actor in range(2, 17)}),
        ("2-4, 19,", {"ravdess-2", "ravdess-3", "ravdess-4", "ravdess-19"}),
        ("ravdess-23-99", {"ravdess-23", "ravdess-24"}),
        ("ravdess-7", {"ravdess-7"}),
        ("anna,1002", {"anna", "crema-d-1002"}),
        ("crema-d-1001-1005", {"crema-d-1001", "crema-d-1002"}),
        ("7,77", {"ravdess-7", "p77"}),
        ("p77", {"p77"}),
    ],
)
def test_people_are_named_by_ranges_or_names(people, expected):
    everyone = [*RAVDESS, *clips_of("crema-d-1001", "crema-d-1002", "anna", "p77", None)]
    assert {clip.person for clip in take_people(everyone, people)} == expected


@pytest.mark.parametrize("wrong", ["30-40", "bob", "2-", "16-2", "", ",", "song-2-16"])
def test_people_that_are_not_there_are_errors(wrong):
    with pytest.raises(VidferError, match=r"2-16,19|backwards"):
        take_people(RAVDESS, wrong)


def test_unknown_people_are_refused_with_the_remedy():
    for choose in (lambda clips: take_people(clips, "2"), lambda clips: leave_persons_out(clips, 2)):
        with pytest.raises(VidferError, match="manifest with a person column"):
            choose(clips_of(None))


@pytest.mark.parametrize("folds", [2, 5, 24])
def test_folds_hold_whole_people_and_test_everyone_once(folds):
    parts = leave_persons_out(RAVDESS, folds, seed=3)
    assert len(parts) == folds
    assert sorted(at for _, test in parts for at in test) == list(range(len(RAVDESS)))
    for train, test in parts:
        assert sorted([*train, *test]) == list(range(len(RAVDESS)))
        require_disjoint({"train": [RAVDESS[at] for at in train], "test": [RAVDESS[at] for at in test]})
    sizes = [len(test) for _, test in parts]
    assert max(sizes) - min(sizes) <= len(EMOTIONS)
    assert parts == leave_persons_out(RAVDESS, folds, seed=3)
    assert parts != leave_persons_out(RAVDESS, folds, seed=4)


def test_folds_are_even_in_classes():
    clips = [*clips_of(*"abcd", labels=("happy",)), *clips_of(*"efgh", labels=("sad",))]
    for _, test in leave_persons_out(clips, 4):
        assert Counter(clips[at].label for at in test) == {"happy": 1, "sad": 1}


@pytest.mark.parametrize("seed", range(40))
def test_no_fold_is_empty_and_no_person_in_two_whatever_the_clips(seed):
    rng = np.random.default_rng(seed)
    people = int(rng.integers(2, 7))
    clips = [
        LabelledClip(Path(f"{person}-{at}.wav"), str(rng.choice(EMOTIONS)), f"person-{person}")
        for person in range(people)
        for at in range(rng.integers(1, 4))
    ]
    for folds in range(2, people + 1):
        tested = [{clips[at].person for at in test} for _, test in leave_persons_out(clips, folds, seed)]
        assert all(tested)
        assert sum(map(len, tested)) == people


@pytest.mark.parametrize("folds", [0, 1, 25])
def test_folds_out_of_range(folds):
    with pytest.raises(VidferError, match="of 24 people: choose from 2"):
        leave_persons_out(RAVDESS, folds)


def test_shared_people_are_named():
    splits = {
        "train": clips_of("b-10", "b-9", "c", None),
        "val": clips_of("d", None),
        "test": clips_of("b-9", "b-10", "a"),
    }
    with pytest.raises(VidferError, match="b-9, b-10 in train and test: no person may be in two splits"):
        require_disjoint(splits)
    require_disjoint({**splits, "test": clips_of("e")})


def test_published_splits():
    train, test = clips_of("a", split="train"), clips_of(None, split="test")
    assert published_splits([*test, *train]) == {"train": train, "val": [], "test": test}
    with pytest.raises(VidferError, match=r"7 of 14 clips are in no published split .*manifest with a split column"):
        published_splits([*train, *clips_of("b")])


def test_the_real_speech_by_person(data_dir):
    clips = take_people(find_clips("ravdess", data_dir / "ravdess_speech")[0], "2-20")
    assert len(clips) == 1140
    for _, test in leave_persons_out(clips, 19):
        assert len(test) == 60
        assert len({clips[at].person for at in test}) == 1


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
    assert find_leaks(splits) == [{"train": ["t3"], "val": ["v3"], "test": ["e3"]}, {"train": ["t4"], "val": ["v4"]}]


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
    assert shared == [{"train": ["sad/b.png"], "public_test": ["sad/c.png"]}]
