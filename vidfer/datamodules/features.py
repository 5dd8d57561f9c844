"""From a clip's file to what a classifier reads, by the very stages that `vidfer analyze` runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidfer.datasets.vectors import VectorReader
from vidfer.media.align import CENTRAL, CROP, TEMPLATE, similarity
from vidfer.models.batches import ClipBatch
from vidfer.models.preprocess import Preprocessing, resize, standardise_face
from vidfer.pipeline.columns import read_parquet
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.faces import LANDMARKS
from vidfer.types import ClipError, Status

EDGE = 48
"""Edge in px of the face images that classifiers of pixels read."""

Features = dict[str, Tensor]
"""Entries of a `ClipBatch` for one clip: `frames (T, D)`, `image (T, 48, 48)` uint8, `landmarks (T, 5, 2)`, `sound (W, F)`."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip, ready to be learnt from.

    Args:
        name: Its file's name.
        person: Who is in it; None where that is not known.
        target: Its class, an index into `EMOTIONS`; -1 for a clip whose label is not given to the classifier.
        features: What was asked for and is there, see `Features`.
    """

    name: str
    person: str | None
    target: int
    features: Features


@dataclass(frozen=True)
class FeatureReader:
    """Reads the features of clips, from the store where they are known.

    Args:
        reads: What is wanted: some of `frames`, `image` and `sound`.
        sound: Reader of the sound's vectors.
        store: Folder of artifacts.
        image_model: Name or file of the weights whose embeddings `frames` holds.
        max_frames: Face images of a clip at the most, evenly spread over the person who is seen most.
    """

    reads: tuple[str, ...]
    sound: VectorReader
    store: str
    image_model: str = "compact"
    max_frames: int = 16

    def __call__(self, path: Path) -> tuple[Features, list[ClipError]]:
        """Read a clip.

        Args:
            path: Its file.

        Returns:
            What is there of what was asked for, at least one modality; and what is the matter with the other one.

        Raises:
            ClipError: Nothing that was asked for is there.
            StoreError: The store is full or cannot be written.
        """
        found: Features = {}
        faults: list[ClipError] = []
        for wanted, read in (({"sound"}, self._sound), ({"frames", "image"}, self._faces)):
            if wanted & set(self.reads):
                try:
                    found |= read(path)
                except ClipError as error:
                    faults.append(error)
        if not found:
            raise faults[0]
        return found, faults

    def _sound(self, path: Path) -> Features:
        return {"sound": torch.from_numpy(self.sound(path))}

    def _faces(self, path: Path) -> Features:
        chain = build_chain(ChainOptions(image_model=self.image_model, fusion_model="late"))
        store = Store(self.store)
        with finished(chain, "finetune", path, store) as finetune, finished(chain, "faces", path, store) as faces:
            if not finetune.names("embeddings"):
                raise ClipError(faces.status if faces.status != Status.OK else Status.NO_FACE, faces.message)
            table = read_parquet((faces.path / "faces.parquet").read_bytes())
            rows = _spread(table["track"], self.max_frames)
            result: Features = {}
            if "frames" in self.reads:
                embeddings = finetune.arrays("embeddings.safetensors")["embeddings"]
                result["frames"] = torch.from_numpy(embeddings[rows])
            if "image" in self.reads:
                crops = np.concatenate([faces.arrays(shard)["crops"] for shard in faces.names("crops-")])[rows]
                result["image"] = gray_faces(crops)
                result["landmarks"] = torch.from_numpy(_landmarks(table, rows))
        return result


def gray_faces(crops: "np.ndarray[Any, np.dtype[np.uint8]]") -> Tensor:
    """Make of aligned crops what FER2013 has: gray faces of 48x48 px, uint8 `(N, 48, 48)`.

    Args:
        crops: uint8 `(N, 160, 160, 3)`.
    """
    gray = Preprocessing(image_size=EDGE, crop_share=CENTRAL / CROP).gray(torch.from_numpy(crops))
    return (resize(gray, EDGE)[:, 0] * 255).round().to(torch.uint8)


def collate_clips(samples: Sequence[Sample]) -> ClipBatch:
    """Pad clips to one batch.

    Args:
        samples: The clips; an entry is made where one of them has it.

    Returns:
        The batch; faces are standardised one by one.
    """
    batch = ClipBatch(target=torch.tensor([sample.target for sample in samples]))
    there = set().union(*(sample.features for sample in samples))
    if there & {"frames", "image"}:
        batch["frame_mask"] = _mask([_count(sample, ("frames", "image")) for sample in samples])
    if "frames" in there:
        batch["frames"] = _pad(samples, "frames")
    if "image" in there:
        batch["image"] = _standardised(_pad(samples, "image"))
        batch["landmarks"] = _pad(samples, "landmarks")
    if "sound" in there:
        batch["sound_mask"] = _mask([_count(sample, ("sound",)) for sample in samples])
        batch["sound"] = _pad(samples, "sound")
    return batch


def _count(sample: Sample, names: tuple[str, ...]) -> int:
    return next((len(sample.features[name]) for name in names if name in sample.features), 0)


def _mask(counts: list[int]) -> Tensor:
    return torch.arange(max(*counts, 1)) < torch.tensor(counts)[:, None]


def _pad(samples: Sequence[Sample], name: str) -> Tensor:
    like = next(sample.features[name] for sample in samples if name in sample.features)
    length = max(len(sample.features.get(name, ())) for sample in samples)
    padded = torch.zeros(len(samples), max(length, 1), *like.shape[1:], dtype=torch.float32)
    for row, sample in zip(padded, samples, strict=True):
        if name in sample.features:
            row[: len(sample.features[name])] = sample.features[name]
    return padded


def _standardised(image: Tensor) -> Tensor:
    return standardise_face(image.flatten(0, 1)[:, None] / 255).reshape(*image.shape[:2], 1, *image.shape[2:])


def _spread(track: "np.ndarray[Any, Any]", most: int) -> "np.ndarray[Any, np.dtype[np.intp]]":
    """Choose rows of the person who is seen most, evenly spread over time."""
    people, counts = np.unique(track, return_counts=True)
    rows = np.flatnonzero(track == people[counts.argmax()])
    places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
    return np.asarray(rows[places])


def _landmarks(table: "dict[str, np.ndarray[Any, Any]]", rows: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Bring landmarks from the frame to where the aligned face has them, as shares of its edge."""
    template = np.array(TEMPLATE)
    points = np.stack([np.stack([table[f"{name}_{axis}"][rows] for axis in "xy"], 1) for name in LANDMARKS], 1)
    moved = []
    for each in points.astype(np.float64):
        matrix = similarity(each, template)
        moved.append(each @ matrix[:, :2].T + matrix[:, 2])
    return np.array(moved, np.float32)
