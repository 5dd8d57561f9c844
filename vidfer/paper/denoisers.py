"""The denoisers of the paper's table 3, one for each of its columns.

The paper names the models and says no more: these readings are ours, see docs/reference/denoisers.md. All but the DBN predict
what to add to the noisy image, on 2x2 patches of pixels that are folded into channels (Zhang, Zuo, Zhang: FFDNet. IEEE TIP
2018).
"""

import math
from abc import abstractmethod
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidfer.models.rbm import RBM, fit_rbm
from vidfer.tasks.denoise import DenoiseTask
from vidfer.types import VidferError

DENOISERS: Final = {  # what each column of the paper's table is here
    "cnn": "plain CNN with batch norm",
    "rcnn": "recursive residual CNN with shared weights",
    "lstm": "convolutional LSTM over steps of refinement",
    "dbn": "auto-encoder of patches, pre-trained as a restricted Boltzmann machine",
    "rnn": "convolutional Elman network over steps of refinement",
    "gan": "densely connected generator, at the end against a critic",
}
CROP: Final = 32  # edge of a training crop in px
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
    """CNN: convolutions, batch norm and ReLUs in a row (Zhang et al.: Beyond a Gaussian denoiser. IEEE TIP 2017)."""

    def __init__(self, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv3(_FOLDED, width), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [_conv3(width, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, _conv3(width, _FOLDED, gain=0.0))

    def _correct(self, folded: Tensor) -> Tensor:
        correction: Tensor = self.body(folded)
        return correction


class RecursiveDenoiser(FoldedDenoiser):
    """R-CNN, read as recursive residual CNN: one unit of two convolutions, applied `passes` times with the same weights.

    Every pass starts from the first features (Tai, Yang, Liu: DRRN. CVPR 2017, section 3.2), here without batch norm.
    """

    def __init__(self, width: int = 48, passes: int = 3) -> None:
        super().__init__()
        self.passes = passes
        self.head, self.first, self.second = (_conv3(inputs, width) for inputs in (_FOLDED, width, width))
        self.tail = _conv3(width, _FOLDED, gain=0.0)

    def _correct(self, folded: Tensor) -> Tensor:
        start = features = self.head(folded)
        for _ in range(self.passes):
            features = start + self.second(torch.relu(self.first(torch.relu(features))))
        correction: Tensor = self.tail(torch.relu(features))
        return correction


class RNNDenoiser(FoldedDenoiser):
    """RNN, read as convolutional Elman network whose time are steps of refinement (Elman: Finding structure in time. 1990).

    Each step sees the noisy image beside the estimate so far. One convolution makes `gates` times `width` feature maps of them
    and of the last output; the first of the `states` is the output.
    """

    gates = states = 1

    def __init__(self, width: int = 56, steps: int = 3) -> None:
        super().__init__()
        self.width, self.steps = width, steps
        self.conv = _conv3(2 * _FOLDED + width, self.gates * width)
        self.tail = _conv3(width, _FOLDED, gain=0.0)

    def _step(self, image: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Compute the next states, each `(B, width, H, W)`, from an input `(B, 24, H, W)` and the last ones."""
        return (torch.tanh(self.conv(torch.cat([image, *states], dim=1))),)

    def _correct(self, folded: Tensor) -> Tensor:
        count, _, height, width = folded.shape
        states: tuple[Tensor, ...] = (folded.new_zeros(count, self.width, height, width),) * self.states
        correction = torch.zeros_like(folded)
        for _ in range(self.steps):
            states = self._step(torch.cat([folded, folded + correction], dim=1), *states)
            correction = correction + self.tail(states[0])
        return correction


class LSTMDenoiser(RNNDenoiser):
    """The same as convolutional LSTM (Shi et al.: Convolutional LSTM network. NIPS 2015, equation 3, without peepholes)."""

    gates, states = 4, 2

    def __init__(self, width: int = 28, steps: int = 3) -> None:
        super().__init__(width, steps)

    def _step(self, image: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        output, cell = states
        to_input, forget, to_output, update = self.conv(torch.cat([image, output], dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(to_input) * torch.tanh(update)
        return torch.sigmoid(to_output) * torch.tanh(cell), cell


class PatchDenoiser(nn.Module):
    """DBN, read as an auto-encoder of 8x8 patches that starts as a restricted Boltzmann machine; overlaps are averaged.

    A patch's mean colour bypasses the network; the rest is coded by sigmoid units and decoded linearly: one step of a
    Gaussian-binary machine without sampling, whose two directions have weights of their own once it is trained further (Hinton,
    Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006; Vincent et al.: Extracting and
    composing robust features with denoising autoencoders. ICML 2008). `stride` is the distance of patches in px, a divisor of 8.
    """

    scale: Tensor

    def __init__(self, hidden: int = 256, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride
        self.encoder = nn.Linear(3 * _PATCH**2, hidden)
        self.decoder = nn.Linear(hidden, 3 * _PATCH**2)
        self.register_buffer("scale", torch.tensor(0.25))

    def pretrain(self, images: Tensor, steps: int, *, lr: float = 0.02, seed: int = 0) -> None:
        """Start from a machine that learns the patches of clean images by contrastive divergence.

        The images are `(N, 3, H, W)` in [-1, 1], of at least 8 px a side; the steps, at least 1, together use each patch once.
        """
        patches, _ = self._split(images)
        self.scale.copy_(patches.std())
        machine = RBM(3 * _PATCH**2, self.encoder.out_features, "gaussian").to(images)
        batch_size = math.ceil(len(patches) / steps)
        fit_rbm(machine, patches / self.scale, epochs=1, lr=lr, batch_size=batch_size, seed=seed)
        with torch.no_grad():
            self.encoder.weight.copy_(machine.weight.T)
            self.encoder.bias.copy_(machine.hidden_bias)
            self.decoder.weight.copy_(machine.weight)
            self.decoder.bias.copy_(machine.visible_bias)

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
        columns = patches.reshape(len(images), -1, 3 * _PATCH**2).transpose(1, 2)
        total, count = (
            functional.fold(each, images.shape[-2:], _PATCH, stride=self.stride)
            for each in (columns, torch.ones_like(columns[:1]))
        )
        return total / count


def denoise_task(model: str, *, optimizer: str = "adam", lr: float = 2e-3) -> DenoiseTask:
    """Build the task that trains one of `DENOISERS`: by equation 5, the generator at the end by equation 4, against a critic.

    `optimizer` is one of `vidfer.tasks.optimizers`, `lr` its peak learning rate.

    Raises:
        VidferError: The model is unknown, or an option is out of range.
    """
    if model not in DENOISERS:
        raise VidferError(f"unknown denoiser '{model}': use one of {', '.join(DENOISERS)}")
    networks: dict[str, type[nn.Module]] = {
        "cnn": CNNDenoiser, "rcnn": RecursiveDenoiser, "lstm": LSTMDenoiser, "dbn": PatchDenoiser, "rnn": RNNDenoiser
    }  # fmt: skip
    objective, network = "wgan-gp", "generator"
    if kind := networks.get(model):
        objective, network = "mse", f"{kind.__module__}.{kind.__qualname__}"
    return DenoiseTask(
        "tiny", scale=2, objective=objective, crop=CROP, critic_width=16, optimizer=optimizer, lr=lr, network=network
    )


def _conv3(in_channels: int, out_channels: int, gain: float = 1.0) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps the signal's scale beside a ReLU (He et al. 2015), or at gain 0 starts with zeros."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    nn.init.normal_(conv.weight, std=gain * math.sqrt(2 / (9 * in_channels)))
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
