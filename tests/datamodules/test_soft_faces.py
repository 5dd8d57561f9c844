import numpy as np
import pytest
import torch

from vidfer.datamodules.soft_faces import CONVENTIONS, SoftFacesDataModule, SoftImages
from vidfer.datasets.contents import data_contents
from vidfer.datasets.soft_labels import hash_share, read_soft_fer2013, read_wild
from vidfer.types import VidferError

MIX = {"large": 0.7, "small": 0.3}


@pytest.fixture
def module(soft_root):
    def build(**options):
        given = {"wild_size": 32, "image_size": 32, "batch_size": 8, "val_persons": 5, "val_share": 0.2, **options}
        data = SoftFacesDataModule(str(soft_root / "fer2013"), str(soft_root / "wild"), **given)
        data.notify = lambda _: None
        data.setup("fit")
        return data

    return build


def test_targets_of_each_convention(soft_root):
    fer, _ = read_soft_fer2013(soft_root / "fer2013", MIX, 0.0)
    wild, _ = read_wild(soft_root / "wild", MIX, 0, 32)
    images = SoftImages([fer, wild], vote_share=0.3, repeat=2)
    assert len(images) == 50 + 2 * 20
    batch = images.__getitems__([80, 3, 55, 0])  # photographs 10 and 5, rows at 3 and 0
    np.testing.assert_array_equal(batch["image"], fer.image[[3, 0]])
    np.testing.assert_array_equal(batch["wild"], wild.image[[10, 5]])
    assert batch["of_wild"].tolist() == [False, False, True, True]
    assert set(batch["target"]) == set(CONVENTIONS)
    voted = fer.votes[[3, 0]].sum(1, keepdims=True) > 0
    video = np.where(voted, 0.7 * fer.teacher[[3, 0]] + 0.3 * fer.votes[[3, 0]], fer.teacher[[3, 0]])
    np.testing.assert_allclose(batch["target"]["video"], [*video, *wild.teacher[[10, 5]]], rtol=1e-5)
    np.testing.assert_allclose(batch["target"]["ferplus"][:2], fer.votes[[3, 0]])
    assert batch["target"]["fer2013"][:2].argmax(1).tolist() == fer.label[[3, 0]].tolist()
    assert batch["known"]["fer2013"].tolist() == [1, 1, 0, 0]
    assert batch["known"]["ferplus"][2:].tolist() == [0, 0]
    assert batch["known"]["video"].tolist() == [1] * 4


def test_a_row_without_a_label_has_no_target_of_that_convention(soft_root):
    fer, _ = read_soft_fer2013(soft_root / "fer2013", MIX, 0.0)
    at = int(np.flatnonzero(fer.label < 0)[0])
    batch = SoftImages([fer], 0.3, 1).__getitems__([at])
    assert batch["known"]["fer2013"].tolist() == [0]
    assert batch["wild"].shape[0] == 0


def test_nothing_held_out_is_trained_on(module):
    data = module()
    train, val = data.soft["train"], data.soft["val"]
    pixels = [{image.numpy().tobytes() for image in split.fer} for split in (train, val)]
    assert not pixels[0] & pixels[1]
    assert (len(train.fer) + len(val.fer), len(train.wild), len(val.wild)) == (50, 16, 4)
    labelled = list(data.data["val"].image.numpy())
    assert labelled
    assert all(hash_share(image) < 0.2 for image in labelled)
    assert all(hash_share(image) >= 0.2 for image in data.data["train"].image.numpy())


def test_class_weights_average_to_one_over_the_weighed_data(module):
    data = module(balance=0.6, wild_repeat=3)
    train = data.soft["train"]
    video = torch.cat(
        [train.target["video"][: len(train.fer)], *[train.target["video"][len(train.fer) :]] * 3]
    ).double()
    shares = video.mean(0)
    weight = data.class_weights()
    assert float((video @ weight.double()).mean()) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(weight / weight[0], (shares / shares[0]) ** -0.6, rtol=1e-5)
    np.testing.assert_allclose(data.class_shares(), shares, rtol=1e-6)  # balance weighs faces, not classes
    assert module(balance=0.0).class_weights().tolist() == pytest.approx([1.0] * 7, rel=1e-6)


def test_whole_batches_are_augmented_only_while_training(module):
    from types import SimpleNamespace

    data = module()
    batch = next(iter(data.val_dataloader()))
    plain = data.on_after_batch_transfer(dict(batch), 0)["image"]
    assert plain.shape == (len(batch["of_wild"]), 1, 32, 32)
    torch.testing.assert_close(data.on_after_batch_transfer(dict(batch), 0)["image"], plain)
    data.trainer = SimpleNamespace(training=True, current_epoch=0)
    torch.manual_seed(0)
    first, second = (data.on_after_batch_transfer(dict(batch), 0)["image"] for _ in range(2))
    assert not torch.allclose(first, second)


def test_the_test_split_has_the_majority_of_the_votes(module):
    data = module()
    data.setup("test")
    assert 0 < len(data.data["test"]) <= 10
    batch = next(iter(data.test_dataloader()))
    image = data.on_after_batch_transfer(batch, 0)["image"]
    assert image.shape[1:] == (1, 32, 32)


def test_the_card_tells_what_was_trained_on(module):
    entries = module().card_entries()
    data = entries["data"]
    assert data["trained_on"]["photographs"] == 16
    assert data["validated_on"]["photographs"] == 4
    assert data["trained_on"]["video"] == data["trained_on"]["photographs"] + 50 - (data["validated_on"]["video"] - 4)
    assert sum(data["class_shares"]) == pytest.approx(1, abs=1e-5)
    assert "research" in entries["licence"]
    assert entries["conventions"] == {
        "video": "soft labels of teachers (large 0.7, small 0.3); 0.3 of the target from FER+ votes, where there are some",
        "fer2013": "FER2013's labels",
        "ferplus": "shares of the FER+ votes",
    }
    assert (
        module(vote_share=0.0).card_entries()["conventions"]["video"]
        == "soft labels of teachers (large 0.7, small 0.3)"
    )


def test_every_file_is_part_of_the_contents(soft_root):
    kind = "vidfer.datamodules.soft_faces.SoftFacesDataModule"

    def contents():
        return data_contents(
            kind, {"root": str(soft_root / "fer2013"), "wild_root": str(soft_root / "wild")}, soft_root
        )

    before = contents()
    for name in (
        "fer2013/fer2013.csv",
        "fer2013/fer2013new.csv",
        "fer2013/teacher.csv",
        "wild/wild.csv",
        "wild/03_7.png",
    ):
        path = soft_root / name
        kept = path.read_bytes()
        path.write_bytes(kept + b" ")
        assert contents() != before, name
        path.write_bytes(kept)
        assert contents() == before


@pytest.mark.parametrize("options", [{"wild_repeat": -1}, {"wild_size": 8}, {"vote_share": 1.5}, {"balance": -0.1}])
def test_values_out_of_range(options):
    with pytest.raises(VidferError, match="vote_share"):
        SoftFacesDataModule(**options)
