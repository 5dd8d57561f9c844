import itertools
from types import SimpleNamespace

import cv2
import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint

from vidfer.datamodules.denoise import CropSampler, DenoiseDataModule, FixedCrops, RandomCrops
from vidfer.datasets import div2k, photos
from vidfer.types import VidferError


def make_photos(count=3, height=70, width=90):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def write_photos(folder, names, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in names:
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (40, 50, 3)))


def clean(batch):
    return ((batch["clean"] + 1) * 127.5).round().to(torch.uint8).numpy()


def test_a_crop_depends_on_seed_epoch_and_index_alone():
    crops = RandomCrops(make_photos(), 32, (25.0,), True, 4)
    first = crops[3, 0, 1]["noisy"]
    torch.manual_seed(1)
    assert torch.equal(first, crops[3, 0, 1]["noisy"])
    for other in ((4, 0, 1), (3, 1, 1), (3, 0, 2)):
        assert not torch.equal(first, crops[other]["noisy"])


def test_crops_cover_every_photograph_place_flip_turn_and_level():
    photo = np.zeros((4, 5, 3), np.uint8)
    photo[...] = (np.arange(20) * 12).reshape(4, 5, 1)  # every pixel is its own place
    crops = RandomCrops([photo, photo + 1], 3, (0.0, 1.0), False, 1)
    seen = {"photo": [], "view": [], "level": []}
    views = {}
    for number, (k, left, top, flip) in enumerate(itertools.product(range(4), range(3), range(2), range(2))):
        view = np.rot90(photo[top : top + 3, left : left + 3], k)
        views[(view[:, ::-1] if flip else view)[..., 0].tobytes()] = number
    assert len(views) == 48
    for index in range(4800):
        item = crops[0, 0, index]
        pixels = ((item["clean"] + 1) * 127.5).round().to(torch.uint8).numpy()[0]
        seen["photo"].append(int(pixels.min() % 2))
        seen["view"].append(views[(pixels - pixels.min() % 2).tobytes()])
        seen["level"].append(int(not torch.equal(item["clean"], item["noisy"])))
    for name, kinds in (("photo", 2), ("view", 48), ("level", 2)):
        counts = np.bincount(seen[name], minlength=kinds)
        expected = 4800 / kinds
        assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected), name


def test_recorded_noise_lies_on_the_8_bit_grid_and_has_its_level():
    gray = [np.full((64, 64, 3), 128, np.uint8)]
    for sigma in (15, 25, 50):
        item = RandomCrops(gray, 64, (sigma,), True, 1)[0, 0, 0]
        levels = (item["noisy"] + 1) * 127.5
        torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
        assert levels.min() >= 0
        assert levels.max() <= 255
        free = RandomCrops(gray, 64, (sigma,), False, 1)[0, 0, 0]
        assert ((free["noisy"] - free["clean"]) * 127.5).std().item() == pytest.approx(sigma, rel=0.05)


def test_fixed_crops_always_have_the_same_noise_of_their_level():
    crops = FixedCrops([np.full((64, 200, 3), 128, np.uint8)], 64, (15.0, 50.0), True)
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


def test_the_last_photographs_by_name_are_held_out(tmp_path):
    write_photos(tmp_path, [f"{letter}.png" for letter in "abcdefghij"])
    data = DenoiseDataModule(str(tmp_path), val_share=0.2, crop=32)
    data.setup("fit")
    last = photos.read_photos(str(tmp_path), smallest=32)[0]["j.png"]
    assert len(data.data["train"].photos) == 8
    assert np.array_equal(data.data["val"].items[-1][0], last[-32:, -32:])


def test_div2k_is_validated_on_its_own_part(tmp_path, monkeypatch):
    monkeypatch.setattr(
        div2k, "PARTS", {"train": div2k.Part("DIV2K_train_HR", 1, 5, 0, ""), "valid": div2k.PARTS["valid"]}
    )
    write_photos(tmp_path / "DIV2K_train_HR", ["0001.png", "0002.png", "0004.png"])
    write_photos(tmp_path / "DIV2K_train_LR_bicubic" / "X2", ["0001x2.png"], seed=1)
    write_photos(tmp_path / "DIV2K_valid_HR", ["0801.png"], seed=2)
    data = DenoiseDataModule(str(tmp_path), crop=32, test_root=str(tmp_path))
    data.setup("test")
    assert len(data.data["train"].photos) == 3
    valid = cv2.imread(str(tmp_path / "DIV2K_valid_HR" / "0801.png"))[..., ::-1]
    assert np.array_equal(data.data["val"].items[0][0], valid[:32, :32])
    assert len(data.data["test"]) == len(data.data["val"]) == 9 * 3
    assert data.report.noted["missing"][:2] == ["0003.png", "0005.png"]
    assert data.card_entries()["data"] == {"source": "DIV2K", "found": 4, "kept": 4}


