"""Cells of the table of denoisers: what they train on, what they count, what they measure."""

import itertools
import json

import cv2
import numpy as np
import pytest
import torch

from vidfer.paper import denoising
from vidfer.paper.denoisers import DENOISERS, PatchDenoiser, denoise_task
from vidfer.paper.denoising import load_photographs, run_denoiser_cell
from vidfer.types import VidferError


def draw_photo(path, seed, edge=140):
    """Write a smooth colour image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    photo = cv2.resize(small, (edge, edge), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(path), photo)
    return photo[..., ::-1]


@pytest.fixture
def photos(tmp_path):
    """Six photographs to train on, with Set5 and Set14 of one each beside them."""
    for number in range(6):
        draw_photo(tmp_path / f"mine/{number}.png", number, 80)
    draw_photo(tmp_path / "set5/a.png", 10)
    draw_photo(tmp_path / "set14/b.png", 11)
    load_photographs.cache_clear()
    return tmp_path / "mine"


@pytest.mark.parametrize("family", DENOISERS)
def test_a_cell(family, photos):
    cell = run_denoiser_cell(family, 5, 0, root=str(photos), steps=10)
    assert cell == json.loads(json.dumps(cell))
    rows = cell["per_image"]
    assert cell["n_test"] == len(rows) == 6
    assert cell["psnr"] == pytest.approx(np.mean([row["psnr"] for row in rows]))
    assert cell["psnr"] == pytest.approx(np.mean(list(cell["psnr_by_sigma"].values())))
    assert cell["rmse"] == pytest.approx(np.sqrt(np.mean([row["rmse"] ** 2 for row in rows])))
    assert cell["psnr_noisy"] == pytest.approx(20.5, abs=1)
    assert cell["params"] == sum(weight.numel() for weight in denoise_task(family).generator.parameters())
    assert cell["steps"] == 10
    assert 0 < cell["seconds"] < 60
    assert "sigma 15, 25, 50" in cell["data"]


@pytest.mark.parametrize("family", ["dbn", "gan"])
def test_cells_repeat_by_their_seed(family, photos):
    def figures(seed):
        return [row["psnr"] for row in run_denoiser_cell(family, 5, seed, root=str(photos), steps=10)["per_image"]]

    first = figures(0)
    torch.rand(3)
    state = torch.get_rng_state()
    assert figures(0) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert figures(1) != first


def test_denoisers_improve_held_out_images():
    cell = run_denoiser_cell("rnn", 50, 0, root="sample", steps=50)
    assert cell["n_test"] == 36
    assert "coffee" in cell["data"]
    assert cell["psnr"] > cell["psnr_noisy"] + 1


@pytest.mark.slow
@pytest.mark.parametrize("family", DENOISERS)
def test_every_family_improves_held_out_images(family):
    cell = run_denoiser_cell(family, 100, 0, root="sample")
    assert cell["psnr"] > cell["psnr_noisy"] + 2


@pytest.mark.parametrize(("family", "steps", "critic_steps"), [("cnn", 20, 0), ("dbn", 16, 0), ("gan", 18, 2)])
def test_every_family_takes_the_same_number_of_steps(family, steps, critic_steps, photos, monkeypatch):
    """A DBN's first fifth is pre-training; in the generator's last tenth its critic learns from every batch."""
    tasks, pretrained = [], []
    train = denoising.train_here
    monkeypatch.setattr(denoising, "train_here", lambda task, data: tasks.append(task) or train(task, data))
    monkeypatch.setattr(
        PatchDenoiser, "pretrain", lambda _network, images, steps, seed: pretrained.append((len(images), steps))
    )
    run_denoiser_cell(family, 5, 0, root=str(photos), steps=20)
    (task,) = tasks
    assert (task.generator_steps, task.critic_steps) == (steps, critic_steps)
    assert task.batches == 20 - sum(steps for _, steps in pretrained)
    assert pretrained == ([(4 * 8, 4)] if family == "dbn" else [])


def test_the_crops_of_pretraining_are_not_shown_again(photos, monkeypatch):
    shown = []
    monkeypatch.setattr(denoising, "train_here", lambda task, data: shown.extend(data.sampler))
    run_denoiser_cell("dbn", 5, 3, root=str(photos), steps=20)
    assert shown == [(3, 0, index) for index in range(4 * 8, 20 * 8)]


def test_the_time_is_that_of_all_test_images(photos, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(denoising.time, "process_time", lambda: float(next(ticks)))
    cell = run_denoiser_cell("cnn", 5, 0, root=str(photos), steps=2)
    assert cell["seconds"] == cell["n_test"] == 6


def test_larger_draws_hold_smaller_ones():
    photographs = load_photographs("sample")
    small, large, other = photographs.draw(5, 0), photographs.draw(9, 0), photographs.draw(5, 1)
    assert all(one is two for one, two in zip(small, large[:5], strict=True))
    assert any(one is not two for one, two in zip(small, other, strict=True))
    assert len(photographs.train) >= 600


def test_not_enough_images(photos):
    with pytest.raises(VidferError, match="not enough images: 6, where 7 are wanted"):
        run_denoiser_cell("cnn", 7, 0, root=str(photos), steps=1)


def test_photographs_of_ones_own(photos):
    cell = run_denoiser_cell("rnn", 6, 0, root=str(photos), steps=2)
    assert {row["name"] for row in cell["per_image"]} == {"set5/a.png", "set14/b.png"}
    assert "trained on mine, tested on the middle 128 px of 2 images of set5 and set14" in cell["data"]


def test_noise_is_the_same_in_every_cell_and_as_strong_as_it_says(photos):
    rows = [
        run_denoiser_cell(family, 5, seed, root=str(photos), steps=2)["per_image"]
        for family, seed in (("cnn", 0), ("rnn", 1))
    ]
    noisy = [[row["psnr_noisy"] for row in each] for each in rows]
    assert noisy[0] == noisy[1]
    for row in rows[0]:
        assert row["psnr_noisy"] == pytest.approx(20 * np.log10(255 / row["sigma"]), abs=1.5)


def test_names_decide_nothing(photos):
    before = run_denoiser_cell("rnn", 2, 0, root=str(photos), steps=2)
    for number in range(6):
        (photos / f"{number}.png").rename(photos / f"renamed {9 - number}.png")
    load_photographs.cache_clear()
    after = run_denoiser_cell("rnn", 2, 0, root=str(photos), steps=2)
    assert [row["psnr"] for row in after["per_image"]] == [row["psnr"] for row in before["per_image"]]


def test_the_data_digest_follows_the_pixels(photos):
    load_photographs.cache_clear()
    before = load_photographs(str(photos)).digest
    (photos / "0.png").rename(photos / "renamed.png")
    load_photographs.cache_clear()
    assert load_photographs(str(photos)).digest == before
    draw_photo(photos / "new.png", 20, 80)
    load_photographs.cache_clear()
    assert load_photographs(str(photos)).digest != before


def test_leaks_are_named(photos):
    (photos / "copy.png").write_bytes((photos.parent / "set5/a.png").read_bytes())
    with pytest.raises(VidferError, match=r"copy\.png is set5/a\.png"):
        run_denoiser_cell("cnn", 2, 0, root=str(photos))


def test_missing_test_photographs(tmp_path):
    draw_photo(tmp_path / "mine/0.png", 0, 80)
    with pytest.raises(VidferError, match=r"no folder .*set5"):
        run_denoiser_cell("cnn", 1, 0, root=str(tmp_path / "mine"))


def test_diverged_trainings_are_no_figures(photos):
    with pytest.raises(VidferError, match="diverged"):
        run_denoiser_cell("cnn", 5, 0, root=str(photos), steps=10, optimizer="sgdma", lr=1e20)


def test_published_photographs_do_not_leak(data_dir):
    photographs = load_photographs(str(data_dir / "bsds500"))
    assert len(photographs.train) == 400
    assert len(photographs.test) == 19
