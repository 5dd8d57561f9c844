"""What every classifier of clips is: a plain network from a `ClipBatch` to log-probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from vidfer.models.batches import ClipBatch
from vidfer.types import EMOTIONS, VidferError

NUM_CLASSES: Final = len(EMOTIONS)

FRAME_FEATURES: Final = 128
"""Length of the shipped image network's embedding."""

SOUND_FEATURES: Final = 1582
"""Length of openSMILE's IS10 vector."""

Criterion = Callable[[Tensor, Tensor], Tensor]
"""From log-probabilities `(B, 7)` and classes `(B,)` to a scalar loss."""


class Classifier(nn.Module, ABC):
    """A network that answers for whole clips.

    A new one is a module of this folder (or of any other package) with one subclass, named by the module's name or by its
    dotted path. Its constructor takes primitives only, which the card of its weights repeats.

    Attributes:
        reads: The entries of a `ClipBatch` that it needs: some of `frames`, `image` and `sound`.
    """

    reads: tuple[str, ...]

    @abstractmethod
    def forward(self, batch: ClipBatch) -> Tensor:
        """Map a batch to log-probabilities `(B, 7)`.

        A clip without anything to answer from gets equal shares.
        """

    def prepare(self, train: ClipBatch) -> None:
        """Take statistics of the training clips, or learn from them without labels, before the first step.

        Args:
            train: All training clips in one batch, those without labels (target -1) among them.
        """

    def loss(self, batch: ClipBatch, criterion: Criterion) -> Tensor:
        """Compute the loss of a training batch.

        Args:
            batch: Clips; those with target -1 have no label.
            criterion: The loss of labelled answers, weighted and smoothed as the task was told.

        Returns:
            A scalar.
        """
        labelled = batch["target"] >= 0
        return criterion(self(batch)[labelled], batch["target"][labelled])


class Standardise(nn.Module):
    """Subtract the training mean, divide by the training deviation, clip.

    The statistics are buffers, so that a network's weights are complete in one file.

    Args:
        num_features: Length of a vector.
        clip: Largest absolute value of the result, in standard deviations: a loud click must not outvote a voice.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_features: int, clip: float = 5.0) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))

    def fit(self, vectors: Tensor, start: int = 0) -> None:
        """Take the statistics of the training vectors.

        Features that do not vary get deviation 1, and so become 0.

        Args:
            vectors: `(N, F)`, finite, N >= 1.
            start: Number of the first feature that they give; F may be less than all.

        Raises:
            VidferError: There are none.
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
    """A classifier of single vectors, whose answers for a clip's vectors are pooled.

    A clip's answer is the normalised mean of its vectors' log-probabilities, in training as in use: a silent or neutral moment
    may then stay undecided, and the loss forces no class on every moment.

    Args:
        modality: Where the vectors come from: `sound`, a vector for each window; `frames`, one for each face image; or `both`:
            one for each clip, the means over its face images and over its windows side by side.
        num_frame_features: Length of a face's embedding.
        num_sound_features: Length of a window's vector.
        standardise: See `Standardise`.

    Raises:
        VidferError: The modality is unknown.
    """

    MODALITIES: ClassVar = ("sound", "frames", "both")

    def __init__(
        self,
        modality: str = "sound",
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
    ) -> None:
        super().__init__()
        if modality not in self.MODALITIES:
            raise VidferError(f"modality '{modality}' is none of {', '.join(self.MODALITIES)}")
        self.modality = modality
        self.reads = ("frames", "sound") if modality == "both" else (modality,)
        lengths = {"frames": num_frame_features, "sound": num_sound_features}
        self.num_features = sum(lengths[name] for name in self.reads)
        self.standardise = Standardise(self.num_features)

    @abstractmethod
    def member_log_probs(self, vectors: Tensor) -> Tensor:
        """Map vectors `(N, F)` as they are to log-probabilities `(M, N, 7)` of a committee of M members."""

    def vectors(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Collect the vectors of a batch.

        Returns:
            Vectors `(N, F)`, and the clip that each belongs to, int64 `(N,)`.
        """
        if self.modality == "both":
            joined = torch.cat([self._mean(batch, "frames"), self._mean(batch, "sound")], dim=1)
            return joined, torch.arange(len(joined), device=joined.device)
        values, mask = _sequence(batch, self.modality)
        return values[mask], mask.nonzero()[:, 0]

    def _mean(self, batch: ClipBatch, name: str) -> Tensor:
        """Average a modality over each clip; where there is nothing, the training mean says that nothing is known."""
        values, mask = _sequence(batch, name)
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
            there = _sequence(train, name)[1].any(1)
            means = self._mean(train, name)
            self.standardise.fit(means[there], start)
            start += means.shape[1]

    def forward(self, batch: ClipBatch) -> Tensor:
        """Map a batch to log-probabilities `(B, 7)`: the mean of the members' probabilities for each vector, pooled."""
        vectors, clip = self.vectors(batch)
        members = self.member_log_probs(vectors)
        together = members.logsumexp(0) - torch.log(torch.tensor(float(len(members))))
        return pool_vectors(together[None], clip, len(batch["target"]))[0]

    def loss(self, batch: ClipBatch, criterion: Criterion) -> Tensor:
        """Sum the members' losses, so that each learns on its own."""
        labelled = batch["target"] >= 0
        vectors, clip = self.vectors(batch)
        kept = labelled[clip]
        pooled = pool_vectors(self.member_log_probs(vectors[kept]), clip[kept], len(labelled))
        return torch.stack([criterion(member[labelled], batch["target"][labelled]) for member in pooled]).sum()


def pool_vectors(log_probs: Tensor, clip: Tensor, clips: int) -> Tensor:
    """Average vectors' log-probabilities over each clip and normalise.

    Args:
        log_probs: `(M, N, 7)`.
        clip: The clip of each vector, `(N,)`.
        clips: Number of clips, B.

    Returns:
        Log-probabilities `(M, B, 7)`; equal shares for a clip without a vector.
    """
    counts = torch.bincount(clip, minlength=clips).clamp_min(1)
    total = log_probs.new_zeros(log_probs.shape[0], clips, log_probs.shape[2])
    total = total.index_add(1, clip, log_probs)
    return (total / counts[:, None]).log_softmax(dim=2)


def _sequence(batch: ClipBatch, name: str) -> tuple[Tensor, Tensor]:
    mask = "frame_mask" if name == "frames" else "sound_mask"
    return batch[name], batch[mask]  # type: ignore[literal-required]
