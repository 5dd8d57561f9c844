import shutil
import wave

import numpy as np
import pytest
import soundfile
import torch

from vidfer.datamodules.clips import ClipDataModule, draw_evenly, standardise_speakers
from vidfer.datamodules.features import Sample
from vidfer.tasks.fit import Recipe, fit, predict_all
from vidfer.types import VidferError

PEOPLE = {"train_people": "1", "val_people": "2", "test_people": "3"}


@pytest.fixture
def module(sounds_root, vectors_store):
    def make(**options):
        chosen = {
            "root": str(sounds_root),
            "voice": False,
            "store": vectors_store,
            "reads": ["sound"],
            **PEOPLE,
            **options,
        }
        return ClipDataModule(**chosen)

    return make


def test_splits_follow_the_people(module):
    data = module(batch_size=5)
    data.setup("fit")
    data.setup("test")
    assert {split: len(samples) for split, samples in data.samples.items()} == {"train": 16, "val": 16, "test": 16}
    assert {sample.person for sample in data.samples["val"]} == {"ravdess-2"}
    clips = data.training_clips()
    assert clips["target"].bincount(minlength=7).tolist() == [2, 2, 2, 2, 2, 2, 4]  # calm counts as neutral
    assert clips["sound"].shape == (16, 1, 1582)
    assert len(list(data.train_dataloader())) == 3  # full batches only


def test_nobody_is_in_two_splits(module):
    with pytest.raises(VidferError, match="ravdess-2 in train and test"):
        module(train_people="1-2", val_people="", test_people="2-3").splits()


def test_what_recurs_is_dropped_from_training_by_content(module, sounds_root, tmp_path):
    root = tmp_path / "r"
    shutil.copytree(sounds_root, root)
    shutil.copy(root / "Actor_03" / "03-01-05-01-01-01-03.wav", root / "Actor_01" / "03-01-05-01-01-01-01.wav")
    splits = module(root=str(root)).splits()
    assert len(splits["train"]) == 15
    assert len(splits["test"]) == 16


def test_every_person_is_tested_on_in_one_fold(module):
    tested = []
    for fold in range(3):
        splits = module(train_people="", val_people="", test_people="", folds=3, fold=fold).splits()
        people = {split: {clip.person for clip in clips} for split, clips in splits.items()}
        assert not people["train"] & people["test"]
        tested += sorted(people["test"])
    assert sorted(tested) == ["ravdess-1", "ravdess-2", "ravdess-3"]


def test_playing_speeds_are_for_training_alone(module):
    data = module(speeds=[1.0, 1.1])
    data.setup("fit")
    assert (len(data.samples["train"]), len(data.samples["val"])) == (32, 16)


def test_every_way_of_spoiling_gives_one_more_copy_of_the_training_clips(module):
    plain, data = module(), module(speeds=[0.9, 1.0], augment=["noise", "noise:2", "room+phone"])
    assert [tuple(each) for each in data.features.variants("train")] == [
        (0.9, ""), (1.0, ""), (0.9, "noise"), (1.0, "noise:2"), (0.9, "room+phone"),
    ]  # fmt: skip
    plain.setup("fit")
    data.setup("fit")
    assert (len(data.samples["train"]), len(data.samples["val"])) == (80, 16)
    first = data.samples["train"][0].name
    copies = [each.features["sound"] for each in data.samples["train"] if each.name == first]
    assert len({tuple(each.flatten().tolist()) for each in copies}) == 5
    for one, other in zip(plain.samples["val"], data.samples["val"], strict=True):
        assert (one.features["sound"] == other.features["sound"]).all()  # what is measured on is as recorded


def test_a_number_of_labelled_clips_and_the_others_without_label(module):
    data = module(size=7, unlabelled=True, speeds=[1.0, 1.1], batch_size=4)
    data.setup("fit")
    target = data.training_clips()["target"]
    assert target[target >= 0].bincount(minlength=7).tolist() == [2] * 7  # one clip of each class, at two speeds
    assert (target == -1).sum() == 18
    batch = next(iter(data.train_dataloader()))
    assert ((batch["target"] >= 0).sum(), (batch["target"] == -1).sum()) == (4, 4)
    few = module(size=7)
    few.setup("fit")
    assert len(few.training_clips()["target"]) == 7


