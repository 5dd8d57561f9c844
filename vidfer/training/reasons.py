"""Why a step has to be made: what its recipe has that the most similar stored one has not."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from vidfer.pipeline.store import MANIFEST, Store

_LONGEST: Final = 40  # characters of a value in a reason
_MOST: Final = (
    8  # values that differ between two forms of one step; with more it is another one, and takes another time
)


def find_nearest(recipe: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """Find the manifest of the stored artifact whose recipe differs in the fewest values; nothing where none is similar."""
    best: tuple[int, dict[str, Any]] | None = None
    for folder in sorted(store.path(str(recipe["stage"]), "x" * 64).parent.parent.glob("??/*")):
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            count = len(_changes(manifest["recipe"], recipe))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # removed meanwhile, or damaged
            continue
        if count <= (_MOST if best is None else best[0] - 1):
            best = count, manifest
    return best[1] if best else {}


def reason(recipe: Mapping[str, Any], nearest: Mapping[str, Any]) -> str:
    """Say what changed since the most similar artifact, whose manifest is `nearest`; empty where there is none."""
    if not nearest:
        return "not made before"
    changes = _changes(nearest["recipe"], recipe)
    parts = [_change(name, before, after) for name, (before, after) in changes.items()]
    return ", ".join(parts[:3]) + (f", and {len(parts) - 3} more" if len(parts) > 3 else "")


def _change(name: str, before: Any, after: Any) -> str:  # noqa: ANN401 - any JSON
    group, _, rest = name.partition(".")
    if group == "source":
        return "the data"
    if group == "inputs":
        return rest if before and after else f"{rest} {'added' if after else 'left out'}"
    if group == "tools":
        return f"{rest} {_short(before)} -> {_short(after)}"
    shown = (rest or name).replace(".init_args", "")
    return f"{shown} {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = "unset" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """List the values in which two recipes differ, by their dotted names."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    names = dict.fromkeys([*new, *old])
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}".lstrip("."))
    else:
        yield name, value
