"""Predictions for clips under added noise, denoised and not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vidfer.api import shown
from vidfer.datasets.photos import add_noise
from vidfer.evaluation import Notify, Progress
from vidfer.evaluation.consent import consented
from vidfer.evaluation.export import require_weights
from vidfer.media.decode import Frame, read_frames
from vidfer.media.record import record_frames
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.pipeline.temporary import temporary_folder
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.types import TRANSIENT, ClipError, Status, UsageError, VidferError

_COUNTS: Final = ("faces", "changed", "found_off", "same_off", "found_auto", "same_auto")


@dataclass(frozen=True)
class NoiseOptions:
    """The noise, and the chain that it is added before.

    Args:
        noise: Standard deviation of the noise on 0-255.
        fps: Frames per second to look at.
        image_model: Weights by name, or a file.
        denoise_scope: Denoise face crops, or whole frames before faces are detected, which is slow.
        denoise_model: Weights of the denoiser by name, or a file.
        denoise_threshold: Noise on 0-255 above which auto denoises.
        device: cpu, cuda or cuda:N.
    """

    noise: float = 25.0
    fps: float = 5.0
    image_model: str = "compact"
    denoise_scope: Literal["face", "frame"] = "face"
    denoise_model: str = "small"
    denoise_threshold: float = 10.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raise `VidferError` if a value is out of range."""
        if not 0 < self.noise < float("inf"):
            raise UsageError(f"--noise has to be a number above zero, not {self.noise:g}")
        self.chain()

    def chain(self) -> ChainOptions:
        """Return the chain's options, denoising off."""
        shared = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "noise"}
        return ChainOptions(denoise="off", **shared)


class FacePredictions(NamedTuple):
    """Faces of one clip: frame number, box x0 y0 x1 y1 in px `(N, 4)`, most probable class, sigma of the noise in the box."""

    frame: npt.NDArray[np.integer]
    box: npt.NDArray[np.floating]
    preds: npt.NDArray[np.integer]
    noise: npt.NDArray[np.floating]


def evaluate_noise(
    clips: Sequence[Path], options: NoiseOptions, store: Store, notify: Notify, progress: Progress
) -> dict[str, Any]:
    """Compare the predictions for clips and their noisy copies; `notify` is called with a line about each clip left out.

    Returns `noise`, `fps`, `denoise_scope`, `denoise_threshold`; `clips`, what `measure_clip` returns of each; `all`, their sums.
    Raises `VidferError` if no clip shows a face.
    """
    require_weights({"image": options.image_model, "denoise": options.denoise_model})
    found: list[dict[str, Any]] = []
    clips = consented(clips, notify)
    for done, clip in enumerate(clips):
        progress(done, len(clips), clip.name)
        try:
            row = {"clip": shown(clip), **measure_clip(clip, options.chain(), options.noise, store)}
        except ClipError as error:
            notify(f"  left out: {shown(clip)}: {error.status}: {error.message}")
            continue
        if row["faces"]:
            found.append(row)
        else:
            notify(f"  left out: {shown(clip)}: no face in it")
    if not found:
        raise VidferError("no clip with a face could be compared: name videos that show people")
    chosen = {name: getattr(options, name) for name in ("noise", "fps", "denoise_scope", "denoise_threshold")}
    return {**chosen, "clips": found, "all": {name: sum(row[name] for row in found) for name in _COUNTS}}