def test_a_larger_draw_holds_the_smaller_one():
    target = [i % 7 if i < 60 else 3 for i in range(100)]
    small, large = (set(draw_evenly(target, size, seed=4)) for size in (14, 30))
    assert small < large
    assert sorted(target[i] for i in small) == sorted(list(range(7)) * 2)
    assert draw_evenly(target, 14, seed=5) != draw_evenly(target, 14, seed=4)
    with pytest.raises(VidferError, match="101 training clips are asked for, and there are 100"):
        draw_evenly(target, 101, seed=0)


def test_speakers_are_standardised_by_themselves_and_labels_do_not_matter():
    rng = torch.Generator().manual_seed(0)
    samples = [
        Sample(f"{person}{take}", person, take % 7, {"sound": torch.randn(2, 4, generator=rng) * size + size})
        for person, size in (("a", 1.0), ("b", 50.0))
        for take in range(30)
    ]
    done = standardise_speakers(samples)
    for person in "ab":
        windows = torch.cat([sample.features["sound"] for sample in done if sample.person == person])
        torch.testing.assert_close(windows.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(windows.std(0, correction=0), torch.ones(4), atol=1e-5, rtol=0)
    relabelled = standardise_speakers([Sample(s.name, s.person, 0, s.features) for s in samples])
    assert all(torch.equal(a.features["sound"], b.features["sound"]) for a, b in zip(done, relabelled, strict=True))
    with pytest.raises(VidferError, match="needs to know who speaks"):
        standardise_speakers([Sample("x", None, 0, samples[0].features)])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"standardise": "none"}, "is none of global, speaker"),
        ({"folds": 3, "fold": 3}, "there are folds 0 to 2, not 3"),
    ],
)
def test_senseless_choices_are_refused(module, options, told):
    with pytest.raises(VidferError, match=told):
        module(**options)


def test_a_fit_repeats_itself_and_is_tested_on_others(module):
    recipe = Recipe("linear", epochs=3)
    answers = []
    for seed in (0, 0, 1):
        data = module(val_people="")
        task = fit(recipe, data, seed=seed)
        data.setup("test")
        answers.append(predict_all(task.classifier, data.test_dataloader())[0])
    assert (answers[0] == answers[1]).all()
    assert (answers[0] != answers[2]).any()
    assert answers[0].sum(1) == pytest.approx(1)


def test_what_lacks_one_modality_is_listed(module):
    data = module(reads=["frames", "sound"], train_people="1", val_people="", test_people="")
    lines = []
    data.notify = lines.append
    data.setup("fit")
    assert any("noted 16: no_video" in line for line in lines)
    assert data.training_clips()["frames"].shape == (16, 1, 128)
    assert not data.training_clips()["frame_mask"].any()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("{1},angry,,train\n{2},sad,,test\n", "2 clips (1 of 1 in train, 1 of 1 in test)"),
        ("{1},angry,ann,train\n{2},sad,,test\n", "1 clips (1 of 1 in test)"),
        ("{1},angry,ann,train\n{2},sad,ben,test\n", None),
        ("{1},angry,,train\n{2},sad,,train\n", None),
    ],
)
def test_unknown_persons_of_several_splits_are_warned_of_and_stand_in_the_card(
    tmp_path, sounds_root, vectors_store, rows, said
):
    one, two = (sounds_root / "Actor_01" / f"03-01-0{code}-01-01-01-01.wav" for code in (4, 5))
    csv = tmp_path / "clips.csv"
    csv.write_text("path,label,person,split\n" + rows.replace("{1}", str(one)).replace("{2}", str(two)))
    data = ClipDataModule(root=str(csv), data="manifest", voice=False, store=vectors_store, reads=["sound"])
    lines = []
    data.notify = lines.append
    data.setup("fit")
    assert [line for line in lines if "WARNING" in line and said in line] if said else "WARNING" not in str(lines)
    assert ("unknown_persons" in data.card_entries()["data"]) == bool(said)


