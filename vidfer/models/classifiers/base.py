"""What every classifier of clips is: a plain network from a `ClipBatch` to log-probabilities."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, cast

import torch
from torch import Tensor, nn

from vidfer.models import shares
from vidfer.models.batches import ClipBatch
from vidfer.types import EMOTIONS, VidferError

NUM_CLASSES: Final = len(EMOTIONS)
FRAME_FEATURES: Final = 128  # length of the shipped image network's embedding
SOUND_FEATURES: Final = 1582  # length of openSMILE's IS10 vector

Criterion = Callable[[Tensor, Tensor], Tensor]
"""From log-probabilities `(B, 7)` and classes `(B,)` to a scalar loss."""


class Classifier(nn.Module, ABC):
    """A network that classifies whole clips.

    A new one is a module of this folder with one subclass, or a class of any other package. Its constructor takes primitives
    only, which the card of its weights repeats.
    """

    reads: tuple[str, ...]
    """The entries of a `ClipBatch` that it needs: some of `frames`, `image` and `sound`."""

    training_only: tuple[str, ...] = ()
    """What the names of tensors begin with that are for training alone, such as a generator's: weights are exported without."""

    of_clip_gives: tuple[str, ...] = ("log_probs",)
    """What `of_clip` returns, by name."""

    @abstractmethod
    def forward(self, batch: ClipBatch) -> Tensor:
        """Map a batch to log-probabilities `(B, 7)`: equal ones for a clip without any of what the network reads."""

    def of_clip(self, **parts: Tensor) -> dict[str, Tensor]:
        """Classify one clip by all that the network reads of it: `log_probs` `(7,)`, equal to what `forward` gives.

        `parts` are entries of a `ClipBatch` without the first axis, of one length T >= 1 or W >= 1. Graphs for ONNX Runtime are
        made of this, so shapes may not depend on values.
        """
        batch = cast("ClipBatch", {name: values[None] for name, values in parts.items()})
        batch["target"] = torch.full((1,), -1, device=next(iter(parts.values())).device)
        for name, mask in (("frames", "frame_mask"), ("image", "frame_mask"), ("sound", "sound_mask")):
            if name in parts:
                there = torch.ones_like(parts[name].flatten(1)[None, :, 0], dtype=torch.bool)
                batch[mask] = there  # type: ignore[literal-required]
        return {"log_probs": self(batch)[0]}

    def prepare(self, train: ClipBatch) -> None:
        """Take statistics, or pre-train without labels, before the first step, on all training clips in one batch."""

    def loss(self, batch: ClipBatch, criterion: Criterion) -> Tensor:
        """Compute the loss of a training batch, a scalar, by the task's loss of labelled predictions (target other than -1)."""
        labelled = batch["target"] >= 0
        return criterion(self(batch)[labelled], batch["target"][labelled])


