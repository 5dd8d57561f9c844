"""`vidfer evaluate clips`: what noise does to the answers for clips, and what denoising gives back."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import (
    add_denoise_options,
    add_store_option,
    device_name,
    find_clips,
    positive_number,
    require_weights,
)
from vidfer.types import TRANSIENT, ClipError, Status, VidferError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vidfer.media.decode import Frame
    from vidfer.pipeline.store import Store
    from vidfer.stages.chain import ChainOptions

MIN_OVERLAP = 0.5
"""Intersection over union from which two boxes in the same frame are the same face."""

_EPILOG = """
Each clip gets a noisy copy (Gaussian noise on every pixel of every frame looked at, rounded and clipped to 8 bits, the same in
every run), and both go through the chain with --denoise off and auto. "same" is the share of the clean
clip's faces, answered with --denoise off, that get the same answer in the noisy copy; a face that is not found there counts as
another answer. The faces of one clip are no independent samples, so there is no interval.
"""


def add_kind(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the kind `clips` of `vidfer evaluate`."""
    parser = kinds.add_parser("clips", help="answers for clips under added noise, denoised and not", epilog=_EPILOG)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="video files, or folders of them")
    parser.add_argument(
        "--noise", type=positive_number, default=25.0, metavar="SIGMA", help="to add, on the scale 0-255 (default: 25)"
    )
    parser.add_argument("--fps", type=positive_number, default=5.0, help="frames per second to look at (default: 5)")
    parser.add_argument("--image-model", default="compact", metavar="NAME|FILE", help="default: compact, as shipped")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    add_denoise_options(parser, choose=False)
    add_store_option(parser, "a temporary one, for this run only")
    parser.set_defaults(run=_run)


@dataclass(frozen=True, eq=False)
class Answers:
    """The faces of one clip, each with its answer.

    Args:
        frame: Number of its frame, int `(N,)`.
        box: x0 y0 x1 y1 in px of the frame, float `(N, 4)`.
        answer: Most probable class, int `(N,)`.
        noise: Estimated sigma inside the box, float `(N,)`.
    """

    frame: "npt.NDArray[np.integer]"
    box: "npt.NDArray[np.floating]"
    answer: "npt.NDArray[np.integer]"
    noise: "npt.NDArray[np.floating]"


def compare(clean: Answers, other: Answers) -> tuple[int, int]:
    """Find the faces of one version of a clip in another.

    In each frame, pairs are made from the largest overlap down to `MIN_OVERLAP`, each face in one pair at most.

    Args:
        clean: The faces to find.
        other: Those of the other version, frames counted alike.

    Returns:
        How many were found, and how many of these have the same answer.
    """
    import numpy as np

    found = same = 0
    for frame in np.unique(clean.frame):
        ours, theirs = np.flatnonzero(clean.frame == frame), np.flatnonzero(other.frame == frame)
        overlap = _overlap(clean.box[ours], other.box[theirs])
        while overlap.size and overlap.max() >= MIN_OVERLAP:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            overlap[row], overlap[:, column] = 0, 0
            found += 1
            same += int(clean.answer[ours[row]] == other.answer[theirs[column]])
    return found, same


def write_noisy(clip: Path, copy: Path, *, sigma: float, fps: float) -> list[int]:
    """Write the frames that the chain would look at, with noise, unpacked, in a NUT file.

    It takes three bytes a pixel. NUT keeps presentation times to 1e-6 s, from the first frame on.

    Args:
        clip: The clip.
        copy: Where to write.
        sigma: Standard deviation of the noise, on the scale 0-255.
        fps: Frames a second of presentation time.

    Returns:
        For each frame of the copy, the number of the clip's frame.

    Raises:
        ClipError: The clip cannot be read, or its frames change size.
    """
    from fractions import Fraction

    import av
    import numpy as np

    from vidfer.media.decode import read_frames

    dice = np.random.default_rng(0)
    numbers: list[int] = []
    with av.open(str(copy), "w", format="nut", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("rawvideo")
        stream.pix_fmt = "rgb24"
        stream.codec_context.time_base = Fraction(1, 1_000_000)
        for frame in _readable(read_frames(clip, fps=fps)):
            height, width = frame.image.shape[:2]
            if not numbers:
                stream.height, stream.width = height, width
            if (stream.height, stream.width) != (height, width):
                raise ClipError(Status.UNSUPPORTED, "its frames change size")
            noisy = np.clip(np.rint(frame.image + dice.normal(0, sigma, frame.image.shape)), 0, 255).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(noisy, format="rgb24")
            picture.pts, picture.time_base = round(1_000_000 * frame.pts), Fraction(1, 1_000_000)
            container.mux(stream.encode(picture))
            numbers.append(frame.index)
        container.mux(stream.encode(None))
    return numbers


def _readable(frames: "Iterator[Frame]") -> "Iterator[Frame]":
    """Yield the frames of a clip up to where it breaks off, if it does."""
    try:
        yield from frames
    except ClipError as error:
        if error.status is not Status.PARTIAL:
            raise


def _overlap(ours: "npt.NDArray[np.floating]", theirs: "npt.NDArray[np.floating]") -> "npt.NDArray[np.floating]":
    """Return intersection over union of boxes `(N, 4)` and `(M, 4)`, as `(N, M)`."""
    import numpy as np

    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (ours, theirs)]
    return np.asarray(shared / (areas[0][:, None] + areas[1][None] - shared))


