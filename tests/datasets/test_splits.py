from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vidfer.datasets.clips import LabelledClip, find_clips
from vidfer.datasets.splits import leave_persons_out, published_splits, require_disjoint, take_people
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
