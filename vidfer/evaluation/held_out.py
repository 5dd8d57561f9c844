"""What a trained model predicts for the people, or images, that its data module holds out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidfer.metrics.classification import Floats
from vidfer.types import VidferError

if TYPE_CHECKING:
    from vidfer.datamodules.base import BaseDataModule
    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.datamodules.features import Sample

Data = Mapping[str, Any]
"""A data module as LightningCLI writes it: `class_path` and `init_args`."""

Split = Literal["val", "test"]

NAMES = {"val": "validation", "test": "test"}


class NotHeldOutError(VidferError):
    """Nobody, or nothing, is held out that a model could be measured on: a fact about the data, to be reported."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions for N >= 1 samples that were not trained on."""

    on: str  # names the data and the split
    logits: list[Floats]  # (W, 7) of each sample: of its windows of sound, or one row
    target: list[int]
    person: list[str | None]  # of each sample; None where not known
    unit: str  # what the samples are: images or clips


def build_module(data: Data, **more: object) -> "BaseDataModule":
    """Build the data module that a configuration describes, with `more` arguments.

    Raises:
        VidferError: There is no such class.
    """
    name, _, what = str(data["class_path"]).rpartition(".")
    try:
        kind = getattr(import_module(name), what)
    except (ImportError, AttributeError, ValueError) as error:
        raise VidferError(f"no data module {data['class_path']} can be imported: {error}") from error
    module: BaseDataModule = kind(**{**(data.get("init_args") or {}), **more})
    module.notify = lambda _: None
    module.prepare_data()
    return module


def why(error: VidferError, data: Data) -> str:
    """Return an error's sentence with the folders of the data by their last names, since results name no paths."""
    text = str(error)
    for value in (data.get("init_args") or {}).values():
        if isinstance(value, str) and "/" in value:
            text = text.replace(value, Path(value).name)
    return text


def predict_held_out(kind: str, weights: Path, data: Data, split: Split) -> HeldOut:
    """Predict a split by weights of kind `image`, `audio`, `faces` or `fusion`, which read what they were trained on.

    Raises:
        NotHeldOutError: Nobody is held out in that split, or none of its samples can be read; the message is one clause.
    """
    if kind == "image":
        return _predict_images(weights, data, split)
    return _predict_clips(kind, weights, data, split)


def _predict_images(weights: Path, data: Data, split: Split) -> HeldOut:
    from vidfer.datamodules.fer2013 import Fer2013DataModule
    from vidfer.inference.models import ImageModel

    module = build_module(data)
    if not isinstance(module, Fer2013DataModule):
        raise NotHeldOutError(f"{data['class_path']} is no data module of face images that vidfer knows")
    _set_up(module, "test" if split == "test" else "fit")
    images = module.data.get(split)
    if images is None or not len(images):
        raise NotHeldOutError(f"no {NAMES[split]} images of {module.source} are held out")
    logits = ImageModel(weights).of_gray(images.image.numpy(), tta=None)[1]  # as the chain sees a face
    on = f"{images.report.source}: {NAMES[split]} images of {module.source}"  # of several sources, the one with labels
    return HeldOut(on, [row[None] for row in logits], images.target.tolist(), images.person, "images")


def _predict_clips(kind: str, weights: Path, data: Data, split: Split) -> HeldOut:
    import torch

    from vidfer.datamodules.features import collate_clips
    from vidfer.inference.torch_networks import deciding_logits, load_classifier

    _, network = load_classifier(kind, weights)
    module = build_clips(data, network.reads)
    samples = read_split(module, split)
    whole = [each for each in samples if all(len(each.features[name]) for name in network.reads)]
    if not whole:
        raise NotHeldOutError(f"no {NAMES[split]} clip of {module.source} has all that the {kind} model reads")
    if kind == "audio":
        logits = [deciding_logits(network, each.features["sound"].numpy()) for each in whole]
    else:
        with torch.inference_mode():
            logits = [network(collate_clips([each])).numpy() for each in whole]
    target, person = [each.target for each in whole], [each.person for each in whole]
    return HeldOut(f"{module.source}, {NAMES[split]} clips", logits, target, person, "clips")


def build_clips(data: Data, reads: Sequence[str]) -> "ClipDataModule":
    """Build a data module of clips that reads these entries of a `ClipBatch`; raise `NotHeldOutError` if it is none."""
    from vidfer.datamodules.clips import ClipDataModule

    module = build_module(data, reads=list(reads))
    if not isinstance(module, ClipDataModule):
        raise NotHeldOutError(f"{data['class_path']} is no data module of clips that vidfer knows")
    return module


def read_split(module: "ClipDataModule", split: Split) -> "list[Sample]":
    """Read a split's clips; raise `NotHeldOutError` if it has none that can be read."""
    if not module.splits()[split]:
        raise NotHeldOutError(f"nobody of {module.source} is held out as {NAMES[split]} people")
    _set_up(module, "validate" if split == "val" else "test")
    return module.samples[split]


def _set_up(module: "BaseDataModule", stage: str) -> None:
    """Read what a stage needs; what fails by the data, and not by a file or the store, is that there is nothing to measure on."""
    try:
        module.setup(stage)
    except VidferError as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise NotHeldOutError(str(error)) from error
