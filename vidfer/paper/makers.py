"""How cells come about: the work, and all that its figures depend on."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from vidfer.paper.cells import Maker
from vidfer.paper.tables import MODELS
from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.store import Store, dump_json, file_digest

SAMPLE: Final = "sample"
"""The name of generated clips, and of the photographs that ship with scikit-image."""

TESTED: Final = ("set5", "set14")
"""The folders of photographs that denoisers are tested on, beside the one that they are trained on; as in the paper."""

_PLACES: Final = ("root", "faces_root", "store", "image_model", "size", "seed")
"""Options of a data module that say where something is, or that each cell says by itself."""


def make_classifiers(data: str, root: str | None, store: Path) -> Maker:
    """Prepare the cells of classifiers: make what is generated, find the clips, and know all contents.

    Args:
        data: See `vidfer.datamodules.named.build_clip_data`.
        root: Where the data lie; None for the usual place.
        store: Folder of artifacts.

    Raises:
        VidferError: There are no such data, or a person is in two splits.
    """
    from vidfer.datamodules.named import build_clip_data
    from vidfer.paper.classifier_cell import BATCH, INPUTS, STEPS, VERSION
    from vidfer.weights.files import weights_digest

    module = build_clip_data(data, root, store=str(store), seed=0)
    module.prepare_data()
    splits = module.splits()
    known = Store(store)
    contents = [
        [split, clip.name, clip.person, clip.target, content_digest(clip.path, known)]
        for split in ("train", "test")
        for clip in sorted(splits[split], key=lambda each: each.name)
    ]
    faces = module.hparams.get("faces_root")
    images = sorted(_files(Path(faces))) if faces is not None else []
    weights = weights_digest("image", module.hparams["image_model"])
    reading = {name: value for name, value in module.hparams.items() if name not in _PLACES}
    shared = {"steps": STEPS, "batch": BATCH, "image_weights": weights, "reading": reading}
    return Maker(
        compute=partial(classify, data=data, root=root, store=str(store)),
        version=VERSION,
        data=_digest([module.source, contents, [[name, file_digest(path)] for name, path in images]]),
        settings={model: _training(model) | shared for model in MODELS},
        limit=len(splits["train"]),
        source=module.source,
        about=INPUTS,
    )


def make_denoisers(root: str, steps: int, store: Path) -> Maker:
    """Prepare the cells of denoisers.

    Args:
        root: Folder of photographs to train on, with the folders to test on beside it; or `sample`.
        steps: Training steps of every denoiser.
        store: Folder of artifacts.

    Raises:
        VidferError: There are no such photographs, or one to test on is trained on as well.
    """
    from vidfer.paper.denoiser_cell import ABOUT, VERSION
    from vidfer.paper.denoiser_photos import load_material
    from vidfer.pipeline.versions import tool_versions

    tested = None if root == SAMPLE else tuple(str(Path(root).parent / name) for name in TESTED)
    material = load_material(root, tested)
    folders = [] if root == SAMPLE else [Path(root), *map(Path, tested or ())]
    known = Store(store)
    contents = [[name, content_digest(path, known)] for folder in folders for name, path in sorted(_files(folder))]
    return Maker(
        compute=partial(denoise, root=root, tested=tested, steps=steps),
        version=VERSION,
        data=_digest([contents, tool_versions("scikit-image") if root == SAMPLE else {}]),
        settings={model: {"steps": steps} for model in MODELS},
        limit=len(material.train),
        source=material.text,
        about=ABOUT,
    )


def _training(model: str) -> dict[str, Any]:
    """Return all that a training is told, defaults of the network and of the task included: they may be changed, too."""
    from inspect import signature

    from vidfer.paper.classifier_cell import cell_recipe

    task = cell_recipe(model).task()
    accepted = signature(type(task.classifier)).parameters.values()
    defaults = {each.name: each.default for each in accepted if each.default is not each.empty}
    return {**task.hparams, "arguments": {**defaults, **(task.hparams["arguments"] or {})}}


def classify(model: str, size: int, seed: int, *, data: str, root: str | None, store: str) -> dict[str, Any]:
    """Compute a cell of classifiers by one thread; see `vidfer.paper.classifier_cell`."""
    from vidfer.inference.models import one_thread
    from vidfer.paper.classifier_cell import run_classifier_cell

    with one_thread():
        return run_classifier_cell(model, size, seed, data=data, root=root, store=store)


def denoise(
    model: str, size: int, seed: int, *, root: str, tested: tuple[str, ...] | None, steps: int
) -> dict[str, Any]:
    """Compute a cell of denoisers by one thread; see `vidfer.paper.denoiser_cell`."""
    from vidfer.inference.models import one_thread
    from vidfer.paper.denoiser_cell import run_denoiser_cell

    with one_thread():
        return run_denoiser_cell(model, size, seed, root=root, test_roots=tested, steps=steps)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder and its subfolders, each with its place; hidden ones hold copies of our own."""
    for path in folder.rglob("*"):
        place = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in place.parts):
            yield str(place), path


def _digest(parts: Iterable[Any]) -> str:
    from blake3 import blake3

    return blake3(dump_json(list(parts))).hexdigest()