def _answers(options: "ChainOptions", clip: Path, store: "Store", numbers: Sequence[int] | None = None) -> Answers:
    """Bring a clip through the stages up to the image model; `numbers` translates its frames' numbers."""
    import numpy as np

    from vidfer.pipeline.columns import read_parquet
    from vidfer.pipeline.runner import finished
    from vidfer.stages.chain import build_chain

    chain = build_chain(options)
    with finished(chain, "finetune", clip, store) as artifact:
        if artifact.status in TRANSIENT:
            raise ClipError(artifact.status, artifact.message)
        if not artifact.names("embeddings"):
            return Answers(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
        answer = artifact.arrays("embeddings.safetensors")["logits"].argmax(1)
    with finished(chain, "faces", clip, store) as artifact:
        table = read_parquet((artifact.path / "faces.parquet").read_bytes())
    frame = table["frame"] if numbers is None else np.array(numbers)[table["frame"]]
    return Answers(frame, np.stack([table[name] for name in ("x0", "y0", "x1", "y1")], 1), answer, table["noise_sigma"])


def measure(clip: Path, options: "ChainOptions", sigma: float, store: "Store") -> dict[str, Any]:
    """Compare the answers for a clip and its noisy copy, denoised (`auto`) and not.

    Args:
        clip: The clip.
        options: The chain's; `fps` is heeded, `every` and `denoise` are not.
        sigma: Standard deviation of the noise to add, on the scale 0-255.
        store: Where artifacts are kept.

    Returns:
        Counts of faces: `faces` of the clean clip; `found_off`, `found_auto` of them in the noisy
        copy and `same_off`, `same_auto` with the same answer there; `changed`, the clean clip's whose answer `auto`
        changes; and `noise`, the median of the noise estimated in the copy's faces (None without any).

    Raises:
        ClipError: The clip cannot be read, or no noisy copy can be made of it.
    """
    from tempfile import TemporaryDirectory

    import numpy as np

    off, auto = (replace(options, every=None, denoise=mode) for mode in ("off", "auto"))
    clean = _answers(off, clip, store)
    told: dict[str, Any] = {"faces": len(clean.answer)}
    told["changed"] = told["faces"] - compare(clean, _answers(auto, clip, store))[1]
    with TemporaryDirectory(prefix="vidfer-") as folder:
        copy = Path(folder) / "noisy.nut"
        numbers = write_noisy(clip, copy, sigma=sigma, fps=options.fps)
        for mode in (off, auto):
            noisy = _answers(replace(mode, every=1), copy, store, numbers)
            told[f"found_{mode.denoise}"], told[f"same_{mode.denoise}"] = compare(clean, noisy)
    known = noisy.noise[~np.isnan(noisy.noise)]
    told["noise"] = round(float(np.median(known)), 2) if len(known) else None
    return told


def _run(args: argparse.Namespace) -> int:
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from vidfer.api import shown
    from vidfer.pipeline.store import Store

    options = _options(args)
    clips: list[dict[str, Any]] = []
    with ExitStack() as stack:
        store = Store(args.store or stack.enter_context(TemporaryDirectory(prefix="vidfer-store-")))
        print(
            f"{'clip':<28}{'faces':>8}{'found off/auto':>16}{'same off':>10}{'same auto':>10}{'clean changed':>15}{'sigma':>7}"
        )
        for clip, _ in find_clips(args.paths, leave_out=[store.root]):
            try:
                told = {"clip": shown(clip), **measure(clip, options, args.noise, store)}
            except ClipError as error:
                print(f"  left out: {shown(clip)}: {error.status}: {error.message}", file=sys.stderr)
                continue
            if not told["faces"]:
                print(f"  left out: {shown(clip)}: no face in it", file=sys.stderr)
                continue
            clips.append(told)
            print(_line(Path(told["clip"]).name, told), flush=True)
    if not clips:
        raise VidferError("no clip with a face could be compared: name videos that show people")
    total = {name: sum(told[name] for told in clips) for name in _COUNTS}
    print(_line("all", {**total, "noise": None}))
    chosen = {name: getattr(options, name) for name in ("fps", "denoise_scope", "denoise_threshold")}
    print(json.dumps({"noise": args.noise, **chosen, "clips": clips, "all": total}))
    return 0


_COUNTS = ("faces", "changed", "found_off", "same_off", "found_auto", "same_auto")


def _options(args: argparse.Namespace) -> "ChainOptions":
    from vidfer.stages.chain import ChainOptions

    require_weights({"image": args.image_model, "denoise": args.denoise_model})
    return ChainOptions(
        fps=args.fps,
        denoise_scope=args.denoise_scope,
        denoise_model=args.denoise_model,
        denoise_threshold=args.denoise_threshold,
        image_model=args.image_model,
        device=args.device,
    )


def _line(name: str, told: dict[str, Any]) -> str:
    found = f"{told['found_off']}/{told['found_auto']}"
    same = "".join(f"{told[which] / told['faces']:>10.3f}" for which in ("same_off", "same_auto"))
    noise = "" if told["noise"] is None else f"{told['noise']:.1f}"
    return f"{name:<28}{told['faces']:>8}{found:>16}{same}{told['changed'] / told['faces']:>15.3f}{noise:>7}"
