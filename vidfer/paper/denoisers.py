"""The denoisers of the paper's table 3, one for each of its columns.

The paper names the models and says no more: these readings are ours, see docs/denoisers.md. All but the DBN predict what to
add to the noisy image, on 2x2 patches of pixels that are folded into channels (Zhang, Zuo, Zhang: FFDNet. IEEE TIP 2018).
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidfer.models.rbm import RBM, fit_rbm
from vidfer.tasks.denoise import DenoiseTask
from vidfer.types import VidferError

DENOISERS: Final = {
    "cnn": "plain CNN with batch norm",
    "rcnn": "recursive residual CNN with shared weights",
    "lstm": "convolutional LSTM over steps of refinement",
    "dbn": "auto-encoder of patches, pre-trained as a restricted Boltzmann machine",
    "rnn": "convolutional Elman network over steps of refinement",
    "gan": "densely connected generator, at the end against a critic",
}
"""What each column of the paper's table is here."""

CROP: Final = 32
"""Edge of a training crop in px."""

_FOLDED: Final = 12  # channels of an image whose 2x2 patches are folded
_PATCH: Final = 8  # edge in px of the patches that the DBN codes


class FoldedDenoiser(nn.Module):
    """Noisy image in, clean image out, of any size; an untrained network changes nothing."""

    @abstractmethod
    def _correct(self, folded: Tensor) -> Tensor:
        """Compute what to add to a folded image, `(B, 12, H / 2, W / 2)`, of the same shape."""

    def forward(self, image: Tensor) -> Tensor:
        """Denoise RGB images in [-1, 1], `(B, 3, H, W)`; the result may overshoot the range a little."""
        height, width = image.shape[-2:]
        padded = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
        correction = self._correct(functional.pixel_unshuffle(padded, 2))
        return image + functional.pixel_shuffle(correction, 2)[..., :height, :width]