class Standardise(nn.Module):
    """Subtract the training mean, divide by the training deviation, and clip to `clip` deviations (a loud click, say).

    The statistics are buffers, so that a network's weights are complete in one file.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_features: int, clip: float = 5.0) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))

    def fit(self, vectors: Tensor, start: int = 0) -> None:
        """Take the statistics of features `start` to `start + F` from finite training vectors `(N, F)`, N >= 1.

        Features that do not vary get deviation 1, and so become 0.

        Raises:
            VidferError: There are no vectors.
        """
        if not len(vectors):
            raise VidferError("no training clip has anything of what the classifier reads: nothing to learn from")
        spread, mean = torch.std_mean(vectors.double(), dim=0, correction=0)
        part = slice(start, start + vectors.shape[1])
        self.mean[part] = mean.to(self.mean)
        constant = spread <= 1e-6 * mean.abs().clamp_min(1e-6)
        self.std[part] = spread.masked_fill(constant, 1.0).to(self.std)

    def forward(self, vectors: Tensor) -> Tensor:
        """Standardise `(N, num_features)`."""
        return ((vectors - self.mean) / self.std).clamp(-self.clip, self.clip)


class VectorClassifier(Classifier):
    """A classifier of single vectors, whose predictions for a clip's vectors are pooled.

    A clip's prediction is the normalised mean of its vectors' log-probabilities, in training as in use: the loss forces no
    class on a silent or neutral moment.

    Args:
        modality: Where the vectors come from: `sound`, a vector for each window; `frames`, one for each face image; or `both`:
            one for each clip, the means over its face images and over its windows side by side.
        num_frame_features: Length of a face's embedding.
        num_sound_features: Length of a window's vector.

    Raises:
        VidferError: The modality is unknown.
    """

    def __init__(
        self,
        modality: str = "sound",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
    ) -> None:
        super().__init__()
        if modality not in ("sound", "frames", "both"):
            raise VidferError(f"modality '{modality}' is none of sound, frames, both")
        self.modality = modality
        self.reads = ("frames", "sound") if modality == "both" else (modality,)
        self.lengths = {"frames": num_frame_features, "sound": num_sound_features}
        self.num_features = sum(self.lengths[name] for name in self.reads)
        self.standardise = Standardise(self.num_features)

    @abstractmethod
    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, F)` as they are to log-probabilities `(M, N, 7)` of a committee of M members."""

    def vectors(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Collect a batch's vectors `(N, F)`, and the clip that each belongs to, int64 `(N,)`."""
        if self.modality == "both":
            joined = torch.cat([self._mean(batch, "frames"), self._mean(batch, "sound")], dim=1)
            return joined, torch.arange(len(joined), device=joined.device)
        values, mask = sequence(batch, self.modality)
        return values[mask], mask.nonzero()[:, 0]

    def _mean(self, batch: ClipBatch, name: str) -> Tensor:
        """Average a modality over each clip; one without it gets the training mean."""
        values, mask = sequence(batch, name)
        count = mask.sum(1, keepdim=True)
        mean = (values * mask[..., None]).sum(1) / count.clamp_min(1)
        start = 0 if name == "frames" else self.num_features - values.shape[2]
        return torch.where(count > 0, mean, self.standardise.mean[start : start + values.shape[2]])

    def prepare(self, train: ClipBatch) -> None:
        """Take the statistics of the training vectors; of each modality over the clips that have it."""
        if self.modality != "both":
            self.standardise.fit(self.vectors(train)[0])
            return
        start = 0
        for name in self.reads:
            there = sequence(train, name)[1].any(1)
            means = self._mean(train, name)
            self.standardise.fit(means[there], start)
            start += means.shape[1]

    def forward(self, batch: ClipBatch) -> Tensor:
        """Map a batch to log-probabilities `(B, 7)`: the mean of the members' probabilities for each vector, pooled."""
        vectors, clip = self.vectors(batch)
        together = _average(self.member_log_probs(vectors))
        return pool_vectors(together[None], clip, len(batch["target"]))[0]

    of_clip_gives = ("log_probs", "each")

    def of_clip(self, **parts: Tensor) -> dict[str, Tensor]:
        """Classify one clip, and `each` of its vectors by itself, `(N, 7)`; of `both` modalities there is one vector."""
        joined = torch.cat([parts[name].mean(0) for name in self.reads])[None]
        vectors = joined if self.modality == "both" else parts[self.modality]
        each = _average(self.member_log_probs(vectors)).log_softmax(1)
        return {"log_probs": each.mean(0).log_softmax(0), "each": each}

    def loss(self, batch: ClipBatch, criterion: Criterion) -> Tensor:
        """Sum the members' losses, so that each is trained on its own."""
        labelled = batch["target"] >= 0
        vectors, clip = self.vectors(batch)
        kept = labelled[clip]
        with shares.rows(clip[kept], len(labelled)):
            members = self.member_log_probs(vectors[kept])
        pooled = pool_vectors(members, clip[kept], len(labelled))
        return torch.stack([criterion(member[labelled], batch["target"][labelled]) for member in pooled]).sum()


def _average(members: Tensor) -> Tensor:
    """Average a committee's probabilities, log-probabilities `(M, N, 7)`, to `(N, 7)`."""
    return members.logsumexp(0) - math.log(len(members))


def pool_vectors(log_probs: Tensor, clip: Tensor, clips: int) -> Tensor:
    """Average log-probabilities `(M, N, 7)` over the vectors of each clip, `clip` `(N,)` of B, and normalise: `(M, B, 7)`.

    A clip without a vector gets equal probabilities.
    """
    counts = torch.bincount(clip, minlength=clips).clamp_min(1)
    total = log_probs.new_zeros(log_probs.shape[0], clips, log_probs.shape[2]).index_add(1, clip, log_probs)
    return (total / counts[:, None]).log_softmax(dim=2)


def sequence(batch: ClipBatch, name: str) -> tuple[Tensor, Tensor]:
    """Return a modality's padded vectors `(B, T, F)`, `frames` or `sound`, and where there are any, bool `(B, T)`."""
    if name == "frames":
        return batch["frames"], batch["frame_mask"]
    return batch["sound"], batch["sound_mask"]
