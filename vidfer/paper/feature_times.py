"""What the features of a clip cost, so that execution time can be told from a file to its prediction."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from vidfer.datamodules.clips import ClipDataModule, draw_evenly
from vidfer.datamodules.features import FeatureReader
from vidfer.datamodules.paired import PairedDataModule
from vidfer.datasets.report import LabelledClip
from vidfer.inference.models import ImageModel
from vidfer.inference.torch_networks import one_thread
from vidfer.media.kept import end_children
from vidfer.paper.cells import processor
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome, tool_versions
from vidfer.pipeline.store import Draft, Store, default_store
from vidfer.pipeline.temporary import temporary_folder
from vidfer.types import ClipError

VERSION: Final = 1  # bumped by hand when the same features would take another time
COUNT: Final = 16  # test clips whose features are timed


def feature_seconds(module: ClipDataModule, digest: str) -> dict[str, Any]:
    """Time the features of up to `COUNT` test clips, classes as even as can be, once for a data set, `digest`, and a processor.

    Returns:
        The mean CPU time in s of one clip's `sound`, `frames` and `image`, and the number of clips, `n`. Models are loaded
        before. A clip that has none of a modality counts with the time in which that was found. Faces of paired clips are
        given as images: these cost nothing, and `frames` are their embeddings.
    """
    recipe = {
        "stage": "costs",
        "version": VERSION,
        "source": digest,
        "params": {"count": COUNT, "processor": processor()},
        "inputs": {},
        "tools": tool_versions("torch", "opensmile", "av", "onnxruntime"),
    }

    def make(draft: Draft) -> Outcome:
        clips = module.splits()["test"]
        chosen = draw_evenly([clip.target for clip in clips], min(COUNT, len(clips)), seed=0)
        with one_thread():
            draft.write_json("seconds.json", _measure(module, [clips[at] for at in chosen]))
        return Outcome()

    found: dict[str, Any] = cached(Store(module.features.store or default_store()), recipe, make).json("seconds.json")
    return found


def _measure(module: ClipDataModule, clips: Sequence[LabelledClip]) -> dict[str, Any]:
    seconds = {"sound": _time_reading(module, "sound", clips)}
    if isinstance(module, PairedDataModule):
        seconds |= {"image": 0.0, "frames": _time_embeddings(module, clips)}
    else:
        seconds |= {name: _time_reading(module, name, clips) for name in ("image", "frames")}
    return {**seconds, "n": len(clips)}


def _time_reading(module: ClipDataModule, name: str, clips: Sequence[LabelledClip]) -> float:
    """Time what one clip costs more: all of them against the first alone, so that no start of a process counts."""

    def read(chosen: Sequence[LabelledClip]) -> float:
        with temporary_folder("work") as folder:
            reader = FeatureReader(replace(module.features, store=str(folder / "store")), [name])
            return _spent(lambda: _read_all(reader, chosen))

    read(clips[:1])  # loads the models
    return max(0.0, read([*clips[1:], clips[0]]) - read(clips[:1])) / max(1, len(clips) - 1)


def _read_all(reader: FeatureReader, clips: Sequence[LabelledClip]) -> None:
    for clip in clips:
        with suppress(ClipError):  # it took its time all the same
            reader(clip.path)


def _time_embeddings(module: PairedDataModule, clips: Sequence[LabelledClip]) -> float:
    model = ImageModel(module.features.image_model)
    images = [sample.features["image"].numpy() for sample in module.read("test", clips).samples]
    model.of_gray(images[0], tta=None)
    return _spent(lambda: [model.of_gray(image, tta=None) for image in images]) / len(images)


def _spent(work: Callable[[], object]) -> float:
    """Measure the CPU time in s of this process and of the children that it ends."""
    end_children()
    before = time.process_time() + _children()
    work()
    end_children()
    return time.process_time() + _children() - before


def _children() -> float:
    used = os.times()
    return used.children_user + used.children_system
