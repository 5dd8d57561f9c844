"""Stage `denoise`: the noisy face crops of a clip without their noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vidfer.pipeline.columns import to_parquet
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.pipeline.versions import tool_versions
from vidfer.stages.faces import LANDMARKS, SHARD, DenoiseScope, Denoising, denoised_name

Images = npt.NDArray[np.uint8]
DenoiseMode = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class DenoiseStage(Stage):
    """Denoise the crops that need it, and say what that changed.

    What decides is the noise of the frame inside the face's box, at the frame's own resolution: in the crop it is averaged
    out where a large face was shrunk, and smeared where a small one was magnified.

    A magnified crop is brought back to about the resolution that the face has in its frame, denoised there, and magnified
    again: the denoiser knows noise that differs from pixel to pixel, which magnifying has made blobs of. A shrunk crop is
    denoised as it is. `docs/answer.md` has the figures.

    Artifact: `denoise.parquet`, a row a face: `sigma` (the estimate that decided, 0-255), `denoised`, `change` (mean absolute
    change of the crop's pixels, 0-255; NaN where it was left alone). In scope `face` also the denoised crops, see
    `denoised_name`; in scope `frame` stage `faces` has written them.

    Args:
        denoise: What to denoise; None for nothing.
        scope: `face`, `frame` where stage `faces` has denoised whole frames, None with nothing to denoise.
        denoise_model: Name or file of the weights.
    """

    name: ClassVar[str] = "denoise"
    version: ClassVar[int] = 2
    inputs: ClassVar[tuple[str, ...]] = ("faces",)

    denoise: Denoising | None = None
    scope: DenoiseScope | None = None
    denoise_model: str = neutral("small")
    device: str = neutral("cpu")

    def tools(self) -> Mapping[str, str | None]:
        """Name what denoises and resamples with its version."""
        return tool_versions("torch", "opencv-python-headless") if self.denoise else {}

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Denoise shard by shard; what has no noisy crop is not even read."""
        faces = inputs["faces"]
        threshold = self.denoise.threshold if self.denoise else None
        facts = {"mode": self._mode, "scope": self.scope, "threshold": threshold, "faces": faces.meta.get("faces", 0)}
        shards = faces.names("crops-")
        if self.denoise is None or not shards:
            return Outcome(faces.status, faces.message, {**facts, "denoised": 0, "mean_change": None})
        table = faces.table("faces.parquet")
        sigma = table["noise_sigma" if self.scope == "face" else "frame_sigma"]
        wanted = self.denoise.wants(sigma)
        magnified = _magnification(table)
        change = np.full(len(sigma), np.nan)
        for number, shard in enumerate(shards):
            rows = np.flatnonzero(wanted[number * SHARD : (number + 1) * SHARD])
            if len(rows):
                places = number * SHARD + rows
                raw = faces.arrays(shard)["crops"][rows]
                stored = read_denoised(inputs, shard)
                clean = stored[1] if stored else self._clean(raw, magnified[places], self.denoise.weights)
                if not stored:
                    draft.write_arrays(denoised_name(shard), {"rows": rows, "crops": clean})
                change[places] = np.abs(clean.astype(np.int16) - raw).mean(axis=(1, 2, 3))
            progress((number + 1) / len(shards))
        draft.write("denoise.parquet", to_parquet({"sigma": sigma, "denoised": wanted, "change": change}))
        mean = round(float(change[wanted].mean()), 6) if wanted.any() else None
        return Outcome(faces.status, faces.message, {**facts, "denoised": int(wanted.sum()), "mean_change": mean})

    @property
    def _mode(self) -> DenoiseMode:
        if self.denoise is None:
            return "off"
        return "on" if self.denoise.threshold is None else "auto"

    def _clean(self, crops: Images, magnified: npt.NDArray[np.float64], weights: str) -> Images:
        from vidfer.inference.denoiser import Denoiser
        from vidfer.inference.models import load_model, one_thread

        network = load_model(Denoiser, self.denoise_model, weights, self.device)
        with one_thread():
            return np.stack([_at_native_size(network, *pair) for pair in zip(crops, magnified, strict=True)])


def _magnification(table: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return how many px of its crop one px of the frame became, for each face."""
    from vidfer.media.align import CENTRAL, TEMPLATE, similarity

    points = np.stack([np.stack([table[f"{name}_{axis}"] for axis in "xy"], axis=1) for name in LANDMARKS], axis=1)
    target = np.array(TEMPLATE) * CENTRAL
    return np.array([np.hypot(*similarity(face, target)[:, 0]) for face in points])


def _at_native_size(network: Callable[[Images], Images], crop: Images, magnified: float) -> Images:
    """Denoise one crop `(S, S, 3)` at the resolution that it had before it was magnified."""
    import cv2

    side = round(len(crop) / max(1.0, magnified))
    if side == len(crop):
        return np.asarray(network(crop[None])[0])
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    clean = network(np.asarray(small, np.uint8)[None])[0]
    return np.asarray(cv2.resize(clean, crop.shape[:2], interpolation=cv2.INTER_LINEAR), np.uint8)


def read_denoised(inputs: Mapping[str, Artifact], shard: str) -> tuple[npt.NDArray[np.int64], Images] | None:
    """Read the denoised crops of a shard, from whichever stage has made them.

    Args:
        inputs: The artifacts of `denoise` (scope `face`) and `faces` (scope `frame`).
        shard: Name of the file with the raw crops.

    Returns:
        Rows inside the shard and the crops at these rows; None when none was denoised.
    """
    name = denoised_name(shard)
    for artifact in inputs.values():
        if name in artifact.names():
            arrays = artifact.arrays(name)
            return arrays["rows"], arrays["crops"]
    return None
