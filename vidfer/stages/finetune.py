"""Stage `finetune`: the fine-tuned image model's embeddings and logits of every face crop."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.pipeline.versions import tool_versions
from vidfer.stages.denoise import read_denoised
from vidfer.types import TRANSIENT


@dataclass(frozen=True)
class ImageStage(Stage):
    """Run the image model over the crops, denoised where they were, shard by shard.

    Artifact: `embeddings.safetensors` with `embeddings` (N, D) float32 and `logits` (N, 7) float32, in the crops' order; in
    `meta`, `answers_changed` is the number of denoised crops whose most probable class is another one than without.

    Args:
        weights: Digest of the weights, see `weights_digest`.
        flip: Whether results are averaged with those of the mirrored face, as the weights are evaluated.
        image_model: Name or file of the weights.
    """

    name: ClassVar[str] = "finetune"
    version: ClassVar[int] = 2
    inputs: ClassVar[tuple[str, ...]] = ("faces", "denoise")

    weights: str
    flip: bool = True
    image_model: str = neutral("compact")
    device: str = neutral("cpu")

    def tools(self) -> Mapping[str, str | None]:
        """Name torch with its version."""
        return tool_versions("torch")

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Embed and classify every crop."""
        faces, denoise = inputs["faces"], inputs["denoise"]
        shards = faces.names("crops-")
        if not shards or denoise.status in TRANSIENT:
            return Outcome(denoise.status, denoise.message, {"answers_changed": 0})
        from vidfer.inference.models import ImageModel, load_model, one_thread

        model = load_model(ImageModel, self.image_model, self.weights, self.device)
        tta = "flip" if self.flip else "none"
        parts, changed = [], 0
        with one_thread():
            for done, shard in enumerate(shards, start=1):
                crops = faces.arrays(shard)["crops"]
                denoised = read_denoised({"denoise": denoise, "faces": faces}, shard)
                if denoised is None:
                    parts.append(model(crops, tta=tta))
                else:
                    rows, clean = denoised
                    raw = model(crops[rows], tta=tta)[1]
                    crops[rows] = clean
                    parts.append(model(crops, tta=tta))
                    changed += int((parts[-1][1][rows].argmax(1) != raw.argmax(1)).sum())
                progress(done / len(shards))
        embeddings, logits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        draft.write_arrays("embeddings.safetensors", {"embeddings": embeddings, "logits": logits})
        return Outcome(denoise.status, denoise.message, {"answers_changed": changed})
