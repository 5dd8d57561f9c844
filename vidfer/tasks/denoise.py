"""Training the denoiser: the generator on its content loss, then against a critic."""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from vidfer.models import shares
from vidfer.models.batches import CropBatch, NamedImage
from vidfer.models.generator import Critic, Generator
from vidfer.models.layout import channels_last
from vidfer.models.lookup import find_class
from vidfer.tasks import losses
from vidfer.tasks.base import BaseTask
from vidfer.tasks.optimizers import Optimisation, one_cycle
from vidfer.types import VidferError
from vidfer.weights.files import find_weights

_OBJECTIVES: Final = ("wgan-gp", "wgan", "gan", "mse")
_LR: Final = {"sgd": 1.0, "sgdma": 0.1}  # the slope of a mean over pixels is small
_LR_OF_FULL: Final = {"sgd": 0.2, "sgdma": 0.02}  # 0.1 does not settle there
_CRITIC_LR: Final = {"sgd": 1e-2, "sgdma": 1e-3}
_MEASURES: Final = ("loss", "psnr", "psnr_noisy", "ssim")
_EPS: Final = 1e-8  # not the paper's root of 1e-5, far below which the content loss's gradients lie


class DenoiseTask(BaseTask):
    """Train the generator by mean squared error first, then by equation 4: the content loss and a critic's.

    In the first `warmup_share` of the batches the generator takes a step on each, on equation 5 alone. After that the critic
    takes a step on each batch, and the generator on every `n_critic`-th. Lightning's `global_step` sums the steps of both.

    Args:
        preset: `full`, `small` or `tiny`, see `Generator`.
        norm: `batch` or `none`.
        output: `residual` or `direct`.
        scale: 1, or 2 to work on folded 2x2 patches.
        objective: `wgan-gp` (equations 2 to 6), `wgan` (clipped weights), `gan` (equation 1) or `mse` (equation 5 alone).
        adversarial_weight: Lambda of equation 4. With 0 there is no critic, and everything else stays, for comparison.
        penalty: Weight of the gradient penalty, equation 3.
        clip: Limit of the critic's weights under `wgan`.
        n_critic: Critic steps to a generator step.
        warmup_share: Share of the batches without the critic, in [0, 1].
        crop: Edge of the training crops in px; linked to the data's.
        critic_width: Feature maps of the critic's first convolution.
        optimizer: The generator's: `sgd`, `sgdma`, `adagrad`, `rmsprop` or `adam`.
        momentum: Momentum of `sgdma` (equation 7), for both networks.
        lr: Peak learning rate of the generator, under a one-cycle schedule over its steps; None for one that suits the optimiser.
        critic_optimizer: The critic's: the same names; `adam` has betas (0, 0.9) (Gulrajani et al. 2017).
        critic_lr: Learning rate of the critic, which stays; None for one that suits its optimiser.
        weights: Weights to start from: a name or a file, of the same network.
        network: `generator`, or the dotted path of another denoiser's class without arguments, which maps noisy images
            `(B, 3, H, W)` in [-1, 1] to clean ones; `preset`, `norm`, `output` and `scale` then have no effect.
    """

    def __init__(
        self,
        preset: str = "tiny",
        norm: str = "none",
        output: str = "residual",
        scale: int = 1,
        objective: str = "wgan-gp",
        adversarial_weight: float = 1e-4,
        penalty: float = 10.0,
        clip: float = 0.01,
        n_critic: int = 5,
        warmup_share: float = 0.9,
        crop: int = 64,
        critic_width: int = 64,
        optimizer: str = "adam",
        momentum: float = 0.9,
        lr: float | None = None,
        critic_optimizer: str = "adam",
        critic_lr: float | None = None,
        weights: str | None = None,
        network: str = "generator",
    ) -> None:
        super().__init__()
        _check_objective(objective, adversarial_weight, penalty, clip)
        if n_critic < 1 or critic_width < 1 or not 0 <= warmup_share <= 1:
            raise VidferError("n_critic and critic_width have to be at least 1, warmup_share in [0, 1]")
        rates = _LR_OF_FULL if preset == "full" else _LR
        lr = rates.get(optimizer, 2e-3) if lr is None else lr
        critic_lr = _CRITIC_LR.get(critic_optimizer, 1e-4) if critic_lr is None else critic_lr
        self.optimisation = Optimisation(optimizer, lr, momentum, eps=_EPS)
        self.critic_optimisation = Optimisation(critic_optimizer, critic_lr, momentum, betas=(0.0, 0.9), eps=1e-8)
        self.save_hyperparameters()
        self.hparams.update({"lr": lr, "critic_lr": critic_lr})
        self.automatic_optimization = False
        own = {"preset": preset, "norm": norm, "output": output, "scale": scale}
        self.network, self.arguments = network, own if network == "generator" else {}
        kind: type[nn.Module] = Generator if network == "generator" else find_class(network, nn.Module)
        self.generator = channels_last(kind(**self.arguments))
        if weights:
            self._start_from(weights)
        self.critic: Critic | None = None
        if objective != "mse" and adversarial_weight:
            self.critic = channels_last(Critic(crop, critic_width))
        self.objective, self.adversarial_weight = objective, adversarial_weight
        self.penalty, self.clip, self.n_critic, self.warmup_share = penalty, clip, n_critic, warmup_share
        names = [f"{split}_{what}" for split in ("val", "test") for what in _MEASURES]
        self.means: Any = nn.ModuleDict({name: MeanMetric() for name in names})
        self.batches = self.generator_steps = self.critic_steps = 0
        self.stepped = False

    def _start_from(self, weights: str) -> None:
        found = find_weights("denoise", weights)
        stored = {"network": found.card["arch"], **found.card["arguments"]}
        ours = {"network": self.network, **self.arguments}
        if other := [f"{name}={each}" for name, each in stored.items() if ours.get(name) != each]:
            raise VidferError(f"{weights} holds another network: give the model {', '.join(other)}")
        found.load_into(self.generator)

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise images `(B, 3, H, W)` in [-1, 1]."""
        denoised: Tensor = self.generator(noisy.contiguous(memory_format=torch.channels_last))
        return denoised

    def training_step(self, batch: CropBatch, batch_idx: int) -> None:
        """Take a step of the generator, the critic, or both on one batch."""
        past = self.batches - self._warmup_batches() if self.objective != "mse" else -1
        train_generator = past < 0 or (past + 1) % self.n_critic == 0
        train_critic = past >= 0 and self.critic is not None
        logs: dict[str, Tensor] = {}
        if train_generator or train_critic:
            with shares.sharing(len(batch["clean"])):
                with torch.set_grad_enabled(train_generator):
                    denoised = self(batch["noisy"])
                if train_critic:
                    logs |= self._critic_step(batch["clean"], denoised.detach())
                if train_generator:
                    logs |= self._generator_step(batch["clean"], denoised, adversarial=train_critic)
        self.batches += 1
        self.stepped = train_generator
        self.log("generator_steps", float(self.generator_steps), batch_size=len(batch["clean"]))
        self.log_dict(logs, on_step=True, prog_bar=True, batch_size=len(batch["clean"]), sync_dist=True)

    def _critic_step(self, clean: Tensor, denoised: Tensor) -> dict[str, Tensor]:
        assert self.critic is not None
        real, fake = self.critic(clean), self.critic(denoised)
        if self.objective == "gan":
            name, value = "gan_value", losses.gan_value(real, fake)
        else:
            name, value = "wasserstein", losses.wasserstein_estimate(real, fake)
        loss, logs = -value, {name: value.detach()}
        if self.objective == "wgan-gp":
            penalty = losses.gradient_penalty(self.critic, clean, denoised)
            logs["gradient_penalty"] = penalty.detach()
            loss = loss + self.penalty * penalty
        self._descend(loss, 1)
        if self.objective == "wgan":
            losses.clip_weights(self.critic, self.clip)
        self.critic_steps += 1
        return logs

    def _generator_step(self, clean: Tensor, denoised: Tensor, *, adversarial: bool) -> dict[str, Tensor]:
        content = losses.content_loss(denoised, clean)
        loss, logs = content, {"train_loss": content.detach()}
        if adversarial and self.critic is not None:
            self.critic.requires_grad_(False)
            fake = self.critic(denoised)
            adversarial_part = (
                losses.gan_generator_loss(fake) if self.objective == "gan" else losses.adversarial_loss(fake)
            )
            loss = losses.combined_loss(adversarial_part, content, self.adversarial_weight)
            logs["adversarial_loss"] = adversarial_part.detach()
        self._descend(loss, 0)
        if self.critic is not None:
            self.critic.requires_grad_(True)
        scheduler: Any = self.lr_schedulers()
        scheduler.step()
        self.generator_steps += 1
        return logs

    def _descend(self, loss: Tensor, index: int) -> None:
        optimizers: Any = self.optimizers()
        optimizer = optimizers[index] if isinstance(optimizers, list) else optimizers
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def predict_step(self, batch: NamedImage, batch_idx: int) -> Tensor:
        """Denoise one batch of images as they are: `(B, 3, H, W)` in [-1, 1]."""
        denoised: Tensor = self(batch["image"])
        return denoised.clamp(-1, 1)

    def _step(self, batch: CropBatch, split: str) -> Tensor:
        noisy, clean = batch["noisy"], batch["clean"]
        denoised = self(noisy)
        logs = {
            f"{split}_loss": losses.content_loss(denoised, clean),
            f"{split}_psnr": mean_psnr(denoised, clean),
            f"{split}_psnr_noisy": mean_psnr(noisy, clean),
            f"{split}_ssim": mean_ssim(denoised, clean),
        }
        for name, value in logs.items():
            self.means[name].update(value, len(clean))
        self.log_dict({name: self.means[name] for name in logs}, on_epoch=True, batch_size=len(clean), prog_bar=True)
        return logs[f"{split}_loss"]

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's tensors and the card entries that rebuild it."""
        return self.generator.state_dict(), {"kind": "denoise", "arch": self.network, "arguments": self.arguments}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the counters to what every task keeps."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["counters"] = [self.batches, self.generator_steps, self.critic_steps]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the counters beside what every task keeps."""
        super().on_load_checkpoint(checkpoint)
        self.batches, self.generator_steps, self.critic_steps = checkpoint["counters"]

    def on_train_start(self) -> None:
        """Refuse a checkpoint whose schedule was made for another number of steps."""
        scheduler: Any = self.trainer.lr_scheduler_configs[0].scheduler
        stored, planned = scheduler.total_steps, self.planned_steps()
        if stored != max(planned, 2):  # see `one_cycle`
            raise VidferError(
                f"the checkpoint's schedule has {stored} generator steps, this training {planned}: keep "
                "max_epochs and the data as they were, or start anew with --model.init_args.weights=FILE"
            )

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning accepts many shapes here
        """Return the generator's optimiser with its one-cycle schedule, and the critic's."""
        generator = self.optimisation.build(self.generator.parameters())
        is_adam = isinstance(generator, torch.optim.Adam)  # whose first beta cycles; the paper's rho stays as it is
        scheduler = one_cycle(generator, self.planned_steps(), cycle_momentum=is_adam)
        if self.critic is None:
            return [generator], [scheduler]
        return [generator, self.critic_optimisation.build(self.critic.parameters())], [scheduler]

    def planned_steps(self) -> int:
        """Count the generator's steps in the whole training."""
        warmup, total = self._warmup_batches(), self._total_batches()
        return total if self.objective == "mse" else max(1, warmup + (total - warmup) // self.n_critic)

    def _warmup_batches(self) -> int:
        return round(self.warmup_share * self._total_batches())

    def _total_batches(self) -> int:
        trainer: Any = self.trainer
        if not trainer.fast_dev_run and (not trainer.max_epochs or trainer.max_epochs < 0):
            raise VidferError("trainer.max_epochs has to be at least 1")
        if not trainer.fast_dev_run and trainer.max_steps != -1:
            raise VidferError(
                "the training is budgeted by trainer.max_epochs: max_steps would count the critic's steps too"
            )
        return int(trainer.estimated_stepping_batches)


def mean_psnr(image: Tensor, clean: Tensor) -> Tensor:
    """Average the images' peak signal-to-noise ratios in dB, `(B, 3, H, W)` rounded to 8 bits; equal ones count as 100 dB."""
    ratios = peak_signal_noise_ratio(_shown(image), _shown(clean), data_range=255.0, dim=(1, 2, 3), reduction="none")
    return ratios.clamp_max(100).mean()


def mean_ssim(image: Tensor, clean: Tensor) -> Tensor:
    """Average the images' structural similarity (Wang et al. 2004), `(B, 3, H, W)` rounded to 8 bits; at most 1."""
    similarity = structural_similarity_index_measure(_shown(image), _shown(clean), data_range=255.0)
    assert isinstance(similarity, Tensor)
    return similarity


def _shown(image: Tensor) -> Tensor:
    return ((image.float().clamp(-1, 1) + 1) * 127.5).round()


def _check_objective(objective: str, adversarial_weight: float, penalty: float, clip: float) -> None:
    if objective not in _OBJECTIVES:
        raise VidferError(f"unknown objective '{objective}': use one of {', '.join(_OBJECTIVES)}")
    if not (adversarial_weight >= 0 and penalty >= 0 and clip > 0):
        raise VidferError("adversarial_weight and penalty have to be at least 0, and clip above 0")
