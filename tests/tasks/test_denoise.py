from datetime import timedelta
from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from vidfer.datamodules.denoise import DenoiseDataModule
from vidfer.models.generator import Generator
from vidfer.tasks.callbacks import IntervalCheckpoint, WarmEMA
from vidfer.tasks.denoise import DenoiseTask, mean_psnr, mean_ssim
from vidfer.tasks.fit import train_here
from vidfer.tasks.losses import content_loss
from vidfer.tasks.optimizers import OPTIMIZERS, build_optimizer
from vidfer.types import VidferError
from vidfer.weights.files import save_weights

SMALL = {"preset": "tiny", "scale": 2, "crop": 16, "critic_width": 2}


class Cut(lightning.Callback):
    """Break off after some batches, as a kill would, a checkpoint at hand."""

    def __init__(self, after):
        self.after = after

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if pl_module.batches == self.after:
            raise RuntimeError("cut")


def fit(folder, *, cut=None, resume=None, epochs=2, limit=5, **options):
    torch.manual_seed(0)
    task = DenoiseTask(**{**SMALL, **options})
    data = DenoiseDataModule("sample", crop=16, crops_per_epoch=2 * limit, batch_size=2)
    callbacks = [WarmEMA(0.9), *([IntervalCheckpoint(interval=timedelta(0)), Cut(cut)] if cut else [])]
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, callbacks=callbacks, default_root_dir=folder,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=bool(cut), limit_val_batches=0,
    )  # fmt: skip
    if cut:
        with pytest.raises(RuntimeError, match="cut"):
            trainer.fit(task, data)
    else:
        trainer.fit(task, data, ckpt_path=resume)
    return task


def changed(before, after):
    return any(not torch.equal(a, b) for a, b in zip(before.values(), after.values(), strict=True))


