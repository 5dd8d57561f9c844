import numpy as np
import torch

from vidfer.datamodules.denoise import DenoiseDataModule, FixedCrops, RandomCrops


def test_crops_are_fresh_each_epoch_and_repeatable_by_seed():
    photos = [np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)]
    crops = RandomCrops(photos, 64, (25.0,), True, 4)
    torch.manual_seed(3)
    first = [crops[i]["noisy"] for i in range(4)]
    second = [crops[i]["noisy"] for i in range(4)]
    torch.manual_seed(3)
    again = [crops[i]["noisy"] for i in range(4)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_fixed_crops_always_have_the_same_noise_of_their_level():
    photos = [np.full((64, 200, 3), 128, np.uint8)]
    crops = FixedCrops(photos, 64, (15.0, 50.0), True)
    assert len(crops) == 3 * 2
    for index, sigma in ((0, 15), (1, 50)):
        item = crops[index]
        assert torch.equal(item["noisy"], crops[index]["noisy"])
        spread = ((item["noisy"] - item["clean"]) * 127.5).std().item()
        assert abs(spread - sigma) < 0.06 * sigma
    assert item["clean"].abs().max() <= 1


def test_the_sample_needs_no_files():
    data = DenoiseDataModule(crops_per_epoch=6, batch_size=4, crop=32)
    data.setup("fit")
    assert [len(batch["clean"]) for batch in data.train_dataloader()] == [4, 2]
    assert next(iter(data.val_dataloader()))["noisy"].shape == (4, 3, 32, 32)
