"""Faces of clips as training images, from short videos of a portrait that the tests write."""

import numpy as np
import pytest

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.faces import ClipFacesDataModule, images_per_clip
from vidfer.datamodules.features import FeatureOptions, FeatureReader
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datamodules.prefetch import prefetch
from vidfer.datasets.report import LabelledClip
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.types import EMOTIONS, VidferError
from vidfer.weights.files import weights_digest

CLIPS = {  # file: label, person, seconds, noise
    "a.mp4": ("happy", "ann", 1.0, 1.0),
    "b.mp4": ("sad", "ann", 1.0, 30.0),
    "c.mp4": ("happy", "ben", 1.2, 1.0),
    "d.mp4": ("sad", "cat", 1.4, 1.0),
    "e.mp4": ("happy", "dan", 1.6, 1.0),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A manifest of five short clips, one of which is noisy and one without faces."""
    root = tmp_path_factory.mktemp("clips")
    for name, (_, _, seconds, noise) in CLIPS.items():
        write_demo_clip(root / name, seconds=seconds, noise_sigma=noise)
    (root / "f.mp4").write_bytes(b"no video at all")
    rows = [f"{name},{label},{person}" for name, (label, person, *_) in CLIPS.items()]
    (root / "clips.csv").write_text("\n".join(["path,label,person", *rows, "f.mp4,sad,ben"]) + "\n")
    return root


@pytest.fixture(scope="module")
def make(folder):
    def build(kind=ClipFacesDataModule, **options):
        people = {"train_people": "ann,ben", "val_people": "cat", "test_people": "dan"}
        return kind(**{"data": str(folder / "clips.csv"), "store": str(folder / "store"), **people, **options})

    return build


def test_faces_are_those_that_classifiers_of_clips_read_denoised_where_they_were(make, folder):
    data = make(per_clip=3, batch_size=2)
    lines = []
    data.notify = lines.append
    data.setup("fit")
    data.setup("test")
    assert {split: len(images) for split, images in data.data.items()} == {"train": 9, "val": 3, "test": 3}
    reader = FeatureReader(FeatureOptions(max_frames=3, store=str(folder / "store")), ["image"])
    assert (data.data["train"].image[3:6] == reader(folder / "b.mp4")[0]["image"]).all()
    raw = make(per_clip=3, denoise="off")
    raw.setup("fit")
    differs = (raw.data["train"].image != data.data["train"].image).flatten(1).any(1).tolist()
    assert differs == [False] * 3 + [True] * 3 + [False] * 3  # of the noisy clip alone
    assert data.data["train"].target.tolist() == [
        EMOTIONS.index(name) for name in ("happy", "sad", "happy") for _ in "123"
    ]
    assert data.data["train"].person == ["ann"] * 6 + ["ben"] * 3
    assert any("f.mp4" in line and "dropped 1" in line for line in lines)


def test_the_card_says_who_and_what_was_trained_on(make):
    data = make(per_clip=2)
    data.setup("fit")
    card = data.card_entries()["data"]
    assert card["people"] == {"train": ["ann", "ben"], "val": ["cat"], "test": ["dan"]}
    assert (card["persons"], card["clips"]) == ("known", {"train": 4, "val": 1, "test": 1})
    assert (card["trained_on"], card["images"]) == (6, {"train": {"clips": 6}, "val": {"clips": 2}})
    assert card["denoise_weights"] == weights_digest("denoise", "small")
    assert "class_shares" not in card  # of which `vidfer analyze` wants seven above 0
    assert card["missing_classes"] == [name for name in EMOTIONS if name not in ("happy", "sad")]
    data.setup("test")
    assert data.data["test"].report.source == "clips.csv, faces of 1 test clips"


def test_people_are_divided_as_for_classifiers_of_clips(make):
    for options in ({"test_share": 0.25, "val_share": 0.25}, {"folds": 4, "fold": 2, "val_share": 0.3}):
        chosen = {**dict.fromkeys(("train_people", "val_people", "test_people"), ""), **options, "seed": 3}
        faces, clips = make(**chosen).splits(), make(ClipDataModule, **chosen).splits()
        assert faces == clips
        assert all(faces.values())


def test_somebody_is_validated_on_although_nobody_was_named(make):
    one, few = make(val_people=""), make(val_people="", train_people="ann")
    assert {clip.person for clip in one.splits()["val"]} in ({"ann"}, {"ben"})
    assert {clip.person for clip in one.splits()["train"]} == {"ann", "ben"} - {
        clip.person for clip in one.splits()["val"]
    }
    lines = []
    few.notify = lines.append
    assert not few.splits()["val"]
    assert any("nobody is left to train on" in line for line in lines)


def test_faces_are_mixed_with_fer2013(make, faces_root):
    data = make(per_clip=2, root=str(faces_root), fer_images=14, fer_val_share=0.25, batch_size=4)
    data.setup("fit")
    card = data.card_entries()["data"]
    assert card["images"] == {"train": {"clips": 6, "FER2013": 14}, "val": {"clips": 2, "FER2013": 5}}
    plain = Fer2013DataModule(str(faces_root), val_share=0.25)
    plain.setup("fit")
    held_out = {image.numpy().tobytes() for image in plain.data["val"].image}
    assert {image.numpy().tobytes() for image in data.data["val"].image[2:]} <= held_out
    assert not held_out & {image.numpy().tobytes() for image in data.data["train"].image}
    assert np.bincount(data.data["train"].target[6:], minlength=7).tolist() == [2] * 7
    data.setup("test")
    assert data.data["test"].person == ["dan"] * 2
    batch = next(iter(data.train_dataloader()))
    assert data.on_after_batch_transfer(batch, 0)["image"].shape == (4, 1, 48, 48)


def test_common_classes_give_fewer_images_of_a_clip():
    labels = ["happy"] * 12 + ["sad"] * 4 + ["fear"] * 2
    numbers = images_per_clip([LabelledClip(None, label) for label in labels], 6)
    assert numbers == [3] * 12 + [6] * 4 + [6] * 2  # at most 6 images of each of 6 clips: 36, 24 and 12 images
    assert images_per_clip([LabelledClip(None, "sad")] * 50 + [LabelledClip(None, "fear")], 1) == [1] * 51
    assert images_per_clip([], 3) == []


def test_without_test_people_or_faces_that_is_said(make, tmp_path):
    with pytest.raises(VidferError, match="is held out to test on"):
        make(test_people="").setup("test")
    (tmp_path / "x.mp4").write_bytes(b"no video at all")
    (tmp_path / "clips.csv").write_text("path,label,split\nx.mp4,sad,train\n")
    none = ClipFacesDataModule(str(tmp_path / "clips.csv"), store=str(tmp_path / "store"))
    with pytest.raises(VidferError, match="no face is found in the clips to train on"):
        none.setup("fit")


def fail_where_computed(monkeypatch):
    for stage in ("faces.FacesStage", "denoise.DenoiseStage", "finetune.ImageStage", "audio.AudioStage"):
        monkeypatch.setattr(f"vidfer.stages.{stage}.run", None)


@pytest.mark.slow
def test_what_was_prefetched_is_not_computed_again(make, tmp_path, monkeypatch):
    store = str(tmp_path / "store")
    lost = prefetch(make(store=store), 1)
    assert [(job.path.name, str(error.status)) for job, error in lost] == [("f.mp4", "unsupported")]
    fail_where_computed(monkeypatch)
    data = make(store=store)
    data.setup("fit")
    data.setup("test")
    assert len(data.data["train"]) > 0
    assert not (tmp_path / "store/finetune").exists()  # no embedding was computed


def test_prefetched_features_of_clips_are_all_that_are_read(make, folder, monkeypatch):
    options = {"reads": ["frames", "image", "sound"], "speeds": [0.9], "augment": ["noise"], "voice": False}
    jobs = make(ClipDataModule, **options).feature_jobs()
    assert len(jobs) == 4 * 3 + 2 * 2  # faces and two variants of training clips, faces and one of others
    prefetch(make(ClipDataModule, **options), 1)
    fail_where_computed(monkeypatch)
    data = make(ClipDataModule, **options)
    data.setup("fit")
    data.setup("test")
    assert len(data.samples["train"]) == 6


@pytest.mark.slow
def test_several_processes_share_the_work(sounds_root, tmp_path, monkeypatch):
    options = {"root": str(sounds_root), "store": str(tmp_path / "store"), "voice": False, "reads": ["sound"]}
    seen = set()
    assert prefetch(ClipDataModule(train_people="1", **options), 2, lambda at, *_: seen.add(at)) == []
    assert seen == set(range(16))
    fail_where_computed(monkeypatch)
    data = ClipDataModule(train_people="1", **options)
    data.setup("fit")
    assert len(data.samples["train"]) == 16
