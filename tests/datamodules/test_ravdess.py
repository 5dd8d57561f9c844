import pytest
import torch

from vidfer.datamodules.ravdess import RavdessDataModule, collate
from vidfer.types import VidferError


def test_no_person_is_in_two_splits():
    with pytest.raises(VidferError, match="actors 3 are in train and test"):
        RavdessDataModule(train_actors=[1, 2, 3], test_actors=[3, 4])
    with pytest.raises(VidferError, match="in val and test"):
        RavdessDataModule(train_actors=[1], val_actors=[2], test_actors=[2])


def test_windows_keep_their_recording():
    samples = [(torch.full((2, 5), 1.0), 4), (torch.full((1, 5), 2.0), 0), (torch.full((3, 5), 3.0), 6)]
    batch = collate(samples)
    assert batch["recording"].tolist() == [0, 0, 1, 2, 2, 2]
    assert batch["target"].tolist() == [4, 0, 6]
    assert torch.equal(batch["vector"][:, 0], torch.tensor([1.0, 1, 2, 3, 3, 3]))


def test_splits_follow_the_actors(sounds_root, vectors_store):
    data = RavdessDataModule(
        root=str(sounds_root), train_actors=[1], val_actors=[2], test_actors=[3], store=vectors_store, batch_size=5
    )
    data.setup("fit")
    data.setup("test")
    assert [len(data.data[split]) for split in ("train", "val", "test")] == [16, 16, 16]
    assert data.training_vectors().shape == (16, 1582)
    assert data.training_targets().bincount(minlength=7).tolist() == [2, 2, 2, 2, 2, 2, 4]  # calm counts as neutral
    assert len(list(data.train_dataloader())) == 3
    assert len(list(data.val_dataloader())) == 4
