"""The steps of a pipeline with their keys: which are stored, why the others are not, and how long they may take."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from vidfer.datasets.contents import data_contents
from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.stage import tool_versions
from vidfer.pipeline.store import Artifact, Store
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.fit import UNFINISHED, WEIGHTS, Settings, decisive_data, progress_of, stage_versions
from vidfer.training.config import FITS, KINDS, Configuration, Section
from vidfer.training.reasons import find_nearest
from vidfer.types import UsageError
from vidfer.weights.files import find_weights, weights_digest

LAST: Final = ("calibrate", "evaluate", "bundle")
"""The steps after the trainings: each has a version, bumped by hand when it would give another result."""

STEPS: Final = (*FITS, *LAST)
_VERSIONS: Final = {"calibrate": 1, "evaluate": 1, "bundle": 1}


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
        fold: Number of the fold that it is of, from 0; None for what ends in the bundle.
    """

    name: str
    recipe: Mapping[str, Any]
    artifact: Artifact | None
    section: Section | None = None
    settings: Settings = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    nearest: Mapping[str, Any] = field(default_factory=dict)
    fold: int | None = None

    @property
    def label(self) -> str:
        """The name that people read: with the number of the fold, from 1."""
        return self.name if self.fold is None else f"{self.name} {self.fold + 1}"

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
    folds: list[dict[str, Step]] = []
    if until not in (*FITS, "calibrate"):
        folds = [_plan(each, store, "evaluate", {}) for each in configuration.folds]
    own = _plan(configuration, store, until, {f"fold {n}": steps["evaluate"] for n, steps in enumerate(folds, start=1)})
    known = {step.key for step in own.values()}
    of_folds = [
        replace(step, fold=number)
        for number, steps in enumerate(folds)
        for step in steps.values()
        if step.recipe and step.key not in known
    ]
    ends = [step for step in own.values() if step.name in LAST[1:]]
    return [*(step for step in own.values() if step.name not in LAST[1:]), *of_folds, *ends]


def _plan(configuration: Configuration, store: Store, until: str | None, folds: Mapping[str, Step]) -> dict[str, Step]:
    """Plan a pipeline by itself; its evaluation reads those of the folds."""
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
            _plan_last(name, configuration, steps, store, folds if name == "evaluate" else {})
            if name == until:
                break
    return {name: steps[name] for name in STEPS if name in steps}


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
            if kind == "image":
                raise UsageError(
                    f"{name} reads embeddings of faces, and {', '.join(sections)} has no image network: add the section "
                    "finetune, such as finetune: {use: compact}"
                )
            data["denoise"] = "off"
        else:
            _plan_fit(upstream[kind], sections, steps, store)
            before = steps[upstream[kind]]
            needs.append(before.name)
            keys[kind] = before.key or weights_digest(kind, str(before.section.use if before.section else ""))
    settings = {**section.settings, "data": {**section.settings["data"], "init_args": data}}
    recipe = section.fit.recipe(settings, keys, store)
    steps[name] = _found(name, recipe, store, section=section, settings=settings, needs=tuple(needs), given=given)


def _plan_last(
    name: str, configuration: Configuration, steps: dict[str, Step], store: Store, folds: Mapping[str, Step]
) -> None:
    """Add a step after the trainings; it reads all of them, the steps of `LAST` before it, and the folds' evaluations."""
    inputs = {fold: step.key for fold, step in folds.items()}
    for step in steps.values():
        inputs[step.name] = step.key or _with_card(KINDS[step.name], step)
    params: dict[str, Any] = {}
    if name != "calibrate":
        params["settings"] = dict(configuration.settings)
        params["test_clips"] = [
            [decisive_data(data), data_contents(data["class_path"], data["init_args"], store.root)]
            for data in configuration.test_clips
        ]
    if name == "bundle":
        params |= {"name": configuration.name, "description": configuration.description}
    recipe = {
        "stage": name,
        "version": _VERSIONS[name],
        "params": params,
        "inputs": inputs,
        "source": None,
        "tools": tool_versions("torch") | stage_versions(*build_chain(ChainOptions())),
    }
    steps[name] = _found(name, recipe, store, needs=tuple(steps))


def _with_card(kind: str, step: Step) -> str:
    """Digest weights that are used as they are with all of their card, which goes into the bundle and says how they predict."""
    weights = find_weights(kind, weights_of(step))
    return recipe_key({"weights": weights_digest(kind, weights.path), "card": weights.card})


def _found(name: str, recipe: Mapping[str, Any], store: Store, **more: Any) -> Step:  # noqa: ANN401 - fields of a step
    artifact = store.find(str(recipe["stage"]), recipe_key(recipe))
    nearest = {} if artifact else find_nearest(recipe, store)
    return Step(name, recipe, artifact, nearest=nearest, **more)


def share_trained(step: Step, store: Store) -> float:
    """Return the share of an unfinished training that is done, in [0, 1]."""
    return progress_of(store.root / UNFINISHED / step.key)["share"] if step.section and step.recipe else 0.0


def weights_of(step: Step) -> Path:
    """Return the weights file of a finished training, or of weights that are used as they are."""
    if step.artifact is not None:
        return step.artifact.path / WEIGHTS
    return find_weights(KINDS[step.name], str(step.section.use if step.section else "")).path
