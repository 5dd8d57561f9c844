"""The steps of a pipeline with their keys: which are stored, why the others are not, and how long they may take."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vidfer.datasets.contents import data_contents
from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.stage import tool_versions
from vidfer.pipeline.store import MANIFEST, Artifact, Store
from vidfer.stages.fit import UNFINISHED, WEIGHTS, Settings, progress_of
from vidfer.training.config import FITS, KINDS, Configuration, Section
from vidfer.types import UsageError
from vidfer.weights.files import find_weights, weights_digest

LAST: Final = ("calibrate", "evaluate", "bundle")
"""The steps after the trainings: each has a version, bumped by hand when it would give another result."""

STEPS: Final = (*FITS, *LAST)
_VERSIONS: Final = {"calibrate": 1, "evaluate": 1, "bundle": 1}
_LONGEST = 40  # characters of a value in a reason


@dataclass(frozen=True)
class Step:
    """One step of a pipeline, as planned.

    Args:
        name: Of `STEPS`.
        recipe: What makes its key.
        artifact: The stored artifact; None of what is to be made, and of weights that are used as they are.
        section: Of a training, its section.
        settings: Of a training, its settings with the links that were not set.
        needs: Names of the steps whose artifacts it reads.
        given: Of what a training reads, the weights that its configuration names, by kind.
        nearest: The manifest of the most similar artifact of another key; empty where there is none.
    """

    name: str
    recipe: Mapping[str, Any]
    artifact: Artifact | None
    section: Section | None = None
    settings: Settings = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    nearest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key, 64 hexadecimal digits; of weights that are used as they are, their digest."""
        return recipe_key(self.recipe) if self.recipe else ""

    @property
    def due(self) -> bool:
        """Whether it has to be made."""
        return self.artifact is None and bool(self.recipe)

    @property
    def seconds(self) -> float | None:
        """How long it took, or the most similar one took; None where nothing is known."""
        manifest = self.artifact.manifest if self.artifact else self.nearest
        seconds = manifest.get("meta", {}).get("seconds")
        return None if seconds is None else float(seconds)


def plan_steps(configuration: Configuration, store: Store, until: str | None = None) -> list[Step]:
    """Make the keys of all steps up to one, with all that it needs, and find those that are stored.

    Raises:
        UsageError: The configuration lacks the step `until`, or names weights that are not there.
        VidferError: Data cannot be found or read.
    """
    steps: dict[str, Step] = {}
    sections = {section.name: section for section in configuration.sections}
    if until in FITS and until not in sections:
        raise UsageError(f"{configuration.name} trains no {until}: it has {', '.join(sections) or 'nothing'}")
    if until not in FITS and "finetune" not in sections:
        raise UsageError(
            f"{configuration.name} has no image network, which a bundle needs: add the section finetune, such as "
            "finetune: {use: compact}"
        )
    for name in [until] if until in FITS else list(sections):
        _plan_fit(str(name), sections, steps, store)
    if until not in FITS:
        for name in LAST:
            _plan_last(name, configuration, steps, store)
            if name == until:
                break
    return [steps[name] for name in STEPS if name in steps]


def _plan_fit(name: str, sections: Mapping[str, Section], steps: dict[str, Step], store: Store) -> None:
    """Add a training, after those that it needs."""
    section = sections[name]
    if name in steps:
        return
    if section.settings is None:
        find_weights(KINDS[name], str(section.use))  # that they are there
        steps[name] = Step(name, {}, None, section)
        return
    upstream = {KINDS[each]: each for each in ("denoise", "finetune") if each in sections}
    data = dict(section.settings["data"].get("init_args", {}))
    wanted = section.fit.needs(section.settings) if data.get("denoise") != "off" else {}
    keys: dict[str, str] = {}
    given: dict[str, str] = {}
    needs = []
    for argument, kind in section.fit.needs(section.settings).items():
        if argument not in wanted and kind == "denoise":
            continue
        if named := data.pop(argument, None):
            given[kind], keys[kind] = str(named), weights_digest(kind, str(named))
        elif kind not in upstream:
            if kind == "denoise":
                data["denoise"] = "off"
        else:
            _plan_fit(upstream[kind], sections, steps, store)
            before = steps[upstream[kind]]
            needs.append(before.name)
            keys[kind] = before.key or weights_digest(kind, str(before.section.use if before.section else ""))
    settings = {**section.settings, "data": {**section.settings["data"], "init_args": data}}
    recipe = section.fit.recipe(settings, keys, store)
    steps[name] = _found(name, recipe, store, section=section, settings=settings, needs=tuple(needs), given=given)


def _plan_last(name: str, configuration: Configuration, steps: dict[str, Step], store: Store) -> None:
    """Add a step after the trainings; it reads all of them, and the steps of `LAST` before it."""
    inputs = {}
    for step in steps.values():
        used = step.section.use if step.section and not step.recipe else None
        inputs[step.name] = step.key if used is None else weights_digest(KINDS[step.name], used)
    params: dict[str, Any] = {}
    if name != "calibrate":
        params["settings"] = dict(configuration.settings)
        params["test_clips"] = [
            data_contents(data["class_path"], data["init_args"], store.root) for data in configuration.test_clips
        ]
    if name == "bundle":
        params |= {"name": configuration.name, "description": configuration.description}
    recipe = {
        "stage": name,
        "version": _VERSIONS[name],
        "params": params,
        "inputs": inputs,
        "source": None,
        "tools": tool_versions("torch", "opensmile", "facenet-pytorch"),
    }
    steps[name] = _found(name, recipe, store, needs=tuple(steps))


def _found(name: str, recipe: Mapping[str, Any], store: Store, **more: Any) -> Step:  # noqa: ANN401 - fields of a step
    artifact = store.find(str(recipe["stage"]), recipe_key(recipe))
    nearest = {} if artifact else _nearest(recipe, store)
    return Step(name, recipe, artifact, nearest=nearest, **more)


def _nearest(recipe: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """Find the manifest of the stored artifact whose recipe differs in the fewest values; nothing where there is none."""
    best: tuple[int, dict[str, Any]] | None = None
    for folder in sorted(store.path(str(recipe["stage"]), "x" * 64).parent.parent.glob("??/*")):
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            count = len(_changes(manifest["recipe"], recipe))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # removed meanwhile, or damaged
            continue
        if best is None or count < best[0]:
            best = count, manifest
    return best[1] if best else {}


def reason(step: Step) -> str:
    """Say why a step has to be made: what changed since the most similar artifact."""
    if not step.nearest:
        return "not made before"
    changes = _changes(step.nearest["recipe"], step.recipe)
    parts = [_change(name, before, after) for name, (before, after) in changes.items()]
    return ", ".join(parts[:3]) + (f", and {len(parts) - 3} more" if len(parts) > 3 else "")


def _change(name: str, before: Any, after: Any) -> str:  # noqa: ANN401 - any JSON
    group, _, rest = name.partition(".")
    if group == "source":
        return "the data"
    if group == "inputs":
        return f"{rest} (weights)" if before and after else f"{rest} {'added' if after else 'left out'}"
    if group == "tools":
        return f"{rest} {before} -> {after}"
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


def share_trained(step: Step, store: Store) -> float:
    """Return the share of an unfinished training that is done, in [0, 1]."""
    return progress_of(store.root / UNFINISHED / step.key)["share"] if step.section and step.recipe else 0.0


def weights_of(step: Step) -> Path:
    """Return the weights file of a finished training, or of weights that are used as they are."""
    if step.artifact is not None:
        return step.artifact.path / WEIGHTS
    return find_weights(KINDS[step.name], str(step.section.use if step.section else "")).path
