import pytest
import torch

from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.types import VidferError


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": -1}, {"val_share": 1.0}, {"val_share": -0.1}])
def test_impossible_batches_and_shares_are_refused(options):
    with pytest.raises(VidferError, match="batch_size has to be at least 1 and val_share in"):
        Fer2013DataModule(**options)


def test_splits_are_disjoint_and_batches_whole(faces_root):
    data = Fer2013DataModule(root=str(faces_root), val_share=0.25, batch_size=16)
    data.setup("fit")
    data.setup("test")
    assert [len(data.data[split]) for split in ("train", "val", "test")] == [42, 14, 14]
    seen = {split: {image.numpy().tobytes() for image in data.data[split].image} for split in data.data}
    assert not seen["train"] & seen["val"]
    assert not seen["train"] & seen["test"]
    batches = list(data.train_dataloader())
    assert [len(batch["target"]) for batch in batches] == [16, 16]
    assert batches[0]["image"].dtype == torch.uint8


def test_outside_training_images_are_only_standardised(faces_root):
    data = Fer2013DataModule(root=str(faces_root), image_size=64, in_chans=3, statistics="image")
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    image = data.on_after_batch_transfer(batch, 0)["image"]
    assert image.shape == (14, 3, 64, 64)
    torch.testing.assert_close(image.mean(dim=(1, 2, 3)), torch.zeros(14), atol=1e-5, rtol=0)
    torch.testing.assert_close(image[:, 0], image[:, 2])


def test_the_resolution_rises_with_the_epochs():
    data = Fer2013DataModule(resolution=[[2, 40], [0, 32], [5, 48]])
    assert [data.training_size(epoch) for epoch in range(7)] == [32, 32, 40, 40, 40, 48, 48]
    assert Fer2013DataModule(image_size=99).training_size(0) == 99
