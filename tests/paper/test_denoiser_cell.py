"""Cells of the table of denoisers: what they train on, what they count, what they measure."""

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from vidfer.datamodules.denoise import RandomCrops
from vidfer.metrics.image import psnr
from vidfer.paper.denoiser_cell import ABOUT, run_denoiser_cell
from vidfer.paper.denoiser_fit import DenoiserFit
from vidfer.paper.denoiser_photos import NotEnoughImagesError, load_material
from vidfer.paper.denoisers.build import FAMILIES, build_denoiser
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
    return tmp_path / "mine"


def test_every_family_is_described():
    assert tuple(ABOUT) == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cell(family, photos):
    cell = run_denoiser_cell(family, 5, 0, root=photos, steps=10)
    assert cell == json.loads(json.dumps(cell))
    rows = cell["per_image"]
    assert cell["n_test"] == len(rows) == 6
    assert cell["psnr"] == pytest.approx(np.mean([row["psnr"] for row in rows]))
    assert cell["psnr"] == pytest.approx(np.mean(list(cell["psnr_by_sigma"].values())))
    assert cell["rmse"] == pytest.approx(np.sqrt(np.mean([row["rmse"] ** 2 for row in rows])))
    assert cell["psnr_noisy"] == pytest.approx(20.5, abs=1)
    assert cell["params"] == sum(weight.numel() for weight in build_denoiser(family).parameters())
    assert cell["steps"] == 10
    assert 0 < cell["seconds"] < 60
    assert "sigma 15, 25, 50" in cell["data"]


@pytest.mark.parametrize("family", ["dbn", "gan"])
def test_cells_repeat_by_their_seed(family, photos):
    def figures(seed):
        return [row["psnr"] for row in run_denoiser_cell(family, 5, seed, root=photos, steps=10)["per_image"]]

    first = figures(0)
    torch.rand(3)
    state = torch.get_rng_state()
    assert figures(0) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert figures(1) != first


def test_denoisers_better_what_they_never_saw():
    cell = run_denoiser_cell("rnn", 50, 0, root="sample", steps=50)
    assert cell["n_test"] == 36
    assert "coffee" in cell["data"]
    assert cell["psnr"] > cell["psnr_noisy"] + 1


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_betters_what_it_never_saw(family):
    cell = run_denoiser_cell(family, 100, 0, root="sample")
    assert cell["psnr"] > cell["psnr_noisy"] + 2


@pytest.mark.parametrize(("family", "phases"), [("cnn", (0, 20, 0)), ("dbn", (4, 16, 0)), ("gan", (0, 18, 2))])
def test_all_steps_count(family, phases):
    crops = RandomCrops([np.zeros((40, 40, 3), np.uint8)], 32, (25.0,), True, 40)
    fit = DenoiserFit(build_denoiser(family), crops, steps=20, batch_size=2, seed=0, adversarial=family == "gan")
    assert tuple(len(phase) for phase in fit.phases) == phases
    assert all(one.stop == other.start for one, other in pairwise(fit.phases))


def test_the_generator_learns_from_every_fifth_batch_against_its_critic():
    crops = RandomCrops([np.zeros((40, 40, 3), np.uint8)], 32, (25.0,), True, 100)
    torch.manual_seed(0)
    fit = DenoiserFit(build_denoiser("gan"), crops, steps=50, batch_size=1, seed=0, adversarial=True)
    before = [weight.clone() for weight in fit.critic.parameters()]
    taken = []
    fit.optimizer.register_step_post_hook(lambda *_: taken.append(1))
    fit.run()
    assert len(taken) == 45 + 1
    assert fit.schedule.last_epoch == fit.schedule.total_steps == 46
    assert any(not torch.equal(a, b) for a, b in zip(before, fit.critic.parameters(), strict=True))
    assert not fit.network.training


def test_larger_draws_hold_smaller_ones():
    material = load_material("sample")
    small, large, other = material.draw(5, 0), material.draw(9, 0), material.draw(5, 1)
    assert all(one is two for one, two in zip(small, large[:5], strict=True))
    assert any(one is not two for one, two in zip(small, other, strict=True))
    assert len(material.train) >= 600


def test_not_enough_images(photos):
    with pytest.raises(NotEnoughImagesError, match="not enough images: 6, where 7 are wanted") as caught:
        run_denoiser_cell("cnn", 7, 0, root=photos, steps=1)
    assert (caught.value.wanted, caught.value.found) == (7, 6)


def test_photographs_of_ones_own(photos, tmp_path):
    cell = run_denoiser_cell("rnn", 6, 0, root=photos, steps=2)
    assert {row["name"] for row in cell["per_image"]} == {"set5/a.png", "set14/b.png"}
    assert "trained on mine, tested on the middle 128 px of 2 images of set5 and set14" in cell["data"]
    named = run_denoiser_cell("rnn", 6, 0, root=photos, test_roots=[tmp_path / "set5"], steps=2)
    assert named["n_test"] == 3


def test_noise_is_that_of_8_bit_frames_and_always_the_same(photos):
    load_material.cache_clear()
    first = load_material(str(photos)).test
    load_material.cache_clear()
    again = load_material(str(photos)).test
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.noisy, two.noisy)
        assert np.array_equal(one.noisy, one.noisy.round().clip(0, 255))
        assert psnr(one.noisy, one.clean) == pytest.approx(20 * np.log10(255 / one.sigma), abs=1.5)


def test_the_data_digest_follows_the_pixels(photos):
    load_material.cache_clear()
    before = load_material(str(photos)).digest
    (photos / "0.png").rename(photos / "renamed.png")
    load_material.cache_clear()
    assert load_material(str(photos)).digest == before
    draw_photo(photos / "new.png", 20, 80)
    load_material.cache_clear()
    assert load_material(str(photos)).digest != before


def test_leaks_are_named(photos):
    (photos / "copy.png").write_bytes((photos.parent / "set5/a.png").read_bytes())
    with pytest.raises(VidferError, match=r"copy\.png is set5/a\.png"):
        run_denoiser_cell("cnn", 2, 0, root=photos)


def test_missing_test_photographs(tmp_path):
    draw_photo(tmp_path / "mine/0.png", 0, 80)
    with pytest.raises(VidferError, match=r"no folder .*set5"):
        run_denoiser_cell("cnn", 1, 0, root=tmp_path / "mine")


def test_diverged_trainings_are_no_figures(photos):
    with pytest.raises(VidferError, match="diverged"):
        run_denoiser_cell("cnn", 5, 0, root=photos, steps=10, optimizer="sgdma", lr=1e20)


def test_published_photographs_do_not_leak(data_dir):
    material = load_material(str(data_dir / "bsds500"))
    assert len(material.train) == 400
    assert len(material.test) == 57
