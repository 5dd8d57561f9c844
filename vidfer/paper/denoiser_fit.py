"""Short trainings of denoisers on an equal budget of steps."""

from typing import Any, Final

import torch
from torch import Tensor, nn

from vidfer.datamodules.denoise import RandomCrops
from vidfer.models.critic import Critic
from vidfer.models.layout import channels_last
from vidfer.paper.denoisers.dbn import PatchDenoiser
from vidfer.tasks.losses import adversarial_loss, combined_loss, content_loss, gradient_penalty, wasserstein_estimate
from vidfer.tasks.optimizers import build_optimizer

PRETRAIN_SHARE: Final = 0.2
"""Share of the steps that the patch auto-encoder spends on contrastive divergence."""
ADVERSARIAL_SHARE: Final = 0.1
"""Share of the steps that the generator spends against its critic, as in `DenoiseTask`."""

_EPS: Final = 1e-8  # as in DenoiseTask: the content loss's gradients lie far below the paper's root of 1e-5
_N_CRITIC: Final = 5
_CRITIC_WIDTH: Final = 16
_CRITIC_LR: Final = 1e-4
_PENALTY: Final = 10.0
_ADVERSARIAL_WEIGHT: Final = 1e-4


class DenoiserFit:
    """A training of so many steps, each on one batch of crops, which seed and step decide.

    All families learn from equation 5, the content loss, under one optimiser and a one-cycle schedule. What two of them do
    besides is taken out of the same steps:

    - the patch auto-encoder's first fifth are contrastive divergence on the clean crops;
    - in the generator's last tenth, the critic of equations 2 and 3 learns from every batch, and the generator only from every
      fifth, by equation 4.

    Args:
        network: The denoiser; changed in place.
        crops: Where crops come from.
        steps: Steps in all.
        batch_size: Crops a step.
        seed: Seed of the crops and of contrastive divergence; the critic starts from torch's own generator.
        adversarial: Train against a critic at the end.
        optimizer: See `vidfer.tasks.optimizers`.
        lr: Peak learning rate.
        momentum: Momentum of `sgdma`.

    Raises:
        VidferError: The optimiser is unknown, or a value is out of range.
    """

    def __init__(
        self,
        network: nn.Module,
        crops: RandomCrops,
        *,
        steps: int,
        batch_size: int,
        seed: int,
        adversarial: bool = False,
        optimizer: str = "adam",
        lr: float = 2e-3,
        momentum: float = 0.9,
    ) -> None:
        self.network = channels_last(network)
        self.crops, self.batch_size, self.seed = crops, batch_size, seed
        self.critic = channels_last(Critic(crops.crop, _CRITIC_WIDTH)) if adversarial else None
        pretrained = round(PRETRAIN_SHARE * steps) if isinstance(network, PatchDenoiser) else 0
        against = round(ADVERSARIAL_SHARE * steps) if adversarial else 0
        self.phases = range(pretrained), range(pretrained, steps - against), range(steps - against, steps)
        self.optimizer = build_optimizer(optimizer, network.parameters(), lr=lr, momentum=momentum, eps=_EPS)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=lr,
            total_steps=max(1, len(self.phases[1]) + against // _N_CRITIC),
            cycle_momentum=isinstance(self.optimizer, torch.optim.Adam),
        )

    def run(self) -> None:
        """Take all steps and leave the network in evaluation mode."""
        pretraining, alone, against = self.phases
        self.network.train()
        if pretraining and isinstance(self.network, PatchDenoiser):
            clean = torch.cat([self._draw(step)[1] for step in pretraining])
            self.network.pretrain(clean, len(pretraining), seed=self.seed)
        for step in alone:
            noisy, clean = self._draw(step)
            self._step(content_loss(self.network(noisy), clean))
        if self.critic is not None:
            self._run_against(self.critic, against)
        self.network.eval()

    def _run_against(self, critic: Critic, steps: range) -> None:
        optimizer = torch.optim.Adam(critic.parameters(), lr=_CRITIC_LR, betas=(0.0, 0.9))
        for number, step in enumerate(steps, start=1):
            noisy, clean = self._draw(step)
            denoised = self.network(noisy)
            fake = denoised.detach()
            loss = -wasserstein_estimate(critic(clean), critic(fake)) + _PENALTY * gradient_penalty(critic, clean, fake)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if number % _N_CRITIC == 0:
                verdict = adversarial_loss(critic(denoised))
                self._step(combined_loss(verdict, content_loss(denoised, clean), _ADVERSARIAL_WEIGHT))

    def _step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()

    def _draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw noisy and clean crops `(batch_size, 3, crop, crop)` in [-1, 1]."""
        keys = [(self.seed, 0, step * self.batch_size + index) for index in range(self.batch_size)]
        pairs: list[Any] = [self.crops[key] for key in keys]
        noisy, clean = (torch.stack([pair[name] for pair in pairs]) for name in ("noisy", "clean"))
        return noisy.contiguous(memory_format=torch.channels_last), clean.contiguous(memory_format=torch.channels_last)
