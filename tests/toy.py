"""A chain of small stages over the real store and runner: quick, without video or torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.types import ClipError, Status

RUNS: list[tuple[str, str]] = []
"""(stage, clip name) of every computation in this process."""


@dataclass(frozen=True)
class Count(Stage):
    """Count the clip's bytes by value; a clip that begins with a status's name ends in that status."""

    name: ClassVar[str] = "count"
    version: ClassVar[int] = 1
    reads_clip: ClassVar[bool] = True

    bins: int = 4
    device: str = neutral("cpu")

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        RUNS.append((self.name, clip.name))
        data = clip.read_bytes()
        draft.write_arrays("half.safetensors", {"x": np.zeros(1)})
        for status in Status:
            if data.startswith(status.encode()):
                raise ClipError(status, f"{clip} is {status}")
        counts = np.bincount(np.frombuffer(data, np.uint8) % self.bins, minlength=self.bins)
        draft.write_arrays("counts.safetensors", {"counts": counts})
        progress(1.0)
        return Outcome(meta={"bytes": len(data)})


@dataclass(frozen=True)
class Largest(Stage):
    """Name the fullest bin."""

    name: ClassVar[str] = "largest"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("count",)

    offset: int = 0

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        RUNS.append((self.name, clip.name))
        count = inputs["count"]
        if not count.names("counts"):
            return Outcome(count.status, count.message)
        draft.write_json("predictions.json", int(count.arrays("counts.safetensors")["counts"].argmax()) + self.offset)
        return Outcome()
