"""Bundles: the weights of a whole chain, and how it predicts by them, in one folder. Nothing here imports torch at once.

Beside the weights files and their cards, `bundle.json` holds

    {"format": 1, "name": "mine", "description": "...", "models": {"image": "image.safetensors", ...},
     "settings": {"voice": "off", ...}, "made": {...}}

Any kind of model and any setting may be missing. `made` says how the bundle came to be, in any form. The weights that ship with
vidfer are a bundle, too, and its settings are those of any bundle that does not set them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from vidfer.pipeline.bounded import read_json
from vidfer.types import VidferError
from vidfer.weights.files import find_weights

FORMAT: Final = 1
MANIFEST: Final = "bundle.json"

KINDS: Final = ("denoise", "image", "audio", "faces", "fusion")
"""The kinds of weights in a bundle: for noise, a face image, sound, all faces of a person, faces and sound together."""

SHIPPED_BUNDLE: Final = Path(__file__).parent
"""The folder of the bundle that ships with vidfer."""

_PARTS: Final = {"name": str, "description": str, "models": dict, "settings": dict, "made": dict}


@dataclass(frozen=True)
class Bundle:
    """A bundle, which was checked.

    Args:
        folder: Where it lies.
        name: What it calls itself.
        description: One sentence on it.
        models: Weights files by kind, those of `KINDS` that it has.
        settings: Values of `ChainOptions` by name, those of the shipped bundle where this one has none.
        made: What its maker says of how it was made.
    """

    folder: Path
    name: str
    description: str
    models: Mapping[str, Path]
    settings: Mapping[str, Any]
    made: Mapping[str, Any]

    @cached_property
    def names(self) -> dict[str, str]:
        """The models by kind as `find_weights` takes them: shipped ones by name, others by file."""
        shipped = self.folder == SHIPPED_BUNDLE
        return {kind: path.stem if shipped else str(path) for kind, path in self.models.items()}


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle's `bundle.json` and its models' cards.

    Raises:
        VidferError: There is no bundle, or it is of another format, names something unknown, or lacks a file that it names.
    """
    content = _read(folder)
    known = content if folder == SHIPPED_BUNDLE else _read(SHIPPED_BUNDLE)
    for part, names in (("models", KINDS), ("settings", tuple(known["settings"]))):
        if unknown := sorted(set(content[part]) - set(names)):
            raise VidferError(
                f"the bundle {folder} has {part} that this vidfer does not know ({', '.join(unknown)}): it knows "
                f"{', '.join(names)}; a newer vidfer may have made it"
            )
    models = {kind: _find(folder, kind, name) for kind, name in content["models"].items()}
    own = {name: value for name, value in content["settings"].items() if value is not None}
    return Bundle(
        folder, content["name"], content["description"], models, {**known["settings"], **own}, content["made"]
    )


def _read(folder: Path) -> dict[str, Any]:
    place = folder / MANIFEST
    try:
        content = read_json(place)
    except (FileNotFoundError, NotADirectoryError):
        raise VidferError(f"{folder} is no bundle, since it has no {MANIFEST}: name a folder that has one") from None
    except OSError as error:
        raise VidferError(f"{place} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise VidferError(f"{place} is no JSON, so the bundle has to be made again: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise VidferError(f"{place} is of format {found!r}, not {FORMAT}: make the bundle again by this vidfer")
    for part, kind in _PARTS.items():
        if not isinstance(content.setdefault(part, kind()), kind):
            raise VidferError(f"{place} has {content[part]!r} for {part}: make the bundle again")
    return content


def _find(folder: Path, kind: str, name: Any) -> Path:  # noqa: ANN401 - whatever JSON holds
    """Return a model's file, which lies in the bundle itself, so that the folder can be moved and is complete."""
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
        raise VidferError(f"the bundle {folder} has {name!r} for its {kind} model, not the name of a file beside it")
    path = folder / name
    if not path.is_file():
        raise VidferError(f"the bundle {folder} lacks the file {name} of its {kind} model: copy the whole folder again")
    return find_weights(kind, path).path
