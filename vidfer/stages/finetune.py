"""Stage `finetune`: the fine-tuned image model's embeddings and logits of every face crop."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral, tool_versions
from vidfer.pipeline.store import Artifact, Draft
from vidfer.stages.denoise import DenoiseStage, read_denoised
from vidfer.stages.faces import FacesStage
from vidfer.stages.fit import Fit, Settings, stage_versions
from vidfer.types import TRANSIENT

if TYPE_CHECKING:
    from vidfer.inference.models import ImageModel
    from vidfer.inference.network import Floats

_SOFT: Final = "vidfer.datamodules.soft_faces"  # whose teachers saw the images as they are, so that nothing is denoised


def _needs(settings: Settings) -> dict[str, str]:
    soft = settings.get("data", {}).get("class_path", "").rpartition(".")[0] == _SOFT
    return {} if soft else {"denoise_model": "denoise"}


def _tools(settings: Settings) -> Mapping[str, str | None]:
    """Name the stages of a clip that make the images, unless they come as such, and the package of the network."""
    images = settings["data"]["class_path"].rpartition(".")[0] in ("vidfer.datamodules.fer2013", _SOFT)
    compact = settings["model"].get("init_args", {}).get("backbone", "compact") == "compact"
    return {
        **({} if images else stage_versions(FacesStage(), DenoiseStage())),
        **({} if compact else tool_versions("timm")),
    }


FIT: Final = Fit(
    "finetune",
    version=1,
    task="vidfer.tasks.image.ImageTask",
    data="vidfer.datamodules.fer2013.Fer2013DataModule",
    needs=_needs,
    tools=_tools,
    weights="image",
)


@dataclass(frozen=True)
class ImageStage(Stage):
    """Run the image model over the crops, denoised where they were, and over their mirror images unless its card says no.

    Artifact: `embeddings.safetensors` with `embeddings` (N, D) float32 and `logits` (N, 7) float32, in the crops' order; in
    `meta`, `answers_changed` is the number of denoised crops whose most probable class is another one than without; None where
    every crop was to be denoised, since comparing would cost as much again.
    """

    name: ClassVar[str] = "finetune"
    version: ClassVar[int] = 3
    inputs: ClassVar[tuple[str, ...]] = ("faces", "denoise")

    weights: str  # their digest
    image_model: str = neutral("compact")
    compute: Compute = neutral(CPU)

    def reads_passing(self) -> tuple[str, ...]:
        """Name the stages with the crops."""
        return ("faces", "denoise")

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Embed and classify every crop."""
        faces, denoise = inputs["faces"], inputs["denoise"]
        shards = faces.names("crops-")
        if not shards or denoise.status in TRANSIENT:
            return Outcome(denoise.status, denoise.message, {"answers_changed": 0})
        compares, parts, changed = denoise.meta.get("mode") != "on", [], 0
        for done, shard in enumerate(shards, start=1):
            part, differ = self._of_shard(faces, denoise, shard, compares=compares)
            parts.append(part)
            changed += differ
            progress(done / len(shards))
        embeddings, logits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        del parts
        draft.write_arrays("embeddings.safetensors", {"embeddings": embeddings, "logits": logits})
        return Outcome(denoise.status, denoise.message, {"answers_changed": changed if compares else None})

    def _of_shard(
        self, faces: Artifact, denoise: Artifact, shard: str, *, compares: bool
    ) -> "tuple[tuple[Floats, Floats], int]":
        """Predict the crops of one file, and count answers that denoising changed, if they are to be compared."""
        crops = faces.arrays(shard)["crops"]
        rows, clean = read_denoised((denoise, faces), shard)
        raw = self.predict(crops[rows if compares else rows[:0]])[1]
        crops[rows] = clean
        found = self.predict(crops)
        return found, int((found[1][rows].argmax(1) != raw.argmax(1)).sum()) if compares else 0

    def predict(self, crops: npt.NDArray[np.uint8]) -> "tuple[Floats, Floats]":
        """Return embeddings (N, D) and logits (N, 7) of aligned crops, uint8 (N, 160, 160, 3), denoised where need be."""
        return self._model()(crops, tta=None)

    def warm(self) -> None:
        """Load the image model."""
        self._model()

    def _model(self) -> "ImageModel":
        from vidfer.inference.models import ImageModel
        from vidfer.inference.network import load_model

        return load_model(ImageModel, self.image_model, self.weights, self.compute)
