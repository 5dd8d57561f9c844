"""Bring a pipeline up to date: make what is missing, step by step, and write the bundle that it ends in."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import yaml

from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome
from vidfer.pipeline.store import Artifact, Draft, Store
from vidfer.stages.fit import Settings, data_digest
from vidfer.training.config import KINDS, Configuration
from vidfer.training.steps import Step, weights_of
from vidfer.training.watch import show_evaluation, show_stored, trial_of, watch_options
from vidfer.types import StoppedError, VidferError
from vidfer.weights.bundles import FORMAT, MANIFEST
from vidfer.weights.files import find_weights, trained_weights


class StepProgress(Protocol):
    """What is told how far a step is."""

    def __call__(self, share: float, doing: str = "") -> None:
        """Take the share, in [0, 1], of what the step is doing."""


class Progress(Protocol):
    """What is told how far a pipeline is."""

    def __call__(self, name: str, share: float, doing: str = "") -> None:
        """Take a step's name, and the share, in [0, 1], of what it is doing."""


def run_steps(
    configuration: Configuration,
    steps: list[Step],
    store: Store,
    jobs: int,
    progress: Progress,
    warn: Callable[[str], None] = lambda _line: None,
) -> Iterator[Step]:
    """Make what is missing, in order, and yield every step once it is finished; `warn` takes each warning about data once.

    Raises:
        VidferError: A step failed; what was finished before is stored.
    """
    own: dict[str, Step] = {}
    of_folds: dict[int, dict[str, Step]] = {}
    trial = trial_of(steps)
    warned: set[str] = set()

    def notify(line: str) -> None:
        if line.startswith("WARNING") and line not in warned:  # several trainings read the same clips
            warned.add(line)
            warn(line)

    for step in steps:
        pipeline, done = configuration, own
        if step.fold is not None:
            pipeline = configuration.folds[step.fold]
            trained = {name: each for name, each in own.items() if each.section is not None}
            done = of_folds.setdefault(step.fold, trained)  # what does not depend on people is shared
        inputs = _input_files(step, done) if step.section else {}
        watched = watch_options(configuration, step, inputs, trial)
        if step.due:
            progress(step.label, 0.0)
            with _default_store(store):
                if step.section is not None:
                    _read_features(step, done, jobs, partial(progress, step.label), notify)
                artifact = _make(pipeline, step, done, store, partial(progress, step.label), watched)
            step = replace(step, artifact=artifact)
            if watched and step.name == "evaluate":
                show_evaluation(step, watched)
        elif watched and step.label == trial:
            show_stored(step, watched)
        done[step.name] = step
        if step.fold is not None and step.name == "evaluate":
            own[step.label] = step
        yield step


def _make(
    configuration: Configuration,
    step: Step,
    done: Mapping[str, Step],
    store: Store,
    progress: StepProgress,
    watched: Mapping[str, Any] | None,
) -> Artifact:
    if step.section is not None:
        inputs, report = _input_files(step, done), partial(progress, doing="training")
        try:
            return step.section.fit.run(step.recipe, step.settings, inputs, store, report, watched)
        except VidferError as error:
            kind = StoppedError if isinstance(error, StoppedError) else VidferError
            raise kind(f"{step.label}: {error}") from error
    make = {"calibrate": _calibrate, "evaluate": _evaluate, "bundle": _bundle}[step.name]

    def timed(draft: Draft) -> Outcome:
        start = time.monotonic()
        make(configuration, done, draft)
        for name, each in done.items():
            if each.recipe and each.section and data_digest(each.settings, store) != each.recipe["source"]:
                raise VidferError(f"the data of {name} were changed while they were read: run the same command again")
        return Outcome(meta={"seconds": round(time.monotonic() - start, 1)})

    return cached(store, step.recipe, timed)


def _read_features(
    step: Step, done: Mapping[str, Step], jobs: int, progress: StepProgress, notify: Callable[[str], None]
) -> None:
    """Compute the features of clips that a training reads, clip by clip; what is stored is not computed again."""
    from vidfer.datamodules.prefetch import prefetch
    from vidfer.evaluation.held_out import build_module
    from vidfer.models.classifiers import build_classifier

    given = step.settings["model"].get("init_args", {})
    classifies = step.section is not None and step.section.fit.stage == "classify"
    reads = list(build_classifier(given.get("classifier", "mlp"), given.get("arguments")).reads) if classifies else None
    module: Any = build_module(_linked_data(step, done), **({"reads": reads} if reads else {}))
    module.notify = notify
    if hasattr(module, "feature_jobs"):
        total = len(module.feature_jobs())
        prefetch(module, jobs, lambda at, _stage, share: progress(min(1.0, (at + share) / total), "reading clips"))


def _input_files(step: Step, done: Mapping[str, Step]) -> dict[str, Path]:
    """Return the weights files that a training reads its data with, by kind."""
    named = {kind: find_weights(kind, name).path for kind, name in step.given.items()}
    return named | {KINDS[name]: weights_of(done[name]) for name in step.needs}


def _data(done: Mapping[str, Step]) -> dict[str, dict[str, Any]]:
    """Return the data of each training, see `_linked_data`, by step."""
    return {name: _linked_data(step, done) for name, step in done.items() if step.section is not None and step.recipe}


