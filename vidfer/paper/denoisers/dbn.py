"""DBN, read as an auto-encoder of patches that starts as a restricted Boltzmann machine.

References:
    Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006: a machine unfolded.
    Vincent, Larochelle, Bengio, Manzagol: Extracting and composing robust features with denoising autoencoders. ICML 2008.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidfer.models.rbm import RBM, fit_rbm

_PIXELS = 64


class PatchDenoiser(nn.Module):
    """Patches of 8x8 px in, their reconstructions out; where patches overlap, they are averaged.

    Of each patch, its mean colour passes by and the rest is coded by sigmoid units and decoded linearly: one step of a
    Gaussian-binary machine without draws, with weights of its own each way once it is trained on.

    Args:
        hidden: Hidden units.
        stride: Distance of patches in px, a divisor of 8.
    """

    scale: Tensor

    def __init__(self, hidden: int = 256, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride
        self.encoder = nn.Linear(3 * _PIXELS, hidden)
        self.decoder = nn.Linear(hidden, 3 * _PIXELS)
        self.register_buffer("scale", torch.tensor(0.25))

    def pretrain(self, images: Tensor, steps: int, *, lr: float = 0.02, seed: int = 0) -> list[float]:
        """Train a machine on the patches of clean images by contrastive divergence, and start from it.

        Args:
            images: `(N, 3, H, W)` in [-1, 1], of at least 8 px a side.
            steps: Steps, at least 1, in which each patch is seen once.
            lr: Step size.
            seed: Seed of all draws.

        Returns:
            The mean reconstruction error, in units of the patches' variance.
        """
        patches, _ = self._take_apart(images)
        self.scale.copy_(patches.std())
        machine = RBM(3 * _PIXELS, self.encoder.out_features, "gaussian").to(images)
        errors = fit_rbm(
            machine, patches / self.scale, epochs=1, lr=lr, batch_size=math.ceil(len(patches) / steps), seed=seed
        )
        weight = machine.weight.detach()
        self.encoder.weight.data.copy_(weight.T)
        self.encoder.bias.data.copy_(machine.hidden_bias.detach())
        self.decoder.weight.data.copy_(weight)
        self.decoder.bias.data.copy_(machine.visible_bias.detach())
        return errors

    def forward(self, image: Tensor) -> Tensor:
        """Denoise images.

        Args:
            image: RGB, float in [-1, 1], `(B, 3, H, W)`.

        Returns:
            Denoised images `(B, 3, H, W)`; they may overshoot [-1, 1] a little.
        """
        height, width = image.shape[-2:]
        pad = [(8 - edge if edge < 8 else -edge % self.stride) for edge in (width, height)]
        padded = functional.pad(image.contiguous(), (0, pad[0], 0, pad[1]), mode="replicate")
        patches, means = self._take_apart(padded)
        restored = self.decoder(torch.sigmoid(self.encoder(patches / self.scale))) * self.scale
        whole = self._put_together(restored + means, padded)
        return whole[..., :height, :width]

    def _take_apart(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Cut patches without their mean colours `(N, 192)`, and those means, of the same shape."""
        patches = functional.unfold(images, 8, stride=self.stride).transpose(1, 2).reshape(-1, 3, _PIXELS)
        means = patches.mean(2, keepdim=True).expand_as(patches)
        return (patches - means).flatten(1), means.flatten(1)

    def _put_together(self, patches: Tensor, images: Tensor) -> Tensor:
        def add_up(columns: Tensor) -> Tensor:
            return functional.fold(columns, images.shape[-2:], 8, stride=self.stride)

        columns = patches.reshape(len(images), -1, 3 * _PIXELS).transpose(1, 2)
        return add_up(columns) / add_up(torch.ones_like(columns[:1]))
