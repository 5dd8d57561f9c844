"""What a data module would train on, by content: without making the module, and without torch."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

from vidfer.datasets.div2k import find_div2k, is_div2k
from vidfer.datasets.fer2013 import IMAGE_SUFFIXES, TEST_SPLITS, image_files
from vidfer.datasets.photos import photo_files
from vidfer.datasets.selection import Selection, Splits
from vidfer.datasets.soft_labels import TEACHER, WILD
from vidfer.pipeline.digest import digest_files
from vidfer.pipeline.stage import tool_versions
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import weights_digest

Place = str | Path | None
"""Folder of the store that remembers digests; None for the default one."""


def data_contents(class_path: str, init_args: Mapping[str, Any], store: Place = None) -> list[Any]:
    """Describe the data of a data module by content, as JSON: digests of files, labels, persons and splits.

    It says nothing of where data lie, of settings, or of weights: equal contents, settings and input weights are the same
    training. Samples are generated first. A data module that is not of vidfer is imported, made, and asked for its
    `content_digest`.

    Args:
        class_path: Dotted path of the data module's class.
        init_args: Its arguments; those left out have their defaults.
        store: Where digests of files of 64 KiB and more are remembered.

    Raises:
        VidferError: Data are missing, cannot be read, or cannot be divided as asked.
    """
    if read := CONTENTS.get(class_path):
        settings = dict(init_args)
        _require_types({**get_type_hints(Selection), **get_type_hints(read)}, settings)
        kept_in = settings.pop("store", None)
        return read(store or kept_in, **settings)
    module, _, name = class_path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise VidferError(f"there is no data module {class_path}: {error}") from error
    if not hasattr(kind, "content_digest"):
        raise VidferError(f"{class_path} is no data module: it has no content_digest")
    try:
        made = kind(**init_args)
    except (TypeError, ValueError) as error:
        raise VidferError(f"the data module {class_path} does not take these arguments: {error}") from error
    return [made.content_digest()]


def _require_types(hints: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments of another type than is declared, where YAML read a list or nothing, say, for a text."""
    for name, value in given.items():
        kinds = get_args(hints.get(name)) or (hints.get(name, Any),)
        known = [kind for kind in kinds if kind in _TYPES]
        accepted = (*known, int) if float in known else tuple(known)
        if known and (not isinstance(value, accepted) or (isinstance(value, bool) and bool not in known)):
            text = " or ".join(_TYPES[kind] for kind in known)
            raise UsageError(f"the data's {name} has to be {text}, not {'null' if value is None else repr(value)}")


