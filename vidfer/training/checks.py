"""What a pipeline's file may not say: found before anything is trained, each fault as one sentence."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from vidfer.stages.choice import Settings as Rules
from vidfer.types import UsageError
from vidfer.weights.bundles import SHIPPED_BUNDLE, read_bundle

_WANDB = ("project", "entity", "tags", "notes", "save_dir", "weights", "plots", "faces")


def refuse_unknown(path: Path, where: str, given: Any, known: Sequence[str]) -> None:  # noqa: ANN401 - names
    """Refuse names that are none of the known ones."""
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"{path} has an unknown entry {where}{name}: {hint}")


def require_entries(path: Path, where: str, given: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any YAML
    """Return entries by name; none where there is nothing."""
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"{path}: {where} has to hold entries by name, not {given!r}")
    return given or {}


def require_name(path: Path, given: Any) -> str:  # noqa: ANN401 - any YAML
    """Return a pipeline's name, after which the bundle's folder is called."""
    name = path.stem if given is None else str(given) if isinstance(given, str | int) else ""
    if Path(name).name != name or name in ("", ".."):
        raise UsageError(f"{path}: name has to be a folder's name without a slash, not {given!r}")
    return name


def read_rules(path: Path, given: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    """Check a pipeline's `settings`, of which YAML reads an unquoted `on` or `off` as true or false."""
    found = {name: on_or_off(value) for name, value in require_entries(path, "settings", given).items()}
    shipped = read_bundle(SHIPPED_BUNDLE).settings
    refuse_unknown(path, "settings.", found, tuple(shipped))
    try:
        Rules(**{**shipped, **{name: value for name, value in found.items() if value is not None}})
    except UsageError as error:
        raise UsageError(f"{path} has settings that cannot be: {error}") from error
    return found


def read_wandb(path: Path, given: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - any YAML
    """Check what a pipeline says of Weights & Biases."""
    if given is None or given is False:
        return None
    if not isinstance(given, Mapping):
        raise UsageError(f"{path}: wandb has to be a section with some of {', '.join(_WANDB)}, or null")
    refuse_unknown(path, "wandb.", given, _WANDB)
    return given


def on_or_off(value: Any) -> Any:  # noqa: ANN401 - any YAML
    """Return `on` and `off`, which YAML reads as true and false, as they were written."""
    return ("on" if value else "off") if isinstance(value, bool) else value


def require_layer(path: Path, name: str, layer: Mapping[str, Any]) -> None:
    """Refuse settings of a training, not laid over others yet, that are not as LightningCLI has them."""
    for group in ("model", "data", "trainer"):
        part = require_entries(path, f"{name}.{group}", layer.get(group))
        inner = require_entries(path, f"{name}.{group}.init_args", part.get("init_args"))
        if "class_path" in part and not isinstance(part["class_path"], str):
            raise UsageError(f"{path}: {name}.{group}.class_path has to name a class, not {part['class_path']!r}")
        if group == "model":
            require_entries(path, f"{name}.model.arguments", part.get("arguments", inner.get("arguments")))


def require_settings(path: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Refuse whole settings of a training by which it could not begin, or could not be repeated."""
    seed = settings["seed_everything"]
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise UsageError(f"{path}: {name}.seed_everything has to be a whole number from 0 to 2^32 - 1, not {seed!r}")
    callbacks = settings.get("trainer", {}).get("callbacks") or []
    if not isinstance(callbacks, list) or not all(
        isinstance(each, Mapping)
        and isinstance(each.get("class_path"), str)
        and isinstance(each.get("init_args") or {}, Mapping)
        for each in callbacks
    ):
        raise UsageError(f"{path}: {name}.trainer.callbacks has to be a list of {{class_path: ..., init_args: ...}}")
    _require_finite(path, name, settings)


def _require_finite(path: Path, where: str, value: Any) -> None:  # noqa: ANN401 - any YAML
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{path}: {where.replace('.init_args', '')} has to be a finite number, not {value}")
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        _require_finite(path, f"{where}.{name}", each)
