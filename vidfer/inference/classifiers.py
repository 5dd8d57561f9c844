"""Classifiers of sound, of a person's faces, and of both, as functions of arrays; each raises as `ImageModel` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers import build_classifier, require_trusted
from vidfer.models.classifiers.base import Classifier, VectorClassifier
from vidfer.models.classifiers.fusion import FusionClassifier
from vidfer.models.preprocess import standardise_face
from vidfer.types import VidferError
from vidfer.weights.files import Card, find_weights

Floats = npt.NDArray[np.float32]

_NUMBERS: Final = 1 << 24  # of a batch of prefixes: 64 MB of float32


_READS: Final = {
    "audio": ({"sound"},),
    "faces": ({"frames"}, {"image"}, {"frames", "image"}),
    "fusion": ({"frames", "sound"},),
}
"""What networks read, by the kind of their weights."""


def load_classifier(kind: str, name_or_file: str | Path) -> tuple[Card, Classifier]:
    """Load a classifier of clips by name or file, in evaluation mode, with its card.

    Raises:
        VidferError: There are no such weights, they do not fit their card, or the network reads something else.
    """
    weights = find_weights(kind, name_or_file)
    require_trusted(weights.card["arch"])
    network = build_classifier(weights.card["arch"], weights.card["arguments"])
    if set(network.reads) not in _READS[kind]:
        raise VidferError(f"{name_or_file} holds a network that reads {', '.join(network.reads)}: no {kind} model")
    weights.load_into(network)
    return weights.card, network.eval()


class _ClipModel:
    """A trained classifier of clips: its card, its network, and how many face images of a person it reads, None for all."""

    kind: ClassVar[str]

    def __init__(self, name_or_file: str | Path) -> None:
        self.card, self.network = load_classifier(self.kind, name_or_file)

    @property
    def max_frames(self) -> int | None:
        """Face images of a person at the most, as in training."""
        most: int | None = self.card["preprocessing"].get("max_frames")
        return most


class AudioModel(_ClipModel):
    """From feature vectors of sound to seven logits for each window."""

    kind = "audio"

    def __init__(self, name_or_file: str | Path = "voice") -> None:
        super().__init__(name_or_file)
        self.sequential = is_sequential(self.network)

    def __call__(self, vectors: Floats) -> Floats:
        """Return logits (W, 7), see `window_logits`, of openSMILE's vectors (W, 1582), which the network standardises itself."""
        return window_logits(self.network, vectors)


def is_sequential(network: Classifier) -> bool:
    """Say whether a classifier reads the vectors of a clip together, as a recurrent one does, and not one by one."""
    return not isinstance(network, VectorClassifier)


@torch.inference_mode()
def window_logits(network: Classifier, vectors: Floats) -> Floats:
    """Apply a classifier of sound to windows in the order of time: vectors (W, F) to log-probabilities (W, 7).

    Each window is classified by itself; by a sequential network, together with all windows before it.
    """
    values = _tensor(vectors)
    if not is_sequential(network):
        return _of_sound(network, values[:, None], torch.ones(len(values), 1, dtype=torch.bool))
    count = max(1, _NUMBERS // max(1, values.numel()))
    parts = [np.zeros((0, 7), np.float32)]
    for start in range(0, len(values), count):
        longest = min(start + count, len(values))
        mask = torch.arange(longest) <= torch.arange(start, longest)[:, None]
        parts.append(_of_sound(network, values[:longest].expand(len(mask), -1, -1), mask))
    return np.concatenate(parts)


@torch.inference_mode()
def deciding_logits(network: Classifier, vectors: Floats) -> Floats:
    """Return the logits whose mean predicts a clip: those (W, 7) of its windows (W, F), or (1, 7) of a sequential network."""
    if not is_sequential(network):
        return window_logits(network, vectors)
    return _of_sound(network, _tensor(vectors)[None], torch.ones(1, len(vectors), dtype=torch.bool))


def _of_sound(network: Classifier, sound: Tensor, mask: Tensor) -> Floats:
    batch = ClipBatch(target=torch.full((len(sound),), -1), sound=sound, sound_mask=mask)
    log_probs: Tensor = network(batch)
    return log_probs.numpy()


class FacesModel(_ClipModel):
    """From the faces of one person to seven logits."""

    kind = "faces"

    def __init__(self, name_or_file: str | Path) -> None:
        super().__init__(name_or_file)
        if "frames" in self.network.reads and "image_weights" not in self.card["preprocessing"]:
            raise VidferError(
                f"the card of {name_or_file} names no image weights, whose embeddings it reads: export it again"
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """What it reads of `frames` and `image`."""
        return self.network.reads

    @torch.inference_mode()
    def __call__(self, faces: Mapping[str, npt.NDArray[Any]]) -> Floats:
        """Return logits (7,) of T >= 1 faces in the order of time, of each what it reads.

        `frames` are embeddings (T, D); `image` gray faces, uint8 (T, 48, 48), with `landmarks` (T, 5, 2) as shares of the edge.
        """
        count = len(faces[self.reads[0]])
        batch = ClipBatch(target=torch.full((1,), -1), frame_mask=torch.ones(1, count, dtype=torch.bool))
        if "frames" in self.reads:
            batch["frames"] = _tensor(faces["frames"])[None]
        if "image" in self.reads:
            batch["image"] = standardise_face(_tensor(faces["image"])[:, None] / 255)[None]
            batch["landmarks"] = _tensor(faces["landmarks"])[None]
        log_probs: Tensor = self.network(batch)
        return log_probs[0].numpy()


class FusionModel(_ClipModel):
    """From the faces of one person and the sound to seven logits."""

    kind = "fusion"

    def __init__(self, name_or_file: str | Path = "fusion") -> None:
        super().__init__(name_or_file)

    @torch.inference_mode()
    def __call__(self, embeddings: Floats, vectors: Floats) -> tuple[Floats, Floats | None]:
        """Return logits (7,) and the gates of faces and sound (2,), by which their logits are multiplied, in (0, 2).

        Of the person's embeddings (T, D) in the order of time, and the windows in which someone speaks (W, 1582); T, W >= 1. Only
        the network `fusion` has gates.
        """
        batch = ClipBatch(
            target=torch.full((1,), -1),
            frames=_tensor(embeddings)[None],
            frame_mask=torch.ones(1, len(embeddings), dtype=torch.bool),
            sound=_tensor(vectors)[None],
            sound_mask=torch.ones(1, len(vectors), dtype=torch.bool),
        )
        if not isinstance(self.network, FusionClassifier):
            log_probs: Tensor = self.network(batch)
            return log_probs[0].numpy(), None
        parts = self.network.parts(batch)
        return parts["fused"][0].numpy(), parts["gates"][0].numpy()


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