def test_steps_are_counted_by_hand(tmp_path):
    task = fit(tmp_path, warmup_share=0.4, n_critic=2)
    warmup, against = 4, 6
    assert (task.batches, task.generator_steps, task.critic_steps) == (10, warmup + against // 2, against)
    assert task.planned_steps() == task.generator_steps
    assert task.trainer.global_step == task.generator_steps + task.critic_steps
    assert task.trainer.lr_scheduler_configs[0].scheduler.last_epoch == task.generator_steps


@pytest.mark.parametrize("objective", ["wgan-gp", "wgan", "gan"])
def test_every_objective_moves_both_networks(tmp_path, objective):
    torch.manual_seed(0)
    fresh = DenoiseTask(**SMALL, objective=objective)
    task = fit(tmp_path, objective=objective, warmup_share=0.0, n_critic=2)
    assert changed(fresh.generator.state_dict(), task.generator.state_dict())
    assert changed(fresh.critic.state_dict(), task.critic.state_dict())
    if objective == "wgan":
        clipped = [each for each in task.critic.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
        assert max(each.weight.abs().max() for each in clipped) <= 0.01


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_both_networks_learn_by_any_optimiser(tmp_path, optimizer):
    task = fit(tmp_path, optimizer=optimizer, critic_optimizer=optimizer, momentum=0.8, warmup_share=0.4, n_critic=2)
    fresh = DenoiseTask(**SMALL)
    assert changed(fresh.generator.state_dict(), task.generator.state_dict())
    for optimiser in task.trainer.optimizers:
        assert type(optimiser) is type(build_optimizer(optimizer, [nn.Parameter(torch.zeros(1))], lr=1.0))
        if optimizer == "sgdma":
            assert optimiser.param_groups[0]["momentum"] == 0.8  # the rate cycles, rho does not
            assert not optimiser.param_groups[0]["nesterov"]


def test_the_critic_s_optimiser_is_adam_unless_another_is_chosen(tmp_path):
    task = fit(tmp_path, optimizer="sgdma", warmup_share=0.4, n_critic=2)
    critic = task.trainer.optimizers[1]
    assert isinstance(critic, torch.optim.Adam)
    assert (critic.param_groups[0]["betas"], critic.param_groups[0]["lr"]) == ((0.0, 0.9), 1e-4)


def test_each_optimiser_has_a_rate_of_its_own_unless_one_is_given():
    def rates(**options):
        task = DenoiseTask(**{**SMALL, **options})
        assert (task.optimisation.lr, task.critic_optimisation.lr) == (task.hparams["lr"], task.hparams["critic_lr"])
        return task.optimisation.lr, task.critic_optimisation.lr

    assert rates() == (2e-3, 1e-4)
    by_momentum = rates(optimizer="sgdma", critic_optimizer="sgdma")
    assert min(by_momentum) > 1e-4
    assert (
        by_momentum[0] > 10 * 2e-3
    )  # a step of Adam's is as long as its rate, one of SGD's is shorter by the gradient
    assert rates(optimizer="sgdma", preset="full")[0] < by_momentum[0]  # 0.1 did not settle there
    assert rates(optimizer="sgdma", critic_optimizer="sgdma", lr=0.5, critic_lr=0.25) == (0.5, 0.25)


def test_sgd_with_momentum_learns_at_its_own_rates(tmp_path):
    task = fit(
        tmp_path, norm="batch", output="direct", optimizer="sgdma", critic_optimizer="sgdma", warmup_share=0.5, n_critic=2,
        epochs=6, limit=10,
    )  # fmt: skip
    data = DenoiseDataModule("sample", crop=16, crops_per_epoch=2, batch_size=2)
    data.setup("fit")
    crops = next(iter(data.val_dataloader()))
    torch.manual_seed(0)
    untrained = DenoiseTask(**SMALL, norm="batch", output="direct").eval()
    with torch.no_grad():
        before, after = (content_loss(each(crops["noisy"]), crops["clean"]) for each in (untrained, task.eval()))
    assert after < before / 2
    assert all(torch.isfinite(weight).all() for weight in task.parameters())


def test_mse_has_no_critic_and_steps_on_every_batch(tmp_path):
    task = fit(tmp_path, objective="mse")
    assert task.critic is None
    assert (task.batches, task.generator_steps, task.critic_steps) == (10, 10, 0)


def test_the_twin_without_critic_takes_the_same_steps(tmp_path):
    twin = fit(tmp_path / "a", adversarial_weight=0.0, warmup_share=0.4, n_critic=2)
    task = fit(tmp_path / "b", adversarial_weight=1e-30, warmup_share=0.4, n_critic=2)
    assert (twin.batches, twin.generator_steps, twin.critic_steps) == (10, 7, 0)
    assert task.generator_steps == 7
    for a, b in zip(twin.generator.parameters(), task.generator.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_critics_verdict_reaches_the_generator(tmp_path):
    quiet = fit(tmp_path / "a", adversarial_weight=1e-30, warmup_share=0.0, n_critic=1)
    loud = fit(tmp_path / "b", adversarial_weight=10.0, warmup_share=0.0, n_critic=1)
    assert changed(quiet.generator.state_dict(), loud.generator.state_dict())


@pytest.mark.parametrize("cut", [3, 7])
def test_cut_in_the_middle_of_an_epoch_and_resumed_equals_uncut(tmp_path, cut):
    options = {"warmup_share": 0.2, "n_critic": 2}
    whole = fit(tmp_path / "whole", **options)
    fit(tmp_path / "cut", cut=cut, **options)
    last = tmp_path / "cut/checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["counters"][0] == cut - 1  # saved before the batch that was cut
    resumed = fit(tmp_path / "cut", resume=last, **options)
    assert (resumed.batches, resumed.critic_steps) == (10, 8)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_weights_to_start_from(tmp_path):
    torch.manual_seed(7)
    network = Generator("tiny", "none", scale=2)
    card = {"kind": "denoise", "arch": "generator", "arguments": {"preset": "tiny"}, "preprocessing": {}}
    save_weights(tmp_path / "w.safetensors", network.state_dict(), card)
    task = DenoiseTask(**SMALL, weights=str(tmp_path / "w.safetensors"))
    assert not changed(network.state_dict(), task.generator.state_dict())
    with pytest.raises(VidferError, match="does not fit"):
        DenoiseTask("tiny", scale=1, weights=str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "lsgan"}, "wgan-gp, wgan, gan, mse"),
        ({"n_critic": 0}, "at least 1"),
        ({"warmup_share": 1.1}, r"\[0, 1\]"),
        ({"adversarial_weight": -1.0}, "at least 0"),
        ({"adversarial_weight": float("nan")}, "at least 0"),
        ({"lr": 0.0}, "above 0"),
        ({"optimizer": "lion"}, "sgd, sgdma, adagrad, rmsprop, adam"),
        ({"momentum": 1.0}, "momentum"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(VidferError, match=message):
        DenoiseTask(**SMALL, **options)


def test_a_longer_training_cannot_take_over_the_schedule(tmp_path):
    fit(tmp_path, cut=4, warmup_share=0.2)
    with pytest.raises(VidferError, match="schedule has 3 generator steps, this training 5"):
        fit(tmp_path, resume=tmp_path / "checkpoints/last.ckpt", epochs=3, warmup_share=0.2)


def test_weights_of_another_network_say_what_to_give():
    with pytest.raises(VidferError, match="give the model preset=small, scale=2"):
        DenoiseTask("tiny", weights="small")


def test_a_budget_of_steps_is_refused(tmp_path):
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=3, logger=False, enable_checkpointing=False, default_root_dir=tmp_path,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(VidferError, match="max_epochs"):
        trainer.fit(DenoiseTask(**SMALL), DenoiseDataModule("sample", crop=16, crops_per_epoch=4, batch_size=2))


def pair(rng):
    clean = rng.integers(0, 256, (2, 3, 32, 32), np.uint8)
    noisy = (clean + rng.normal(0, 20, clean.shape)).round().clip(0, 255).astype(np.uint8)
    return noisy, clean, [torch.from_numpy(images).float() / 127.5 - 1 for images in (noisy, clean)]


def test_psnr_equals_scikit_images():
    noisy, clean, signed = pair(np.random.default_rng(0))
    expected = np.mean([peak_signal_noise_ratio(a, b) for a, b in zip(clean, noisy, strict=True)])
    assert mean_psnr(*signed).item() == pytest.approx(expected, abs=1e-3)


def test_ssim_equals_scikit_images():
    noisy, clean, signed = pair(np.random.default_rng(0))
    settings = {"channel_axis": 0, "data_range": 255, "gaussian_weights": True, "use_sample_covariance": False}
    expected = np.mean([structural_similarity(a, b, **settings) for a, b in zip(clean, noisy, strict=True)])
    assert mean_ssim(*signed).item() == pytest.approx(expected, abs=2e-3)


def test_equal_images_count_as_100_db():
    image = torch.rand(1, 3, 8, 8).mul(255).round() / 127.5 - 1
    assert mean_psnr(image, image).item() == 100


class Shift(nn.Module):
    """A denoiser that is none of vidfer's: it adds a number."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, image):
        return image + self.shift


def crops(batches, size=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    clean = torch.rand(batches * size, 3, 16, 16, generator=rng) * 2 - 1
    pairs = [{"noisy": image + 0.5, "clean": image} for image in clean]
    return torch.utils.data.DataLoader(pairs, batch_size=size)


@pytest.mark.parametrize("options", [{"objective": "mse"}, {"warmup_share": 0.5, "critic_width": 2}])
def test_any_network_learns_from_tensors_in_so_many_steps(options):
    task = DenoiseTask(network="tests.tasks.test_denoise.Shift", crop=16, lr=0.1, **options)
    train_here(task, crops(30))
    assert task.batches == 30
    assert task.generator.shift.item() == pytest.approx(-0.5, abs=0.2)
    assert task.export()[1]["arch"] == "tests.tasks.test_denoise.Shift"


def test_a_network_that_is_none_is_refused():
    for name in ("tests.tasks.test_denoise.none", "nowhere.Net", "tests.tasks.test_denoise.SMALL"):
        with pytest.raises(VidferError, match=name):
            DenoiseTask(network=name)


def critic_gradients(task, clean, denoised):
    """What the critic's step of a task leaves as gradients, with the weights as they were."""
    task.optimizers = lambda: [None, SimpleNamespace(zero_grad=task.critic.zero_grad, step=lambda: None)]
    task.manual_backward = lambda loss: loss.backward()
    torch.manual_seed(3)
    logs = task._critic_step(clean, denoised)
    return {name: each.grad.clone() for name, each in task.critic.named_parameters()}, logs


@pytest.mark.parametrize("penalty", [0.0, 10.0, 25.0])
def test_the_critics_step_descends_on_equations_2_and_3(penalty):
    torch.manual_seed(1)
    task = DenoiseTask(**SMALL, penalty=penalty)
    clean, denoised = torch.rand(4, 3, 16, 16) * 2 - 1, torch.rand(4, 3, 16, 16) * 2 - 1
    found, logs = critic_gradients(task, clean, denoised)
    task.critic.zero_grad()
    torch.manual_seed(3)
    between = torch.lerp(denoised, clean, torch.rand(4, 1, 1, 1)).requires_grad_()
    (slope,) = torch.autograd.grad(task.critic(between).sum(), between, create_graph=True)
    norms = slope.flatten(1).norm(dim=1)
    loss = task.critic(denoised).mean() - task.critic(clean).mean() + penalty * (norms - 1).square().mean()
    loss.backward()
    for name, each in task.critic.named_parameters():
        torch.testing.assert_close(found[name], each.grad, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(logs["wasserstein"], (task.critic(clean).mean() - task.critic(denoised).mean()).detach())


@pytest.mark.parametrize("objective", ["wgan-gp", "wgan", "gan"])
def test_the_critics_steps_raise_clean_images_above_denoised_ones(objective):
    torch.manual_seed(1)
    task = DenoiseTask(**SMALL, objective=objective, clip=1.0)
    clean, denoised = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16) - 1
    optimizer = torch.optim.SGD(task.critic.parameters(), 1e-3)
    task.optimizers = lambda: [None, optimizer]
    task.manual_backward = lambda loss: loss.backward()
    before = (task.critic(clean).mean() - task.critic(denoised).mean()).item()
    for _ in range(5):
        task._critic_step(clean, denoised)
    assert (task.critic(clean).mean() - task.critic(denoised).mean()).item() > before
