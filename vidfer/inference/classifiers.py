"""Classifiers of sound, of a person's faces, and of both, as functions of arrays; each raises as `ImageModel` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute, Floats, open_network
from vidfer.models.preprocess import standardise_face
from vidfer.types import VidferError
from vidfer.weights.files import find_weights


class _ClipModel:
    """A trained classifier of clips: its card, its network, and how many face images of a person it reads, None for all."""

    kind: ClassVar[str]

    def __init__(self, name_or_file: str | Path, *, compute: Compute = CPU) -> None:
        weights = find_weights(self.kind, name_or_file)
        self.card = weights.card
        self.network = open_network(weights, compute)

    @property
    def max_frames(self) -> int | None:
        """Face images of a person at the most, as in training."""
        most: int | None = self.card["preprocessing"].get("max_frames")
        return most


class AudioModel(_ClipModel):
    """From feature vectors of sound to seven logits for each window.

    `sequential` says whether it reads the vectors of a clip together, as a recurrent network does, and not one by one.
    """

    kind = "audio"

    def __init__(self, name_or_file: str | Path = "voice", *, compute: Compute = CPU) -> None:
        super().__init__(name_or_file, compute=compute)
        self.sequential = "each" not in self.network.outputs

    def __call__(self, vectors: Floats) -> Floats:
        """Map openSMILE's vectors (W, 1582), in the order of time, to log-probabilities (W, 7).

        Each window is classified by itself; by a sequential network, together with all windows before it.
        """
        sound = np.ascontiguousarray(vectors, np.float32)
        if not len(sound):
            return np.zeros((0, 7), np.float32)
        for output in ("each", "so_far"):
            if output in self.network.outputs:
                return self.network(sound=sound)[output]
        return np.stack([self.network(sound=sound[:count])["log_probs"] for count in range(1, len(sound) + 1)])


class FacesModel(_ClipModel):
    """From the faces of one person to seven logits."""

    kind = "faces"

    def __init__(self, name_or_file: str | Path, *, compute: Compute = CPU) -> None:
        super().__init__(name_or_file, compute=compute)
        if "frames" in self.reads and "image_weights" not in self.card["preprocessing"]:
            raise VidferError(
                f"the card of {name_or_file} names no image weights, whose embeddings it reads: export it again"
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """What it reads of `frames` and `image`."""
        return tuple(name for name in self.network.inputs if name != "landmarks")

    def __call__(self, faces: Mapping[str, npt.NDArray[Any]]) -> Floats:
        """Return logits (7,) of T >= 1 faces in the order of time, of each what it reads.

        `frames` are embeddings (T, D); `image` gray faces, uint8 (T, 48, 48), with `landmarks` (T, 5, 2) as shares of the edge.
        """
        parts = {name: np.ascontiguousarray(faces[name], np.float32) for name in self.network.inputs}
        if "image" in parts:
            parts["image"] = standardise_face(parts["image"][:, None] / 255)
        return self.network(**parts)["log_probs"]


class FusionModel(_ClipModel):
    """From the faces of one person and the sound to seven logits."""

    kind = "fusion"

    def __init__(self, name_or_file: str | Path = "fusion", *, compute: Compute = CPU) -> None:
        super().__init__(name_or_file, compute=compute)

    def __call__(self, embeddings: Floats, vectors: Floats) -> tuple[Floats, Floats | None]:
        """Return logits (7,) and the gates of faces and sound (2,), by which their logits are multiplied, in (0, 2).

        Of the person's embeddings (T, D) in the order of time, and the windows in which someone speaks (W, 1582); T, W >= 1. Only
        the network `fusion` has gates.
        """
        frames, sound = (np.ascontiguousarray(each, np.float32) for each in (embeddings, vectors))
        found = self.network(frames=frames, sound=sound)
        return found["log_probs"], found.get("gates")