def noise_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `evaluate_noise` returned: a row for each clip, and their sum."""
    columns = f"{'found off/auto':>16}{'same off':>10}{'same auto':>10}{'clean changed':>15}{'sigma':>7}"
    lines = [f"{'clip':<28}{'faces':>8}{columns}"]
    for row in [*found["clips"], {**found["all"], "clip": "all", "noise": None}]:
        shares = [row[name] / row["faces"] for name in ("same_off", "same_auto", "changed")]
        noise = "" if row["noise"] is None else f"{row['noise']:.1f}"
        lines.append(
            f"{Path(row['clip']).name:<28}{row['faces']:>8}{row['found_off']:>10}/{row['found_auto']:<5}"
            f"{shares[0]:>10.3f}{shares[1]:>10.3f}{shares[2]:>15.3f}{noise:>7}"
        )
    return lines


def measure_clip(clip: Path, options: ChainOptions, sigma: float, store: Store) -> dict[str, Any]:
    """Compare the predictions for a clip and its copy with noise of `sigma` on 0-255, denoised (`auto`) and not.

    Returns numbers of faces: `faces` of the clean clip; `found_off`, `found_auto` of them in the noisy copy and `same_off`,
    `same_auto` with the same prediction there; `changed`, the clean clip's whose prediction `auto` changes; and `noise`, the
    median of the noise estimated in the copy's faces (None without any).
    """
    off, auto = (replace(options, every=None, denoise=mode) for mode in ("off", "auto"))
    clean = _predict(off, clip, store)
    counts: dict[str, Any] = {"faces": len(clean.preds)}
    counts["changed"] = counts["faces"] - compare(clean, _predict(auto, clip, store))[1]
    with temporary_folder("work") as folder:
        copy = folder / "noisy.nut"
        numbers = write_noisy(clip, copy, sigma=sigma, fps=options.fps)
        for mode in (off, auto):
            noisy = _predict(replace(mode, every=1), copy, store, numbers)
            counts[f"found_{mode.denoise}"], counts[f"same_{mode.denoise}"] = compare(clean, noisy)
    known = noisy.noise[~np.isnan(noisy.noise)]
    counts["noise"] = round(float(np.median(known)), 2) if len(known) else None
    return counts


def compare(clean: FacePredictions, other: FacePredictions) -> tuple[int, int]:
    """Pair the faces of each frame greedily by intersection over union, from 0.5.

    Returns the number of pairs, and of those with the same prediction.
    """
    from torch import from_numpy
    from torchvision.ops import box_iou

    found = same = 0
    for frame in np.unique(clean.frame):
        ours, theirs = np.flatnonzero(clean.frame == frame), np.flatnonzero(other.frame == frame)
        overlap = box_iou(from_numpy(clean.box[ours]), from_numpy(other.box[theirs])).numpy()
        while overlap.size and overlap.max() >= 0.5:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            overlap[row], overlap[:, column] = 0, 0
            found += 1
            same += int(clean.preds[ours[row]] == other.preds[theirs[column]])
    return found, same


def write_noisy(clip: Path, copy: Path, *, sigma: float, fps: float) -> list[int]:
    """Write the frames that the chain would read, with noise of `sigma` on 0-255, into a lossless file.

    Returns the number of the clip's frame for each frame of the copy; raises `ClipError` if frames change size.
    """
    rng = np.random.default_rng(0)
    numbers: list[int] = []

    def noisy() -> Iterator[tuple[float, npt.NDArray[np.uint8]]]:
        shape: tuple[int, ...] = ()
        for frame in _unbroken(read_frames(clip, fps=fps)):
            shape = shape or frame.image.shape
            if frame.image.shape != shape:
                raise ClipError(Status.UNSUPPORTED, "its frames change size")
            numbers.append(frame.index)
            yield frame.pts, add_noise(frame.image, sigma, rng).astype(np.uint8)

    record_frames(noisy(), copy)
    return numbers


def _unbroken(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield the frames of a clip, up to where it breaks off."""
    try:
        yield from frames
    except ClipError as error:
        if error.status is not Status.PARTIAL:
            raise


def _predict(options: ChainOptions, clip: Path, store: Store, numbers: Sequence[int] | None = None) -> FacePredictions:
    """Run a clip through the stages up to the image model; `numbers` translates its frames' numbers."""
    chain = build_chain(options)
    with finished(chain, "finetune", clip, store) as artifact:
        if artifact.status in TRANSIENT:
            raise ClipError(artifact.status, artifact.message)
        if not artifact.names("embeddings"):
            return FacePredictions(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
        preds = artifact.arrays("embeddings.safetensors")["logits"].argmax(1)
    with finished(chain, "faces", clip, store) as artifact:
        table = artifact.table("faces.parquet")
    frame = table["frame"] if numbers is None else np.array(numbers)[table["frame"]]
    box = np.stack([table[name] for name in ("x0", "y0", "x1", "y1")], 1)
    return FacePredictions(frame, box, preds, table["noise_sigma"])
