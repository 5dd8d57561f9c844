"""Faces and sound together, by gated attention.

References:
    Ilse, Tomczak, Welling: Attention-based deep multiple instance learning. ICML 2018 (gated attention, equation 9).
    Arevalo, Solorio, Montes-y-Gomez, Gonzalez: Gated multimodal units for information fusion. ICLR workshop 2017 (the gate).
"""

import torch
from torch import Tensor, nn

from vidfer.models import shares
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import (
    FRAME_FEATURES,
    NUM_CLASSES,
    SOUND_FEATURES,
    Classifier,
    Criterion,
    Standardise,
    sequence,
)


class FusionClassifier(Classifier):
    """Attention over a clip's faces and over its windows of sound, and a gate that weighs the two.

    Each modality is pooled by its own attention into seven logits. Where both are there, the fused logits are the sum of both,
    each times its gate in (0, 2), which is computed from both: logits of independent evidence add up, and the gates correct
    for what the two share. Where one is missing, the other's logits are used as they are.

    Args:
        hidden: Units of each modality's hidden layer.
        frame_dropout: Share of the embedding dropped in training, in [0, 1).
        sound_dropout: Share of the sound's features dropped in training, in [0, 1).
        dropout: Share of the hidden units dropped in training, in [0, 1).
    """

    reads = ("frames", "sound")

    def __init__(
        self,
        num_frame_features: int = FRAME_FEATURES,
        num_sound_features: int = SOUND_FEATURES,
        hidden: int = 128,
        frame_dropout: float = 0.2,
        sound_dropout: float = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.lengths = {"frames": num_frame_features, "sound": num_sound_features}
        self.frames = _Branch(num_frame_features, hidden, frame_dropout, dropout)
        self.sound = _Branch(num_sound_features, hidden, sound_dropout, dropout)
        self.gate = nn.Linear(2 * hidden, 2)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def prepare(self, train: ClipBatch) -> None:
        """Take the statistics of the training vectors."""
        self.frames.standardise.fit(train["frames"][train["frame_mask"]])
        self.sound.standardise.fit(train["sound"][train["sound_mask"]])

    def parts(self, batch: ClipBatch) -> dict[str, Tensor]:
        """Compute log-probabilities `(B, 7)` of `frames`, `sound` and `fused`, equal ones where there is no input, and `gates`.

        The gates `(B, 2)` are the factors of the faces' and the sound's logits, 0 for what is missing.
        """
        faces, seen = self.frames(batch["frames"], batch["frame_mask"])
        sound, heard = self.sound(batch["sound"], batch["sound_mask"])
        there = torch.stack([seen, heard], dim=1)
        gates = 2 * self.gate(torch.cat([faces, sound], dim=1)).sigmoid()
        gates = torch.where(there.all(1, keepdim=True), gates, there.to(gates))
        by_faces, by_sound = self.frames.head(faces) * seen[:, None], self.sound.head(sound) * heard[:, None]
        fused = gates[:, :1] * by_faces + gates[:, 1:] * by_sound
        logits = {"frames": by_faces, "sound": by_sound, "fused": fused}
        return {name: each.log_softmax(1) for name, each in logits.items()} | {"gates": gates}

    def forward(self, batch: ClipBatch) -> Tensor:
        """Map a batch to log-probabilities `(B, 7)`."""
        return self.parts(batch)["fused"]

    of_clip_gives = ("log_probs", "gates")

    def of_clip(self, **parts: Tensor) -> dict[str, Tensor]:
        """Classify one clip by its faces and its sound, and give the gates `(2,)` of the two."""
        frames, sound = parts["frames"][None], parts["sound"][None]
        batch = ClipBatch(
            target=torch.full((1,), -1),
            frames=frames,
            frame_mask=torch.ones_like(frames[..., 0], dtype=torch.bool),
            sound=sound,
            sound_mask=torch.ones_like(sound[..., 0], dtype=torch.bool),
        )
        found = self.parts(batch)
        return {"log_probs": found["fused"][0], "gates": found["gates"][0]}

    def loss(self, batch: ClipBatch, criterion: Criterion) -> Tensor:
        """Sum the losses of the fused prediction and of each modality's, so that either can be used alone."""
        labelled = batch["target"] >= 0
        parts = self.parts(batch)
        loss = criterion(parts["fused"][labelled], batch["target"][labelled])
        for name in self.reads:
            there = labelled & sequence(batch, name)[1].any(1)
            if shares.some(there):
                loss = loss + criterion(parts[name][there], batch["target"][there])
        return loss


class _Branch(nn.Module):
    """One modality: a hidden layer for each vector, pooled by gated attention."""

    def __init__(self, num_features: int, hidden: int, input_dropout: float, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(num_features)
        self.body = nn.Sequential(nn.Dropout(input_dropout), nn.Linear(num_features, hidden), nn.ReLU())
        self.value = nn.Linear(hidden, hidden // 2)
        self.guard = nn.Linear(hidden, hidden // 2)
        self.score = nn.Linear(hidden // 2, 1)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, NUM_CLASSES))

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pool vectors `(B, N, F)` into `(B, hidden)`, and say where there were any, `(B,)`."""
        hidden = self.body(self.standardise(vectors))
        score = self.score(self.value(hidden).tanh() * self.guard(hidden).sigmoid())[..., 0]
        there = mask.any(1)
        share = score.masked_fill(~mask, float("-inf")).masked_fill(~there[:, None], 0.0).softmax(1)
        return (share[..., None] * hidden).sum(1) * there[:, None], there