def _linked_data(step: Step, done: Mapping[str, Step]) -> dict[str, Any]:
    """Return a training's data with the weights that they are read with, as LightningCLI's `data`."""
    files, data = _input_files(step, done), step.settings["data"]
    needs = step.section.fit.needs(step.settings) if step.section else {}
    links = {argument: str(files[kind]) for argument, kind in needs.items() if kind in files}
    return {"class_path": data["class_path"], "init_args": {**data.get("init_args", {}), **links}}


def _kinds(done: Mapping[str, Step]) -> dict[str, str]:
    """Return the step that made the weights of each kind.

    Raises:
        VidferError: Two sections trained the same kind.
    """
    found: dict[str, str] = {}
    for step in done.values():
        if step.section is None:
            continue
        kind = KINDS[step.name]
        if step.recipe:
            kind = str(trained_weights(weights_of(step)).card["kind"])
        if kind in found:
            raise VidferError(f"{found[kind]} and {step.name} both train weights of kind '{kind}': a bundle has one")
        found[kind] = step.name
    return found


def _calibrate(configuration: Configuration, done: Mapping[str, Step], draft: Draft) -> None:
    """Fit temperatures on people, or images, held out."""
    from vidfer.evaluation.calibration import calibrate

    data = _data(done)
    entries: dict[str, Any] = {}
    for kind, name in _kinds(done).items():
        if kind != "denoise" and name in data:
            entries[kind] = calibrate(kind, weights_of(done[name]), data[name])
    draft.write_json("calibration.json", entries)


def _evaluate(configuration: Configuration, done: Mapping[str, Step], draft: Draft) -> None:
    """Measure the bundle on people never seen."""
    from vidfer.evaluation.bundle import evaluate_bundle

    with TemporaryDirectory(prefix="vidfer-") as folder:
        for name, content in _assemble(configuration, done).items():
            write_atomic(Path(folder) / name, content)
        by_kind = {kind: _data(done)[name] for kind, name in _kinds(done).items() if name in _data(done)}
        folds = [
            each.artifact.json("evaluation.json") for each in done.values() if each.name == "evaluate" and each.artifact
        ]
        for name, content in evaluate_bundle(Path(folder), by_kind, configuration.test_clips, folds).items():
            draft.write(name, content)


def _bundle(configuration: Configuration, done: Mapping[str, Step], draft: Draft) -> None:
    for name, content in _assemble(configuration, done).items():
        draft.write(name, content)
    evaluation = done["evaluate"].artifact
    assert evaluation is not None  # it was made before
    for name in evaluation.names():
        draft.write(name, (evaluation.path / name).read_bytes())


def _assemble(configuration: Configuration, done: Mapping[str, Step]) -> dict[str, bytes]:
    """Collect the files of a bundle but its evaluation: weights, cards with their calibration, configuration, manifest."""
    files: dict[str, bytes] = {}
    calibration = done["calibrate"].artifact
    entries = calibration.json("calibration.json") if calibration else {}
    models = {}
    for kind, name in _kinds(done).items():
        weights = find_weights(kind, weights_of(done[name]))
        card = {**weights.card, **entries.get(kind, {})}
        models[kind] = f"{kind}.safetensors"
        files[models[kind]] = weights.read()
        if weights.has_graph:
            files[f"{kind}.onnx"] = weights.graph()
        files[f"{kind}.json"] = (json.dumps(card, indent=2) + "\n").encode()
    settings = {step.name: _shown(step) for step in done.values() if step.section is not None}
    files["configuration.yaml"] = yaml.safe_dump(settings, sort_keys=False).encode()
    manifest = {
        "format": FORMAT,
        "name": configuration.name,
        "description": configuration.description,
        "models": models,
        "settings": dict(configuration.settings),
        "made": {name: step.key for name, step in done.items() if step.recipe},
    }
    files[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def _shown(step: Step) -> Settings:
    """Return what decided a training, without paths: what entered its key."""
    if step.section is not None and not step.recipe:
        return {"use": step.section.use}
    return dict(step.recipe["params"])


def write_bundle(artifact: Artifact, folder: Path) -> None:
    """Copy a bundle out of the store, unless it is there; other files there stay.

    Until all of its files are there, its manifest says that it is unfinished, so that nobody predicts by a mixture of two bundles
    where this is interrupted.

    Raises:
        VidferError: The folder cannot be written, or holds files of something else.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise VidferError(f"{folder} holds files that are no bundle's: give another folder by --out")
    files = {name: (artifact.path / name).read_bytes() for name in artifact.names()}
    with results_folder(folder):
        if all((folder / name).is_file() and (folder / name).read_bytes() == files[name] for name in files):
            return
        write_atomic(folder / MANIFEST, json.dumps({"format": "unfinished"}))
        for name in sorted(files, key=lambda each: (each == MANIFEST, each)):
            write_atomic(folder / name, files[name])


@contextmanager
def _default_store(store: Store) -> Iterator[None]:
    """Let what runs in this process and asks for the default store use this one."""
    before = os.environ.get("VIDFER_STORE")
    os.environ["VIDFER_STORE"] = store.place
    try:
        yield
    finally:
        if before is None:
            del os.environ["VIDFER_STORE"]
        else:
            os.environ["VIDFER_STORE"] = before
