"""Options of the verbs that still build their own argparse parser."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.stages.chain import ChainOptions


def add_chain_options(parser: argparse.ArgumentParser, store: str = "$VIDFER_STORE, or the user's cache") -> None:
    """Add what decides the chain's result, and where it runs; `store` says what the store is if not given."""
    sampling = parser.add_mutually_exclusive_group()
    sampling.add_argument("--fps", type=positive_number, default=5.0, help="frames per second to look at (default: 5)")
    sampling.add_argument("--every", type=count, metavar="N", help="look at every N-th frame instead")
    models = parser.add_argument_group("models")
    models.add_argument(
        "--image-model",
        metavar="NAME|FILE",
        help="weights by name or file (default: compact, as shipped); with --weights, the network that they are to be of",
    )
    models.add_argument(
        "--weights", type=Path, metavar="FILE", help="the image model's weights, such as `make finetune` exports"
    )
    models.add_argument("--audio-model", default="is10", metavar="NAME|FILE", help="default: is10, as shipped")
    models.add_argument(
        "--fusion-model",
        default="auto",
        metavar="auto|late|NAME|FILE",
        help="auto: the trained one where it fits the others, else late fusion (default); late: the weighted sum",
    )
    add_denoise_options(parser)
    _add_answer_options(parser)
    machine = parser.add_argument_group("where and how (never changes a result)")
    machine.add_argument("--device", type=device_name, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    machine.add_argument("--jobs", type=count, default=1, metavar="N", help="clips at once (default: 1)")
    machine.add_argument(
        "--timeout",
        type=positive_number,
        default=120.0,
        metavar="S",
        help="seconds to wait for a stuck decoder (default: 120)",
    )
    add_store_option(machine, store)
    parser.add_argument(
        "--decoder", choices=("auto", "pyav", "decord"), default="auto", help="which decoder reads the frames"
    )


def add_denoise_options(parser: argparse.ArgumentParser, *, choose: bool = True) -> None:
    """Add how noise is removed.

    Args:
        parser: Where to add it.
        choose: Whether the user says if there is denoising at all.
    """
    group = parser.add_argument_group("denoising")
    if choose:
        group.add_argument(
            "--denoise",
            choices=("auto", "on", "off"),
            default="auto",
            help="auto: what is noisier than the threshold (default); on: everything; off: nothing",
        )
    group.add_argument(
        "--denoise-scope",
        choices=("face", "frame"),
        default="face",
        help="face crops (default), or whole frames before faces are looked for, which is slow",
    )
    group.add_argument("--denoise-model", default="small", metavar="NAME|FILE", help="default: small, as shipped")
    group.add_argument(
        "--denoise-threshold",
        type=positive_number,
        default=10.0,
        metavar="SIGMA",
        help="noise on the scale 0-255 above which auto acts (default: 10)",
    )


def _add_answer_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("from probabilities to answers")
    group.add_argument(
        "--prior",
        choices=("uniform", "training"),
        default="uniform",
        help="classes of a face: uniform moves half way from the training set's shares to equal ones (default)",
    )
    group.add_argument(
        "--pool",
        choices=("peaks", "mean"),
        default="peaks",
        help="a person: by the half of the face images with most expression (default), or by all of them",
    )
    group.add_argument(
        "--voice",
        choices=("auto", "off"),
        default="auto",
        help="sound counts where someone speaks (auto, default), or wherever it is not silent (off)",
    )
    group.add_argument(
        "--abstain",
        type=_share,
        metavar="P",
        help="answer `uncertain` where no class has a probability of P or more (default: off)",
    )


def add_store_option(parser: argparse._ActionsContainer, otherwise: str = "$VIDFER_STORE, or the user's cache") -> None:
    """Add the place of the store, and say what it is if not given."""
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help=f"artifacts of earlier runs (default: {otherwise})",
    )


def chain_options(args: argparse.Namespace) -> "ChainOptions":
    """Collect the chain's options from parsed arguments.

    Raises:
        UsageError: There are no such weights.
    """
    from vidfer.stages.chain import ChainOptions

    image_model = _image_model(args.image_model, args.weights)
    wanted = {"image": image_model, "audio": args.audio_model, "denoise": args.denoise_model}
    if args.denoise == "off":
        del wanted["denoise"]
    if args.fusion_model not in ("auto", "late"):
        wanted["fusion"] = args.fusion_model
    require_weights(wanted)
    return ChainOptions(
        fps=args.fps,
        every=args.every,
        decoder=args.decoder,
        denoise=args.denoise,
        denoise_scope=args.denoise_scope,
        denoise_model=args.denoise_model,
        denoise_threshold=args.denoise_threshold,
        image_model=image_model,
        audio_model=args.audio_model,
        fusion_model=args.fusion_model,
        voice=args.voice,
        prior=args.prior,
        pool=args.pool,
        abstain=args.abstain,
        device=args.device,
        timeout=args.timeout,
    )


def _image_model(name: str | None, file: Path | None) -> str:
    """Find out which weights --image-model and --weights stand for together."""
    if file is None:
        return name or "compact"
    require_weights({"image": str(file)})
    from vidfer.weights.files import find_weights

    arch = find_weights("image", file).card["arch"]
    if name not in (None, arch):
        raise UsageError(f"{file} holds weights of the network '{arch}', not of '{name}'")
    return str(file)


def require_weights(wanted: Mapping[str, str]) -> None:
    """Find out before any work whether weights are there.

    Args:
        wanted: Names of shipped weights, or weights files, by kind.

    Raises:
        UsageError: There are no such weights.
    """
    from vidfer.weights.files import find_weights

    try:
        for kind, name in wanted.items():
            find_weights(kind, name)
    except VidferError as error:
        raise UsageError(str(error)) from error


def positive_number(text: str) -> float:
    """Parse a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above zero")
    return value


def count(text: str) -> int:
    """Parse a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    value = positive_number(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1")
    return value


def device_name(text: str) -> str:
    """Parse the name of a device."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not cpu, cuda or cuda:N")
    return text


def require_device(name: str) -> None:
    """Find out before any work whether torch can compute on a device.

    Args:
        name: As `device_name` parses it.

    Raises:
        UsageError: It cannot.
    """
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: torch cannot compute there ({reason}); use --device cpu") from error