class CNNDenoiser(FoldedDenoiser):
    """CNN: convolutions and ReLUs in a row, with batch norm between.

    References:
        Zhang, Zuo, Chen, Meng, Zhang: Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising. IEEE
        TIP 2017; wider and less deep here, for short trainings.
    """

    def __init__(self, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv3(_FOLDED, width), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [_conv3(width, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, _last_conv(width))

    def _correct(self, folded: Tensor) -> Tensor:
        correction: Tensor = self.body(folded)
        return correction


class RecursiveDenoiser(FoldedDenoiser):
    """R-CNN, read as recursive residual CNN: one unit of two convolutions, applied `passes` times with the same weights.

    The regions of a region CNN, which the classifier has, make no sense where every pixel is to be restored.

    References:
        Tai, Yang, Liu: Image super-resolution via deep recursive residual network. CVPR 2017: every pass starts from the
        first features (section 3.2), here without batch norm.
        Kim, Lee, Lee: Deeply-recursive convolutional network for image super-resolution. CVPR 2016.
    """

    def __init__(self, width: int = 48, passes: int = 3) -> None:
        super().__init__()
        self.passes = passes
        self.head = _conv3(_FOLDED, width)
        self.first = _conv3(width, width)
        self.second = _conv3(width, width)
        self.tail = _last_conv(width)

    def _correct(self, folded: Tensor) -> Tensor:
        start = features = self.head(folded)
        for _ in range(self.passes):
            features = start + self.second(torch.relu(self.first(torch.relu(features))))
        correction: Tensor = self.tail(torch.relu(features))
        return correction


class RefiningDenoiser(FoldedDenoiser):
    """A recurrent network whose time are steps of refinement: each sees the noisy image beside the estimate so far.

    Args:
        width: Feature maps of a state.
        steps: Steps of refinement.
        gates: Feature maps that the step's convolution makes, in widths.
        states: States that are handed on; the first one gives the correction.
    """

    def __init__(self, width: int, steps: int, gates: int, states: int) -> None:
        super().__init__()
        self.width, self.steps, self.states = width, steps, states
        self.conv = _conv3(2 * _FOLDED + width, gates * width)
        self.tail = _last_conv(width)

    @abstractmethod
    def _step(self, image: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Compute the next states, each `(B, width, H, W)`, from an input `(B, 24, H, W)` and the last ones."""

    def _correct(self, folded: Tensor) -> Tensor:
        count, _, height, width = folded.shape
        states = (folded.new_zeros(count, self.width, height, width),) * self.states
        correction = torch.zeros_like(folded)
        for _ in range(self.steps):
            states = self._step(torch.cat([folded, folded + correction], dim=1), *states)
            correction = correction + self.tail(states[0])
        return correction


class LSTMDenoiser(RefiningDenoiser):
    """LSTM, read as convolutional LSTM.

    References:
        Shi, Chen, Wang, Yeung, Wong, Woo: Convolutional LSTM network. NIPS 2015: equation 3, without its peepholes.
    """

    def __init__(self, width: int = 28, steps: int = 3) -> None:
        super().__init__(width, steps, gates=4, states=2)

    def _step(self, image: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        output, cell = states
        to_input, forget, to_output, update = self.conv(torch.cat([image, output], dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(to_input) * torch.tanh(update)
        return torch.sigmoid(to_output) * torch.tanh(cell), cell


class RNNDenoiser(RefiningDenoiser):
    """RNN, read as convolutional Elman network.

    References:
        Elman: Finding structure in time. Cognitive Science 14, 1990; with convolutions for its full connections.
    """

    def __init__(self, width: int = 56, steps: int = 3) -> None:
        super().__init__(width, steps, gates=1, states=1)

    def _step(self, image: Tensor, *states: Tensor) -> tuple[Tensor]:
        return (torch.tanh(self.conv(torch.cat([image, *states], dim=1))),)


class PatchDenoiser(nn.Module):
    """DBN, read as an auto-encoder of 8x8 patches that starts as a restricted Boltzmann machine; overlaps are averaged.

    A patch's mean colour bypasses the network; the rest is coded by sigmoid units and decoded linearly: one step of a
    Gaussian-binary machine without sampling, whose two directions have weights of their own once it is trained further.

    Args:
        hidden: Hidden units.
        stride: Distance of patches in px, a divisor of 8.

    References:
        Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006.
        Vincent, Larochelle, Bengio, Manzagol: Extracting and composing robust features with denoising autoencoders. ICML
        2008.
    """

    scale: Tensor

    def __init__(self, hidden: int = 256, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride
        self.encoder = nn.Linear(3 * _PATCH**2, hidden)
        self.decoder = nn.Linear(hidden, 3 * _PATCH**2)
        self.register_buffer("scale", torch.tensor(0.25))

    def pretrain(self, images: Tensor, steps: int, *, lr: float = 0.02, seed: int = 0) -> None:
        """Train a machine on the patches of clean images by contrastive divergence, and start from it.

        Args:
            images: `(N, 3, H, W)` in [-1, 1], of at least 8 px a side.
            steps: Steps, at least 1, that together use each patch once.
            lr: Step size.
            seed: Seed of all sampling.
        """
        patches, _ = self._split(images)
        self.scale.copy_(patches.std())
        machine = RBM(3 * _PATCH**2, self.encoder.out_features, "gaussian").to(images)
        batch_size = math.ceil(len(patches) / steps)
        fit_rbm(machine, patches / self.scale, epochs=1, lr=lr, batch_size=batch_size, seed=seed)
        weight = machine.weight.detach()
        self.encoder.weight.data.copy_(weight.T)
        self.encoder.bias.data.copy_(machine.hidden_bias.detach())
        self.decoder.weight.data.copy_(weight)
        self.decoder.bias.data.copy_(machine.visible_bias.detach())

    def forward(self, image: Tensor) -> Tensor:
        """Denoise RGB images in [-1, 1], `(B, 3, H, W)`; the result may overshoot the range a little."""
        height, width = image.shape[-2:]
        pad = [(_PATCH - edge if edge < _PATCH else -edge % self.stride) for edge in (width, height)]
        padded = functional.pad(image.contiguous(), (0, pad[0], 0, pad[1]), mode="replicate")
        patches, means = self._split(padded)
        restored = self.decoder(torch.sigmoid(self.encoder(patches / self.scale))) * self.scale
        return self._join(restored + means, padded)[..., :height, :width]

    def _split(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Cut patches without their mean colours `(N, 192)`, and those means, of the same shape."""
        columns = functional.unfold(images, _PATCH, stride=self.stride)
        patches = columns.transpose(1, 2).reshape(-1, 3, _PATCH**2)
        means = patches.mean(2, keepdim=True).expand_as(patches)
        return (patches - means).flatten(1), means.flatten(1)

    def _join(self, patches: Tensor, images: Tensor) -> Tensor:
        def add_up(columns: Tensor) -> Tensor:
            return functional.fold(columns, images.shape[-2:], _PATCH, stride=self.stride)

        columns = patches.reshape(len(images), -1, 3 * _PATCH**2).transpose(1, 2)
        return add_up(columns) / add_up(torch.ones_like(columns[:1]))


_NETWORKS: Final[Mapping[str, type[nn.Module] | None]] = {
    "cnn": CNNDenoiser,
    "rcnn": RecursiveDenoiser,
    "lstm": LSTMDenoiser,
    "dbn": PatchDenoiser,
    "rnn": RNNDenoiser,
    "gan": None,  # the task's own generator
}


def denoise_task(model: str, *, optimizer: str = "adam", lr: float = 2e-3, momentum: float = 0.9) -> DenoiseTask:
    """Build the task that trains one of `DENOISERS`: by equation 5, the generator at the end by equation 4, against a critic.

    `optimizer` is one of `vidfer.tasks.optimizers`, `lr` its peak learning rate, and `momentum` that of `sgdma`.

    Raises:
        VidferError: The model is unknown, or an option is out of range.
    """
    if model not in _NETWORKS:
        raise VidferError(f"unknown denoiser '{model}': use one of {', '.join(_NETWORKS)}")
    kind = _NETWORKS[model]
    return DenoiseTask(
        "tiny", scale=2, objective="wgan-gp" if kind is None else "mse", crop=CROP, critic_width=16, optimizer=optimizer,
        momentum=momentum, lr=lr, network="generator" if kind is None else f"{kind.__module__}.{kind.__qualname__}",
    )  # fmt: skip


def _conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps the image's size and, beside a ReLU, the signal's (He et al. 2015)."""
    return _initialised(nn.Conv2d(in_channels, out_channels, 3, padding=1), math.sqrt(2 / (9 * in_channels)))


def _last_conv(in_channels: int) -> nn.Conv2d:
    """Make the convolution of a correction, which starts as none."""
    return _initialised(nn.Conv2d(in_channels, _FOLDED, 3, padding=1), 0.0)


def _initialised(conv: nn.Conv2d, std: float) -> nn.Conv2d:
    assert conv.bias is not None
    nn.init.normal_(conv.weight, std=std)
    nn.init.zeros_(conv.bias)
    return conv