@pytest.mark.parametrize("unlabelled", [False, True])
def test_clips_of_a_manifest_without_a_label_teach_but_are_not_measured(
    tmp_path, sounds_root, vectors_store, unlabelled
):
    files = sorted(sounds_root.rglob("*.wav"))
    rows = [f"{path},{'' if at % 4 == 0 else 'sad' if at % 2 else 'happy'},p{at % 3}" for at, path in enumerate(files)]
    (tmp_path / "clips.csv").write_text("path,label,person\n" + "\n".join(rows) + "\n")
    shares = {"val_share": 0.3, "test_share": 0.3, "unlabelled": unlabelled}
    data = ClipDataModule(
        "manifest", str(tmp_path / "clips.csv"), voice=False, store=vectors_store, reads=["sound"], **shares
    )
    lines = []
    data.notify = lines.append
    data.setup("fit")
    data.setup("test")
    assert {split: len(samples) for split, samples in data.samples.items()} == {
        "train": 16 if unlabelled else 12, "val": 12, "test": 12,
    }  # fmt: skip
    assert any("12: no label" in line for line in lines)
    target = data.training_clips()["target"]
    assert ((target == -1).sum(), (target >= 0).sum()) == (4 if unlabelled else 0, 12)
    assert sum(data.class_shares()) == pytest.approx(1)
    card = data.card_entries()["data"]
    assert (card["trained_on"], card.get("unlabelled"), card["persons"]) == (12, 4 if unlabelled else None, "known")
    data.size = 5
    target = data.training_clips()["target"]  # the seven beyond the five are withheld, or left out
    assert ((target == -1).sum(), (target >= 0).sum()) == (11 if unlabelled else 0, 5)


@pytest.mark.parametrize(("people", "stage", "fails"), [("2", "fit", False), ("1", "fit", True), ("3", "test", True)])
def test_validation_clips_without_sound_are_named_and_stop_no_training(
    module, sounds_root, tmp_path, people, stage, fails
):
    root = tmp_path / "r"
    shutil.copytree(sounds_root, root)
    for path in (root / f"Actor_0{people}").iterdir():
        with wave.open(str(path)) as sound:
            parameters = sound.getparams()
        with wave.open(str(path), "wb") as sound:
            sound.setparams(parameters)
            sound.writeframes(bytes(2 * (parameters.nframes - int(path.stem[7:8]))))  # silent, and no copies
    data, lines = module(root=str(root)), []
    data.notify = lines.append
    if fails:
        with pytest.raises(VidferError, match=r"no clip of ravdess to (train|test) on has sound"):
            data.setup(stage)
        return
    data.setup("fit")
    assert {split: len(samples) for split, samples in data.samples.items()} == {"train": 16}
    assert list(data.val_dataloader()) == []
    assert "WARNING: no clip of ravdess to validate on has sound" in lines


def test_without_a_test_split_nothing_is_tested(module):
    data = module(test_people="")
    data.setup("test")
    with pytest.raises(VidferError, match="is held out to test on"):
        data.test_dataloader()


def test_people_without_any_sound_end_no_training_unless_they_are_trained_on(module, sounds_root, tmp_path):
    """Silence is found only when the clips are read: nobody is then validated on, and there is nothing to test or train on."""
    root = tmp_path / "r"
    shutil.copytree(sounds_root, root)
    for more, clip in enumerate(sorted((root / "Actor_02").iterdir())):  # no two are alike: they would be left out
        soundfile.write(clip, np.zeros(16000 + more), 16000)
    lines = []
    data = module(root=str(root))
    data.notify = lines.append
    data.setup("fit")
    assert set(data.samples) == {"train"}
    assert data.val_dataloader() == []
    assert "WARNING: no clip of ravdess to validate on has sound" in lines
    with pytest.raises(VidferError, match="no clip of ravdess to test on has sound"):
        module(root=str(root), val_people="1", test_people="2", train_people="3").setup("test")
    with pytest.raises(VidferError, match="no clip of ravdess to train on has sound: give clips that have, or leave"):
        module(root=str(root), val_people="1", test_people="3", train_people="2").setup("fit")