def test_photographs_on_disk_give_the_same_crops_in_worker_processes(tmp_path, monkeypatch):
    write_photos(tmp_path, ["a.png", "b.png", "c.png"])

    def draw(workers):
        data = DenoiseDataModule(str(tmp_path), crop=32, crops_per_epoch=10, batch_size=4, num_workers=workers)
        torch.manual_seed(5)
        data.setup("fit")
        return data, [batch["noisy"] for batch in data.train_dataloader()]

    _, expected = draw(0)
    monkeypatch.setattr(photos, "_MEMORY", 1)
    data, found = draw(2)
    assert all(isinstance(photo, photos.StoredPhoto) for photo in data.data["train"].photos)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_processes_share_an_epoch_without_doubles():
    crops = RandomCrops(make_photos(), 32, (25.0,), True, 10)
    loop = SimpleNamespace(batch_idx=0)  # one batch of two crops is done
    trainers = [SimpleNamespace(world_size=2, global_rank=rank, training=True, fit_loop=loop) for rank in (0, 1)]
    modules = [
        SimpleNamespace(trainer=trainer, order_seed=7, _place=lambda rank=rank: (rank, 2))
        for rank, trainer in enumerate(trainers)
    ]
    samplers = [CropSampler(crops, module, 2, shuffle=False) for module in modules]
    for sampler in samplers:
        sampler.set_epoch(3)
    assert [list(sampler) for sampler in samplers] == [
        [(7, 3, 4), (7, 3, 6), (7, 3, 8)],
        [(7, 3, 5), (7, 3, 7), (7, 3, 9)],
    ]


class Recorder(lightning.LightningModule):
    """Notes every crop it is given, and breaks off where it is told to."""

    def __init__(self, breaks=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.breaks = breaks
        self.seen = []

    def training_step(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == self.breaks:
            raise RuntimeError("power cut")
        self.seen.append((self.current_epoch, batch_idx, clean(batch).tobytes()))
        return self.weight * batch["noisy"].mean()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


STEPS = 5


def fit(folder, breaks=None, resume=None, callback=None, seed=1, workers=0, **options):
    lightning.seed_everything(seed)
    model = Recorder(breaks)
    data = DenoiseDataModule(crop=32, crops_per_epoch=4 * STEPS - 1, batch_size=4, num_workers=workers)
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, default_root_dir=folder, callbacks=[callback] if callback else [],
        enable_checkpointing=callback is not None, logger=False, enable_progress_bar=False, limit_val_batches=1,
        enable_model_summary=False, **{"max_epochs": 3, **options},
    )  # fmt: skip
    if breaks:
        with pytest.raises(RuntimeError, match="power cut"):
            trainer.fit(model, data)
    else:
        trainer.fit(model, data, ckpt_path=resume)
    return model.seen


@pytest.mark.parametrize(
    ("breaks", "checkpoint", "options"),
    [
        ((1, 3), "epoch=1-step=8.ckpt", {}),  # in mid-epoch, one batch lost
        ((1, 2), "epoch=1-step=6.ckpt", {}),  # after the first batch of an epoch
        ((2, 1), "epoch=1-step=10.ckpt", {}),  # after the last batch of an epoch
        ((1, 3), "epoch=1-step=8.ckpt", {"workers": 2}),
        ((1, 3), "epoch=1-step=8.ckpt", {"max_epochs": -1, "max_steps": 12}),
        ((1, 4), "epoch=1-step=8.ckpt", {"val_check_interval": 2}),  # validated in mid-epoch
    ],
)
def test_a_resumed_epoch_goes_on_with_the_crops_not_yet_drawn(tmp_path, breaks, checkpoint, options):
    expected = fit(tmp_path, **options)
    first = fit(tmp_path, breaks, callback=ModelCheckpoint(tmp_path, every_n_train_steps=2, save_top_k=-1), **options)
    second = fit(tmp_path, resume=tmp_path / checkpoint, seed=2, **options)
    kept = int(checkpoint.split("=")[-1].split(".")[0])
    assert first[:kept] + second == expected
    assert len({pixels for *_, pixels in expected}) == len(expected)


def test_a_checkpoint_of_the_exception_itself_repeats_the_batch_that_failed(tmp_path):
    expected = fit(tmp_path)
    first = fit(tmp_path, (1, 3), callback=OnExceptionCheckpoint(tmp_path, "broken"))
    assert first + fit(tmp_path, resume=tmp_path / "broken.ckpt") == expected


def test_a_training_resumed_between_epochs_draws_the_next_epochs_crops(tmp_path):
    expected = fit(tmp_path)
    fit(tmp_path, callback=ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1))
    assert fit(tmp_path, resume=tmp_path / "epoch=0.ckpt", seed=9, workers=2) == expected[STEPS:]


def test_a_single_photograph_cannot_be_trained_on(tmp_path):
    write_photos(tmp_path, ["one.png"])
    with pytest.raises(VidferError, match="one photograph is not enough"):
        DenoiseDataModule(str(tmp_path), crop=32).setup("fit")
