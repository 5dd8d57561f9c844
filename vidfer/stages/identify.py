"""Stage `identify`: a point for each person of a clip, by which persons are linked across cuts and clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute
from vidfer.media.quality import UNUSABLE
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.stages.clip_faces import best_faces, read_crops
from vidfer.weights.published import IDENTITY

BEST: Final = 5
"""Face images a person whose embeddings are averaged."""


@dataclass(frozen=True)
class IdentifyStage(Stage):
    """Embed the best usable face images of each person.

    Artifact: `identities.safetensors` with a row for each person who has a usable face image: `person` (P,) int64, the
    number, from 1 in order of appearance, `embedding` (P, D) float32 of length 1, the mean over the images, and `span` (P, 2)
    float64, the times in s of the first and the last face image, usable or not. Embeddings are biometric data: they stay in the
    store.
    """

    name: ClassVar[str] = "identify"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("faces",)

    weights: str  # their digest
    identity_model: str = neutral(IDENTITY)
    compute: Compute = neutral(CPU)

    def reads_passing(self) -> tuple[str, ...]:
        """Name the stage with the crops."""
        return ("faces",)

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Choose face images, embed them, average them by person."""
        faces = inputs["faces"]
        table: Mapping[str, npt.NDArray[Any]] = faces.table("faces.parquet") if faces.names("faces.parquet") else {}
        if table:
            rows = best_faces(table, BEST)
            rows = rows[table["weight"][rows] >= UNUSABLE]
            if len(rows):
                draft.write_arrays("identities.safetensors", self._identities(faces, table, rows))
        return Outcome(faces.status, faces.message)

    def _identities(
        self, faces: Artifact, table: Mapping[str, npt.NDArray[Any]], rows: npt.NDArray[np.intp]
    ) -> dict[str, npt.NDArray[Any]]:
        from vidfer.inference.identity import IdentityModel
        from vidfer.inference.network import load_model

        model = load_model(IdentityModel, self.identity_model, self.weights, self.compute)
        points = np.concatenate([model(crops) for crops in read_crops(faces, rows)]).astype(np.float64)
        number = np.unique(table["track"], return_inverse=True)[1] + 1
        people = np.unique(number[rows])
        means = np.array([points[number[rows] == person].mean(0) for person in people])
        times = [table["time_s"][number == person] for person in people]
        return {
            "person": people.astype(np.int64),
            "embedding": (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32),
            "span": np.array([[each.min(), each.max()] for each in times]),
        }
