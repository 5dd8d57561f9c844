"""Stage `denoise`: the noisy face crops of a clip without their noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute
from vidfer.media.align import CENTRAL, CROP, TEMPLATE, similarity
from vidfer.pipeline.columns import to_parquet
from vidfer.pipeline.cores import at_once
from vidfer.pipeline.stage import Outcome, Progress, Stage, later, neutral, tool_versions
from vidfer.pipeline.store import Artifact, Draft
from vidfer.stages.faces import LANDMARKS, SHARD, DenoiseScope, Denoising, denoised_name
from vidfer.stages.fit import Fit

if TYPE_CHECKING:
    from vidfer.inference.denoiser import Denoiser

Images = npt.NDArray[np.uint8]
DenoiseMode = Literal["auto", "on", "off"]


FIT: Final = Fit(
    "denoise",
    version=1,
    task="vidfer.tasks.denoise.DenoiseTask",
    data="vidfer.datamodules.denoise.DenoiseDataModule",
    weights="denoise",
)


@dataclass(frozen=True)
class DenoiseStage(Stage):
    """Denoise the crops that need it, and record what that changed.

    What decides is the noise of the frame inside the face's box, at the frame's own resolution. A crop that was magnified
    is denoised at about that resolution too, because noise that is magnified no longer differs from pixel to pixel.

    Artifact: `denoise.parquet`, a row a face: `sigma` (the estimate that decided, 0-255), `denoised`, `change` (mean absolute
    change of the crop's pixels, 0-255; NaN where it was left alone). In scope `face` also the denoised crops, see
    `denoised_name`; in scope `frame` stage `faces` has written them.
    """

    name: ClassVar[str] = "denoise"
    version: ClassVar[int] = 2
    inputs: ClassVar[tuple[str, ...]] = ("faces",)

    denoise: Denoising | None = None
    scope: DenoiseScope | None = None
    denoise_model: str = neutral("small")
    keep_faces: bool = later(True)
    compute: Compute = neutral(CPU)

    def reads_passing(self) -> tuple[str, ...]:
        """Name the stage with the crops, unless nothing is denoised."""
        return ("faces",) if self.denoise else ()

    def tools(self) -> Mapping[str, str | None]:
        """Name what denoises and resamples with its version."""
        return tool_versions("opencv-python-headless") if self.denoise else {}

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Denoise shard by shard; shards without a noisy crop are not read."""
        faces = inputs["faces"]
        threshold = self.denoise.threshold if self.denoise else None
        mode: DenoiseMode = "off" if self.denoise is None else "on" if threshold is None else "auto"
        facts = {"mode": mode, "scope": self.scope, "threshold": threshold, "faces": faces.meta.get("faces", 0)}
        shards = faces.names("crops-")
        if self.denoise is None or not shards:
            return Outcome(faces.status, faces.message, {**facts, "denoised": 0, "mean_change": None})
        table = faces.table("faces.parquet")
        sigma = table["noise_sigma" if self.scope == "face" else "frame_sigma"]
        wanted = self.denoise.wants(sigma)
        change = np.full(len(sigma), np.nan)
        for number, shard in enumerate(shards):
            rows = np.flatnonzero(wanted[number * SHARD : (number + 1) * SHARD])
            if len(rows):
                places = number * SHARD + rows
                raw = faces.arrays(shard)["crops"][rows]
                if self.scope == "frame":
                    clean = read_denoised([faces], shard)[1]
                else:
                    clean = self.clean(raw, {name: column[places] for name, column in table.items()})
                    draft.write_arrays(
                        denoised_name(shard), {"rows": rows, "crops": clean}, passing=not self.keep_faces
                    )
                change[places] = np.abs(clean.astype(np.int16) - raw).mean(axis=(1, 2, 3))
            progress((number + 1) / len(shards))
        draft.write("denoise.parquet", to_parquet({"sigma": sigma, "denoised": wanted, "change": change}))
        mean = round(float(change[wanted].mean()), 6) if wanted.any() else None
        return Outcome(faces.status, faces.message, {**facts, "denoised": int(wanted.sum()), "mean_change": mean})

    def clean(self, crops: Images, table: Mapping[str, npt.NDArray[Any]]) -> Images:
        """Denoise crops, n >= 1, given their rows of `faces.parquet`, whether they need it or not."""
        network, magnified = self._network(), _magnification(table)
        pairs = list(zip(crops, magnified, strict=True))

        def work(pair: tuple[Images, float]) -> Images:
            return _at_native_size(network, *pair)

        return np.stack(at_once(work, pairs) if network.parallel else [work(pair) for pair in pairs])

    def warm(self) -> None:
        """Load the denoiser, unless nothing is to be denoised."""
        if self.denoise:
            self._network()

    def _network(self) -> "Denoiser":
        from vidfer.inference.denoiser import Denoiser
        from vidfer.inference.network import load_model

        assert self.denoise is not None
        return load_model(Denoiser, self.denoise_model, self.denoise.weights, self.compute)


def _magnification(table: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return how many px of its crop one px of the frame became, for each face."""
    points = np.stack([table[f"{name}_{axis}"] for name in LANDMARKS for axis in "xy"], 1).reshape(-1, 5, 2)
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


def read_denoised(artifacts: Sequence[Artifact], shard: str) -> tuple[npt.NDArray[np.int64], Images]:
    """Read a shard's denoised crops, n >= 0, from the artifact that has them: rows inside the shard (n,), crops (n, S, S, 3)."""
    name = denoised_name(shard)
    for artifact in artifacts:
        if name in artifact.names():
            arrays = artifact.arrays(name)
            return arrays["rows"], arrays["crops"]
    return np.zeros(0, np.int64), np.zeros((0, CROP, CROP, 3), np.uint8)
