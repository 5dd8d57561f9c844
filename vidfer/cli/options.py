"""Options that several verbs share, and the clips that paths stand for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.types import VidferError

if TYPE_CHECKING:
    from vidfer.chain.build import ChainOptions

Clip = tuple[Path, Path]
"""A clip's file and its place under the output folder."""


def add_chain_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides the chain's result, and where it runs."""
    sampling = parser.add_mutually_exclusive_group()
    sampling.add_argument("--fps", type=_positive, default=5.0, help="frames per second to look at (default: 5)")
    sampling.add_argument("--every", type=_count, metavar="N", help="look at every N-th frame instead")
    models = parser.add_argument_group("models")
    models.add_argument("--image-model", default="compact", metavar="NAME|FILE", help="default: compact, as shipped")
    models.add_argument("--audio-model", default="is10", metavar="NAME|FILE", help="default: is10, as shipped")
    machine = parser.add_argument_group("where and how (never changes a result)")
    machine.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    machine.add_argument("--jobs", type=_count, default=1, metavar="N", help="clips at once (default: 1)")
    machine.add_argument(
        "--timeout",
        type=_positive,
        default=120.0,
        metavar="S",
        help="seconds to wait for a stuck decoder (default: 120)",
    )
    add_store_option(machine)
    parser.add_argument(
        "--decoder", choices=("auto", "pyav", "decord"), default="auto", help="which decoder reads the frames"
    )


def add_store_option(parser: argparse._ActionsContainer) -> None:
    """Add the place of the store."""
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache)",
    )


def chain_options(args: argparse.Namespace) -> "ChainOptions":
    """Collect the chain's options from parsed arguments."""
    from vidfer.chain.build import ChainOptions

    return ChainOptions(
        args.fps, args.every, args.decoder, args.image_model, args.audio_model, args.device, args.timeout
    )


def find_clips(paths: list[Path]) -> list[Clip]:
    """List the files that paths stand for: files as they are, folders with all their files, hidden ones left out.

    Each clip gets a place of its own under the output folder, named after the path given and the file below it. A path
    that does not exist is listed too, so that it ends as `unreadable` while the others are worked on.

    Raises:
        VidferError: A folder holds no file.
    """
    clips: dict[Path, Path] = {}
    taken: set[Path] = set()
    for path in paths:
        base = Path(path.absolute().name)
        files = [path]
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file())
            files = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
            if not files:
                raise VidferError(f"{path} holds no files")
        for file in files:
            place = base if file == path else base / file.relative_to(path)
            if file not in clips:
                clips[file] = _free(place, taken)
                taken.add(clips[file])
    return list(clips.items())


def _free(place: Path, taken: set[Path]) -> Path:
    candidate, number = place, 1
    while candidate in taken:
        number += 1
        candidate = place.with_name(f"{place.name}-{number}")
    return candidate


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
