"""Who is trained, validated and tested on, from manifests that the tests write."""

import random
from collections import Counter
from pathlib import Path

import pytest

from vidfer.datasets.clips import find_clips
from vidfer.datasets.contents import data_contents
from vidfer.datasets.selection import Selection
from vidfer.types import EMOTIONS, VidferError

CLIPS = "vidfer.datamodules.clips.ClipDataModule"


@pytest.fixture
def manifest(tmp_path):
    """Write files of their own content, and a manifest of rows (file, label, person, split)."""

    def write(rows, folder="set"):
        root = tmp_path / folder
        for name, *_ in rows:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_bytes(name.encode())
        lines = [",".join(str(cell) for cell in (*row, "", "")[:4]) for row in rows]
        (root / "clips.csv").write_text("\n".join(["path,label,person,split", *lines]) + "\n")
        return str(root / "clips.csv")

    return write


def selected(root, **options):
    lines = []
    splits = Selection("manifest", root, **options).splits(lines.append)
    return splits, lines


def people(splits):
    return {split: {clip.person for clip in clips} for split, clips in splits.items()}


def names(splits):
    return {split: sorted(clip.name for clip in clips) for split, clips in splits.items()}


def of_persons(count, takes=2):
    return [
        (f"{who}/{name}{take}.wav", name, f"p{who}")
        for who in range(count)
        for name in EMOTIONS
        for take in range(takes)
    ]


def test_shares_of_the_persons_are_held_out_classes_alike(manifest):
    splits, _ = selected(manifest(of_persons(10)), val_share=0.2, test_share=0.3)
    who = people(splits)
    assert {split: len(persons) for split, persons in who.items()} == {"train": 5, "val": 2, "test": 3}
    assert len(set().union(*who.values())) == 10
    for split, clips in splits.items():
        assert set(Counter(clip.label for clip in clips).values()) == {2 * len(who[split])}


def test_uneven_persons_are_chosen_so_that_classes_stay_alike(manifest):
    one_class = [
        (f"{name}{who}/{take}.wav", name, f"{name}{who}") for name in EMOTIONS for who in range(5) for take in range(3)
    ]
    splits, _ = selected(manifest(one_class), test_share=0.2)
    assert Counter(clip.label for clip in splits["test"]) == dict.fromkeys(EMOTIONS, 3)  # one person of each class


def test_the_draw_is_by_content_and_seed_alone(manifest):
    rows = of_persons(12, takes=1)
    shares = {"val_share": 0.25, "test_share": 0.25}
    splits, _ = selected(manifest(rows), **shares)
    random.Random(0).shuffle(rows)
    assert people(selected(manifest(rows, "elsewhere"), **shares)[0]) == people(splits)
    drawn = {tuple(sorted(people(selected(manifest(rows), **shares, seed=seed)[0])["test"])) for seed in range(5)}
    assert len(drawn) > 1


def test_a_content_of_an_unknown_person_is_a_person(manifest):
    rows = [(f"{name}{take}.wav", name) for name in EMOTIONS for take in range(4)]
    root = manifest(rows)
    splits, lines = selected(root, test_share=0.25)
    assert Counter(clip.label for clip in splits["test"]) == dict.fromkeys(EMOTIONS, 1)
    assert any("WARNING: it is not known who is in 28 clips" in line for line in lines)


def test_copies_of_unknown_persons_stay_together(manifest, tmp_path):
    rows = [(f"{name}{take}.wav", name) for name in EMOTIONS for take in range(4)]
    again = [(f"again/{name}", label) for name, label in rows]
    for name, _ in again:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    splits, lines = selected(manifest(rows + again), test_share=0.25)
    assert len(splits["test"]) == 14  # seven contents, twice
    assert {clip.path.name for clip in splits["test"]}.isdisjoint(clip.path.name for clip in splits["train"])
    assert not any("recurs in test" in line for line in lines)