def input_weights(class_path: str, init_args: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the weights that one of vidfer's data modules computes features by, by argument.

    Raises:
        VidferError: There are no such weights.
    """
    chosen = dict(WEIGHTS.get(class_path, {})) | {name: init_args[name] for name in KINDS if name in init_args}
    if init_args.get("denoise") == "off":
        chosen.pop("denoise_model", None)
    return {name: weights_digest(KINDS[name], model) for name, model in chosen.items() if model is not None}


def clip_contents(splits: Splits, store: Place = None) -> list[Any]:
    """Return split, name, person, class and digest of each clip."""
    clips = [(split, clip) for split, clips in splits.items() for clip in clips]
    digests = [digest_files([clip.path], clip.path, store)[0][1] for _, clip in clips]
    return [
        [split, clip.name, clip.person, clip.target, digest]
        for (split, clip), digest in zip(clips, digests, strict=True)
    ]


def image_contents(
    store: Place = None,
    *,
    root: str | Path = "data/fer2013",
    train_split: str = "train",
    test_split: str = "public_test",
    teacher: str | None = None,
    **_settings: Any,  # noqa: ANN401 - whatever else the data module takes
) -> list[Any]:
    """Return the files of FER2013's splits, with `TEST_SPLITS`, which training keeps clear of, and of a teacher's logits."""
    splits = dict.fromkeys((train_split, *TEST_SPLITS, test_split))
    found = [digest_files(image_files(Path(root), splits), Path(root), store)]
    return found if teacher is None else [*found, digest_files([Path(teacher)], Path(teacher), store)]


def soft_contents(
    store: Place = None,
    *,
    root: str | Path = "data/fer2013",
    wild_root: str | Path | None = "data/faces_wild",
    test_split: str = "public_test",
    **_settings: Any,  # noqa: ANN401
) -> list[Any]:
    """Return the files of FER2013 with FER+ votes and teachers' distributions, and the photographs with theirs."""
    folder = Path(root)
    found = [
        *image_contents(store, root=root, test_split=test_split),
        digest_files([folder / TEACHER], folder, store),
    ]
    if wild_root is not None:
        photographs = Path(wild_root)
        files = sorted(path for path in photographs.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        found.append(digest_files([photographs / WILD, *files], photographs, store))
    return found


def photo_contents(
    store: Place = None,
    *,
    root: str = "sample",
    test_root: str | None = None,
    **_settings: Any,  # noqa: ANN401
) -> list[Any]:
    """Return the files of folders of photographs, or of DIV2K; of scikit-image's photographs its version."""
    found: list[Any] = []
    for place in filter(None, (root, test_root)):
        if place == "sample":
            found.append(tool_versions("scikit-image"))
            continue
        folder = Path(place)
        train, valid, _ = find_div2k(folder) if is_div2k(folder) else (photo_files(folder), [], None)
        found.append(digest_files([*train, *valid], folder, store))
    return found


def _sample_images(store: Place, *, root: str = "data/fer2013", **settings: Any) -> list[Any]:  # noqa: ANN401
    from vidfer.datasets.synthetic import write_faces

    return image_contents(store, root=write_faces(Path(root)), **settings)


def _clips(store: Place, **settings: Any) -> list[Any]:  # noqa: ANN401
    known = {each.name for each in fields(Selection)}
    chosen = {name: value for name, value in settings.items() if name in known}
    return clip_contents(Selection(**chosen).splits(), store)


def _clip_faces(
    store: Place,
    *,
    data: str = "manifest",
    clips_root: str | None = None,
    root: str | None = None,
    **settings: Any,  # noqa: ANN401
) -> list[Any]:
    clips = _clips(store, data=data, root=clips_root, **settings)
    return clips if root is None else [*clips, *image_contents(store, root=root, **settings)]


def _sample_sounds(store: Place, *, root: str | None = None, **settings: Any) -> list[Any]:  # noqa: ANN401
    from vidfer.datasets.synthetic import write_sounds

    return _clips(store, root=str(write_sounds(Path(root or SAMPLE_SOUNDS))), **settings)


def _paired(
    store: Place,
    *,
    root: str | None = None,
    faces_root: str = "data/fer2013",
    train_people: str = "2-16",
    test_people: str = "17-20",
    test_split: str = "public_test",
    val_share: float = 0.05,  # of the faces, not of the speakers
    **settings: Any,  # noqa: ANN401
) -> list[Any]:
    people = {"train_people": train_people, "test_people": test_people}
    clips = _clips(store, **settings, **people, data="ravdess", root=root or PAIRED_SOUNDS)
    return [*clips, *image_contents(store, root=faces_root, test_split=test_split)]


def _sample_paired(
    store: Place,
    *,
    root: str = "runs/sample",
    train_people: str = "1-4",
    test_people: str = "5-6",
    **settings: Any,  # noqa: ANN401
) -> list[Any]:
    from vidfer.datasets.synthetic import write_faces, write_sounds

    places: dict[str, Any] = {
        "root": str(write_sounds(Path(root) / "sounds")),
        "faces_root": str(write_faces(Path(root) / "faces")),
    }
    return _paired(store, **settings, **places, train_people=train_people, test_people=test_people)


_TYPES: Final[dict[Any, str]] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    NoneType: "null",
}

PAIRED_SOUNDS: Final = "data/ravdess_speech"
"""Where the recordings of paired clips lie unless told otherwise."""

SAMPLE_SOUNDS: Final = "runs/sample/sounds"
"""Where voices are synthesised unless told otherwise."""

CONTENTS: Final[Mapping[str, Callable[..., list[Any]]]] = {
    "vidfer.datamodules.denoise.DenoiseDataModule": photo_contents,
    "vidfer.datamodules.fer2013.Fer2013DataModule": image_contents,
    "vidfer.datamodules.fer2013.SampleFacesDataModule": _sample_images,
    "vidfer.datamodules.faces.ClipFacesDataModule": _clip_faces,
    "vidfer.datamodules.soft_faces.SoftFacesDataModule": soft_contents,
    "vidfer.datamodules.clips.ClipDataModule": _clips,
    "vidfer.datamodules.clips.SampleSoundsDataModule": _sample_sounds,
    "vidfer.datamodules.paired.PairedDataModule": _paired,
    "vidfer.datamodules.paired.SamplePairedDataModule": _sample_paired,
}
"""What describes the data of vidfer's own data modules, by their class paths: from the store and the module's arguments."""

KINDS: Final = {"image_model": "image", "denoise_model": "denoise"}
"""Arguments of data modules that name weights by name or file, and the kind of these."""

_OF_CLIPS: Final = {"image_model": "compact", "denoise_model": "small"}
_OF_PAIRED: Final = {"image_model": "compact"}

WEIGHTS: Final[Mapping[str, Mapping[str, str | None]]] = {
    "vidfer.datamodules.faces.ClipFacesDataModule": {"denoise_model": "small"},
    "vidfer.datamodules.clips.ClipDataModule": _OF_CLIPS,
    "vidfer.datamodules.clips.SampleSoundsDataModule": _OF_CLIPS,
    "vidfer.datamodules.paired.PairedDataModule": _OF_PAIRED,
    "vidfer.datamodules.paired.SamplePairedDataModule": _OF_PAIRED,
}
"""The weights that data modules take unless told otherwise, by their class paths."""
