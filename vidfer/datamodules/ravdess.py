"""RAVDESS, or any recordings named alike, as feature vectors in batches."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidfer.datasets.batches import SoundBatch
from vidfer.datasets.ravdess import Recording, find_recordings
from vidfer.datasets.vectors import VectorReader
from vidfer.types import ClipError, VidferError

Sample = tuple[Tensor, int]
"""The vectors `(W, F)` of one recording and its class."""


class RavdessDataModule(lightning.LightningDataModule):
    """Recordings by actor: no person is in two splits.

    Every recording is cut into the windows that the chain answers from. Vectors are computed once and kept on disk.

    Args:
        root: Folder of recordings.
        train_actors: Actors to train on.
        val_actors: Actors to validate on; none to train on all there are, once everything is chosen.
        test_actors: Actors to test on.
        win_dur: Length of a window in seconds.
        hop_dur: Distance between windows in seconds.
        speeds: Playing speeds of the training recordings; 1.0 is as recorded.
        batch_size: Recordings a step.
        store: Folder in which vectors are kept.

    Attributes:
        source: What the data are, for the card.
        licence: Terms, for the card.
        data: The splits read so far.
    """

    source = "RAVDESS speech"
    licence = "Weights: for research, as RAVDESS (CC BY-NC-SA 4.0), from which they were learnt, and openSMILE are."

    def __init__(
        self,
        root: str = "data/ravdess_speech",
        train_actors: list[int] | None = None,
        val_actors: list[int] | None = None,
        test_actors: list[int] | None = None,
        win_dur: float = 2.0,
        hop_dur: float = 1.0,
        speeds: list[float] | None = None,
        batch_size: int = 32,
        store: str = "runs/store",
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.root = Path(root)
        self.actors = {
            "train": frozenset(train_actors or range(2, 17)),
            "val": frozenset(val_actors or ()),
            "test": frozenset(test_actors or range(17, 21)),
        }
        _require_disjoint(self.actors)
        self.readers = [VectorReader(store, win_dur, hop_dur, speed) for speed in speeds or [1.0]]
        self.plain = VectorReader(store, win_dur, hop_dur)
        self.windows = {"win_dur": win_dur, "hop_dur": hop_dur}
        self.store = store
        self.batch_size = batch_size
        self.data: dict[str, RecordingVectors] = {}

    def setup(self, stage: str) -> None:
        """Read the splits that a stage needs, computing the vectors that are not on disk yet.

        Args:
            stage: `fit`, `validate`, `test` or `predict`.
        """
        if stage == "fit" and "train" not in self.data:
            self.data["train"] = self._read("train", self.readers, drop_copies=True)
        if stage in ("fit", "validate") and "val" not in self.data and self.actors["val"]:
            self.data["val"] = self._read("val", [self.plain])
        if stage == "test" and "test" not in self.data:
            self.data["test"] = self._read("test", [self.plain])

    def training_vectors(self) -> Tensor:
        """Return every training vector `(N, F)`, for statistics."""
        return torch.cat([vectors for vectors, _ in self.data["train"].samples])

    def training_targets(self) -> Tensor:
        """Return the class of every training recording `(N,)`."""
        return torch.tensor([target for _, target in self.data["train"].samples])

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data and its preprocessing."""
        actors = {split: sorted(people) for split, people in self.actors.items()}
        return {
            "preprocessing": {"features": "openSMILE IS10 functionals", "sampling_rate": 16000, **self.windows},
            "data": {
                "source": self.source,
                "actors": actors,
                "trained_on": len(self.data["train"]) // len(self.readers),
            },
            "licence": self.licence,
        }

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return shuffled full batches of the training recordings."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        """Return the validation recordings in order, or nothing where no actor is held out."""
        return self._loader("val") if self.actors["val"] else []

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the test recordings in order."""
        return self._loader("test")

    def _read(self, split: str, readers: list[VectorReader], *, drop_copies: bool = False) -> "RecordingVectors":
        recordings, report = find_recordings(self.root, self.actors[split], drop_copies=drop_copies)
        for line in report.lines():
            rank_zero_info(f"{split}: {line}")
        samples = []
        for reader in readers:
            for recording in recordings:
                vectors = _vectors(reader, recording)
                if vectors is not None:
                    samples.append((vectors, recording.target))
        if not samples:
            raise VidferError(f"no recording in {self.root} has sound to train on or to test with")
        return RecordingVectors(samples)

    def _loader(self, split: str, *, shuffle: bool = False) -> DataLoader[Sample]:
        data = self.data[split]
        full = shuffle and len(data) >= self.batch_size
        return DataLoader(data, self.batch_size, shuffle, collate_fn=collate, drop_last=full)


class RecordingVectors(Dataset[Sample]):
    """Recordings in memory.

    Args:
        samples: The vectors and the class of each.
    """

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Return one recording."""
        return self.samples[index]


def collate(samples: list[Sample]) -> SoundBatch:
    """Put recordings of different lengths into one batch.

    Args:
        samples: Vectors `(W_i, F)` and class of each recording.

    Returns:
        The batch.
    """
    counts = torch.tensor([len(vectors) for vectors, _ in samples])
    return SoundBatch(
        vector=torch.cat([vectors for vectors, _ in samples]),
        recording=torch.repeat_interleave(torch.arange(len(samples)), counts),
        target=torch.tensor([target for _, target in samples]),
    )


def _vectors(reader: VectorReader, recording: Recording) -> Tensor | None:
    try:
        return torch.from_numpy(reader(recording.path))
    except ClipError as error:
        rank_zero_info(f"  dropped: {recording.path.name}: {error.status}: {error.message}")
        return None


def _require_disjoint(actors: dict[str, frozenset[int]]) -> None:
    def overlap(a: Collection[int], b: Collection[int]) -> str:
        return ", ".join(map(str, sorted(set(a) & set(b))))

    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := overlap(actors[one], actors[other]):
            raise VidferError(f"actors {shared} are in {one} and {other}: no person may be in two splits")
