"""Stage `denoise`: between the crops and the image model. It has no weights yet, so it passes crops through."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vidfer.stage import Outcome, Progress, Stage
from vidfer.store import Artifact, Draft


@dataclass(frozen=True)
class DenoiseStage(Stage):
    """Say that the crops were left as they are: `{"denoise": "off"}` in the artifact's facts.

    The crops are not copied: the image stage reads those of the stage that last wrote any.
    """

    name: ClassVar[str] = "denoise"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("faces",)

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Pass the crops through untouched."""
        faces = inputs["faces"]
        return Outcome(faces.status, faces.message, {"denoise": "off"})