def test_shares_fill_what_nobody_is_named_for(manifest):
    root = manifest(of_persons(8, takes=1))
    splits, _ = selected(root, folds=4, fold=1, val_share=0.34)
    whole = people(selected(root, folds=4, fold=1)[0])
    assert people(splits)["test"] == whole["test"]
    assert len(people(splits)["val"]) == 2  # of six
    assert people(splits)["train"] | people(splits)["val"] == whole["train"]
    named = people(selected(root, train_people="p0,p1,p2,p3", test_people="p7", val_share=0.25)[0])
    assert (named["test"], len(named["val"])) == ({"p7"}, 1)
    assert named["val"] | named["train"] == {"p0", "p1", "p2", "p3"}
    published = [(*row[:3], "train" if row[2] < "p6" else "test") for row in of_persons(8, takes=1)]
    taken = people(selected(manifest(published), val_share=0.2, test_share=0.2)[0])
    assert (taken["test"], len(taken["val"])) == ({"p6", "p7"}, 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test_share": 0.4, "val_share": 0.4}, "of 2 persons nobody is left to train on"),
        ({"test_share": 0.5, "val_share": 0.5}, "together below 1, not 0.5 and 0.5"),
        ({"val_share": -0.1}, "at least 0"),
        ({}, "are in no published split .* test_share and val_share"),
    ],
)
def test_what_cannot_be_divided_is_refused(manifest, options, said):
    with pytest.raises(VidferError, match=said):
        selected(manifest(of_persons(2, takes=1)), **options)


LABELLED = [*of_persons(5, takes=1), ("deep/alone.wav", "sad", "p0")]


def test_clips_without_a_label_are_left_out_and_counted_unless_wanted(manifest):
    root = manifest([*LABELLED, ("x.wav", ""), ("y.wav", "", "p9")])
    clips, report = find_clips("manifest", Path(root))
    assert len(clips) == report.kept == 36
    assert report.found == 38
    assert report.dropped == {"no label: only semi-supervised training reads it": ["x.wav", "y.wav"]}
    clips, report = find_clips("manifest", Path(root), unlabelled=True)
    assert [(clip.name, clip.label, clip.target) for clip in clips[36:]] == [("x.wav", None, -1), ("y.wav", None, -1)]
    assert report.noted["no label"] == ["x.wav", "y.wav"]


def test_a_manifest_of_nothing_but_unlabelled_clips_is_refused(manifest):
    with pytest.raises(VidferError, match="no usable clip has a label"):
        find_clips("manifest", Path(manifest([("x.wav", "")])))


@pytest.mark.parametrize(
    "extra", [("x.wav", ""), ("more/alone.wav", ""), ("x.wav", "", "p1", "train"), ("x.wav", "", "p1")]
)
def test_one_more_clip_without_a_label_changes_nothing_for_labelled_ones(manifest, extra):
    shares = {"val_share": 0.2, "test_share": 0.2}
    root = manifest(LABELLED)
    before, contents = (
        names(selected(root, **shares)[0]),
        data_contents(CLIPS, {"data": "manifest", "root": root, **shares}),
    )
    root = manifest([extra, *LABELLED])
    after, _ = selected(root, **shares, unlabelled=True)
    assert {split: [name for name in found if name in before[split]] for split, found in names(after).items()} == before
    arguments = {"data": "manifest", "root": root, **shares}
    assert data_contents(CLIPS, arguments) == contents
    assert data_contents(CLIPS, {**arguments, "unlabelled": True}) != contents


def test_a_copy_of_a_labelled_clip_teaches_nothing(manifest, tmp_path):
    manifest(LABELLED)
    (tmp_path / "set/x.wav").write_bytes((tmp_path / "set" / LABELLED[0][0]).read_bytes())
    splits, lines = selected(manifest([*LABELLED, ("x.wav", "")]), test_share=0.2, unlabelled=True)
    assert all(clip.label for clip in splits["train"])
    assert any("without a label, and a copy of a labelled clip (x.wav)" in line for line in lines)


def test_unlabelled_clips_are_trained_on_only_where_their_person_is_measured_nowhere(manifest):
    bare = [
        ("none.wav", ""),
        ("new.wav", "", "p9"),
        ("tested.wav", "", "p4"),
        ("trained.wav", "", "p0"),
        ("v.wav", "", "", "val"),
    ]
    root = manifest([*LABELLED, *bare])

    def taught(**options):
        splits, lines = selected(root, **options, unlabelled=True)
        assert all(clip.label for split in ("val", "test") for clip in splits[split])
        return [clip.name for clip in splits["train"] if clip.label is None], lines

    found, lines = taught(test_people="p4", train_people="p0,p1")
    assert found == ["none.wav", "trained.wav"]
    assert any(line.startswith("3 clips without a label are not trained on") for line in lines)
    (tested,) = (fold for fold in range(5) if people(selected(root, folds=5, fold=fold)[0])["test"] == {"p4"})
    assert taught(folds=5, fold=tested)[0] == ["none.wav", "new.wav", "trained.wav"]


@pytest.mark.parametrize(
    ("data", "root", "name"),
    [("ravdess", "some/where", "ravdess"), ("manifest", "a/clips.csv", "clips.csv"), ("x/mine", None, "mine")],
)
def test_data_are_called_by_their_name(data, root, name):
    assert Selection(data, root).name == name
