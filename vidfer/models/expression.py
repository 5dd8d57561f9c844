"""Trained models ready to answer: numpy in, numpy out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidfer.models.backbone import build_backbone
from vidfer.models.classifiers.build import build_classifier
from vidfer.models.compact import CompactNet
from vidfer.models.layout import channels_last
from vidfer.models.preprocess import Preprocessing
from vidfer.weights.registry import find_weights

Floats = npt.NDArray[np.float32]

_BATCH = 32  # faces at a time: enough for speed, little enough for the cache


class ImageModel:
    """Answers for faces: an embedding and seven logits each.

    The compact network's batch norms are folded into the convolutions before them, which changes results by rounding
    only.

    Args:
        name_or_file: `compact`, or a `.safetensors` file with its card beside it.
        device: Where to compute, as torch names it.

    Raises:
        VidferError: There are no such weights, or they do not fit their card.

    Example:
        >>> import numpy as np
        >>> from vidfer.models.expression import ImageModel
        >>> embedding, logits = ImageModel("compact")(np.zeros((2, 160, 160, 3), np.uint8))
        >>> embedding.shape, logits.shape
        ((2, 128), (2, 7))
    """

    def __init__(self, name_or_file: str | Path = "compact", *, device: str = "cpu") -> None:
        weights = find_weights("image", name_or_file)
        self.card = weights.card
        self.preprocessing = Preprocessing(**weights.card["preprocessing"])
        self.device = torch.device(device)
        network = build_backbone(weights.card["arch"], **weights.card["arguments"])
        weights.load_into(network)
        network.eval()
        if isinstance(network, CompactNet):
            fold_batch_norm(network)
        self.network: Any = channels_last(network.to(self.device))

    def __call__(self, crops: npt.NDArray[np.uint8], *, flip: bool = False) -> "tuple[Floats, Floats]":
        """Answer for aligned colour crops.

        Args:
            crops: uint8 `(N, S, S, 3)`, RGB, as `vidfer.media.align` makes them (S = 160).
            flip: Average each result with the mirrored face's.

        Returns:
            Embeddings float32 `(N, D)` and logits float32 `(N, 7)`.
        """
        return self._both(crops, self.preprocessing.gray, flip)

    def of_gray(self, faces: npt.NDArray[np.uint8], *, flip: bool = False) -> "tuple[Floats, Floats]":
        """Answer for gray faces that are framed as the training images are.

        Args:
            faces: uint8 `(N, S, S)`.
            flip: Average each result with the mirrored face's.

        Returns:
            Embeddings float32 `(N, D)` and logits float32 `(N, 7)`.
        """
        return self._both(faces, _scale, flip)

    def _both(
        self, images: npt.NDArray[np.uint8], gray: "Callable[[Tensor], Tensor]", flip: bool
    ) -> "tuple[Floats, Floats]":
        embedding, logits = self._run(images, gray)
        if flip:
            mirrored = self._run(images[:, :, ::-1], gray)
            embedding, logits = np.float32(0.5) * (embedding + mirrored[0]), np.float32(0.5) * (logits + mirrored[1])
        return embedding, logits

    @torch.inference_mode()
    def _run(self, images: npt.NDArray[np.uint8], gray: Callable[[Tensor], Tensor]) -> tuple[Floats, Floats]:
        embeddings = [np.zeros((0, self.network.head.in_features), np.float32)]
        logits = [np.zeros((0, self.network.head.out_features), np.float32)]
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH])).to(self.device)
            image = self.preprocessing(gray(batch)).contiguous(memory_format=torch.channels_last)
            embedding = self.network.embed(image)
            embeddings.append(embedding.float().cpu().numpy())
            logits.append(self.network.head(embedding).float().cpu().numpy())
        return np.concatenate(embeddings), np.concatenate(logits)


class AudioModel:
    """Answers for sound: seven logits for each window's feature vector.

    Args:
        name_or_file: `is10`, or a `.safetensors` file with its card beside it.

    Raises:
        VidferError: There are no such weights, or they do not fit their card.
    """

    def __init__(self, name_or_file: str | Path = "is10") -> None:
        weights = find_weights("audio", name_or_file)
        self.card = weights.card
        self.network = build_classifier(weights.card["arch"], **weights.card["arguments"])
        weights.load_into(self.network)
        self.network.eval()

    @torch.inference_mode()
    def __call__(self, vectors: Floats) -> Floats:
        """Answer for feature vectors as openSMILE made them; the network standardises them itself.

        Args:
            vectors: float32 `(W, 1582)`.

        Returns:
            Logits float32 `(W, 7)`.
        """
        logits: Tensor = self.network(torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)))
        return logits.numpy()


def fold_batch_norm(network: nn.Module) -> None:
    """Fold every batch norm into the convolution declared right before it in its parent module.

    Args:
        network: A network in evaluation mode whose modules are declared in the order of their use, as `CompactNet`'s
            are; changed in place.
    """
    for parent in network.modules():
        last: tuple[str, nn.Conv2d] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and last is not None:
                setattr(parent, last[0], torch.nn.utils.fuse_conv_bn_eval(last[1], child))
                setattr(parent, name, nn.Identity())
            last = (name, child) if isinstance(child, nn.Conv2d) else None


def _scale(gray: Tensor) -> Tensor:
    return gray[:, None].float() / 255
