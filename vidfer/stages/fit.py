"""A training as a cached step: what enters its key, and how it runs, in a process of its own that can be resumed.

Nothing here imports torch or Lightning: keys are made, and finished trainings found, without them.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from vidfer.datasets.contents import data_contents
from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.digest import file_digest, recipe_key
from vidfer.pipeline.lock import locked
from vidfer.pipeline.rights import make_folder
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome, Progress, Stage, tool_versions
from vidfer.pipeline.store import Artifact, Draft, Store, explained
from vidfer.pipeline.system import STOP_SIGNAL, inherited
from vidfer.types import StoppedError, VidferError
from vidfer.weights.files import weights_digest

Settings = Mapping[str, Any]
"""A configuration as LightningCLI reads it: `seed_everything`, `model` and `data` (`class_path`, `init_args`), `trainer`."""

WEIGHTS: Final = "weights.safetensors"
UNFINISHED: Final = "fits"
"""Folder of the store with the checkpoints of trainings that are not finished, by key."""

_KEPT = (WEIGHTS, "weights.onnx", "weights.json", "metrics.csv", "curves.png")
_NEUTRAL_TRAINER = frozenset(
    {"accelerator", "logger", "default_root_dir", "log_every_n_steps", "enable_progress_bar", "enable_model_summary"}
)
_NEUTRAL_CALLBACKS = frozenset(
    {
        *(f"vidfer.tasks.callbacks.{name}" for name in ("IntervalCheckpoint", "SampleImages", "DenoisedImages")),
        "vidfer.tasks.checkpoints.NewestCheckpoint",
        *(f"lightning.pytorch.callbacks.{name}" for name in ("RichProgressBar", "TQDMProgressBar")),
    }
)
_NEUTRAL = frozenset({"num_workers", "store", "data"})  # of data modules, and what ends with "root"
_PACKAGES = ("torch", "torchvision", "lightning", "numpy", "opencv-python-headless", "pillow")  # of every training
_TOO_LITTLE = 1 << 16  # bytes of a disk
_LOOK = 0.2  # seconds between two looks at a training


@dataclass(frozen=True)
class Fit:
    """The training side of a stage.

    Args:
        stage: Name of the stage, whose command line trains: `vidfer train STAGE fit`.
        version: Bumped by hand when the same configuration would give other weights.
        task: Dotted path of the Lightning module, and of any it may be replaced by the base class.
        data: Dotted path of the data module that is used where a configuration names none.
        needs: Of a training's settings: which arguments of its data take weights of which kind, such as `image_model` `image`.
        tools: Of a training's settings: what else decides the weights, with its version, such as the stages that read clips.
        weights: Kind of the weights that its task may start from, by name or file.
    """

    stage: str
    version: int
    task: str
    data: str
    needs: Callable[[Settings], Mapping[str, str]] = field(default=lambda _settings: {})
    tools: Callable[[Settings], Mapping[str, str | None]] = field(default=lambda _settings: {})
    weights: str | None = None

    @property
    def artifact(self) -> str:
        """The folder of its artifacts in the store."""
        return f"{self.stage}_fit"

    def recipe(self, settings: Settings, inputs: Mapping[str, str], store: Store) -> dict[str, Any]:
        """Return everything that decides the trained weights, as JSON.

        `inputs` are the keys of the artifacts, or digests of the weights, that `needs` names, by kind.

        Raises:
            VidferError: The data cannot be found or read.
        """
        params = decisive_settings(settings, self.needs(settings))
        begun_from = params["model"]["init_args"]
        if self.weights and isinstance(name := begun_from.get("weights"), str):
            begun_from["weights"] = weights_digest(self.weights, name)
        return {
            "stage": self.artifact,
            "version": self.version,
            "params": params,
            "inputs": dict(inputs),
            "source": data_digest(settings, store),
            "tools": {**tool_versions(*_PACKAGES), **self.tools(settings)},
        }

    def run(
        self,
        recipe: Mapping[str, Any],
        settings: Settings,
        inputs: Mapping[str, Path],
        store: Store,
        report: Progress,
        watched: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Return the artifact of a training, found or made; one that was killed goes on from its last checkpoint.

        Artifact: `weights.safetensors` and its card `weights.json`, `metrics.csv`, `curves.png`, and `recipe.yaml`; `meta` has
        the `seconds` that the training took. `inputs` are the weights files that `needs` names, by kind, and `watched` the
        arguments of `vidfer.tasks.loggers.WandbCurves` where Weights & Biases is to show it.

        Raises:
            VidferError: The training failed, and the message has its last line; or its data were changed meanwhile.
        """
        key = recipe_key(recipe)
        folder = store.root / UNFINISHED / key
        with ExitStack() as alone:
            with explained(store.root):
                make_folder(store.root, folder)
                lock = alone.enter_context(locked(folder / "lock"))

            def make(draft: Draft) -> Outcome:
                complete = _complete(settings, self.needs(settings), inputs, folder)
                if watched is not None:
                    logger = {"class_path": "vidfer.tasks.loggers.WandbCurves", "init_args": dict(watched)}
                    complete["wandb"] = logger
                before, begun = progress_of(folder)["seconds"], time.monotonic()
                self._train(folder, complete, store, lock, report)
                if data_digest(settings, store) != recipe["source"]:
                    shutil.rmtree(folder, ignore_errors=True)  # what it has learned is of nobody knows which data
                    raise VidferError("the data were changed during the training: run the same command again")
                for name in _KEPT:
                    if (folder / name).is_file():
                        draft.write(name, (folder / name).read_bytes())
                shown = {name: recipe[name] for name in ("stage", "version", "params", "inputs", "source", "tools")}
                draft.write("recipe.yaml", yaml.safe_dump(shown, sort_keys=False).encode())
                return Outcome(meta={"seconds": round(before + time.monotonic() - begun, 1)})

            artifact = cached(store, recipe, make)
            shutil.rmtree(folder, ignore_errors=True)
        return artifact

    def _train(self, folder: Path, settings: Settings, store: Store, lock: int, report: Progress) -> None:
        """Run the stage's command line on a configuration file, and wait for its end."""
        with explained(store.root):
            write_atomic(folder / "fit.yaml", yaml.safe_dump(settings, sort_keys=False))
        command = [sys.executable, "-m", "vidfer", "train", self.stage, "fit", "--config", str(folder / "fit.yaml")]
        environment = {**os.environ, "VIDFER_STORE": store.place}
        with (folder / "log.txt").open("ab") as log:  # the training holds the lock, too, should this process die
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **inherited(lock)
            )
        try:
            with _passing_on(process):
                while process.poll() is None:
                    report(progress_of(folder)["share"])
                    time.sleep(_LOOK)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode == StoppedError.STATUS or (STOP_SIGNAL and process.returncode == -STOP_SIGNAL):
            raise StoppedError("the training was stopped by a signal: the same command goes on from its checkpoint")
        if process.returncode < 0:
            raise VidferError(
                f"the training was ended by signal {-process.returncode}, as by a system whose memory is full: "
                "run the same command again, it goes on from the last checkpoint"
            )
        if process.returncode or not (folder / WEIGHTS).is_file():
            with explained(store.root):
                if shutil.disk_usage(folder).free < _TOO_LITTLE:  # the log could not say so
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
            raise VidferError(f"the training failed: {_last_line(folder / 'log.txt')}")


@contextmanager
def _passing_on(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Pass the signal that asks for an end on to a training, which saves a checkpoint first."""
    if STOP_SIGNAL is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(STOP_SIGNAL, lambda number, _frame: process.send_signal(number))
    try:
        yield
    finally:
        signal.signal(STOP_SIGNAL, before)


def data_digest(settings: Settings, store: Store) -> str:
    """Digest the content of a training's data, see `data_contents`."""
    data = settings["data"]
    return recipe_key({"data": data_contents(data["class_path"], data.get("init_args", {}), store.root)})


def stage_versions(*stages: Stage) -> dict[str, str | None]:
    """Return what else decides the results of stages of a clip: their versions, and those of their tools."""
    found: dict[str, str | None] = {}
    for stage in stages:
        found |= {f"stage {stage.name}": str(stage.version), **stage.tools()}
    return found


def progress_of(folder: Path) -> dict[str, float]:
    """Return the `share` of an unfinished training that is done, in [0, 1], and the `seconds` it took so far."""
    try:
        found = json.loads((folder / "progress.json").read_bytes())
    except (OSError, ValueError):  # not begun
        return {"share": 0.0, "seconds": 0.0}
    return {"share": float(found["share"]), "seconds": float(found["seconds"])}


def decisive_settings(settings: Settings, links: Container[str] = ()) -> dict[str, Any]:
    """Leave out what cannot change the weights, the arguments `links` of the data, and say of files what they hold."""
    trainer = {name: value for name, value in settings.get("trainer", {}).items() if name not in _NEUTRAL_TRAINER}
    callbacks = [each for each in trainer.pop("callbacks", None) or [] if not _only_observes(each)]
    trainer |= {"callbacks": callbacks} if callbacks else {}
    return {
        "seed_everything": settings.get("seed_everything", 0),
        "model": _arguments(settings["model"], lambda name: name == "compiled"),
        "data": decisive_data(settings["data"], links),
        "trainer": trainer,
    }


def decisive_data(data: Mapping[str, Any], links: Container[str] = ()) -> dict[str, Any]:
    """Leave out of a data module's settings where its data lie, which content tells, and the arguments `links`."""
    return _arguments(data, lambda name: name in _NEUTRAL or name.endswith("root") or name in links)


def _arguments(part: Mapping[str, Any], leave_out: Callable[[str], bool]) -> dict[str, Any]:
    kept = {name: _content(value) for name, value in part.get("init_args", {}).items() if not leave_out(name)}
    return {"class_path": part["class_path"], "init_args": kept}


def _content(value: Any) -> Any:  # noqa: ANN401 - any value of a configuration
    """Return the digest of a file that is named, or the value."""
    is_file = isinstance(value, str) and Path(value).suffix == ".safetensors" and Path(value).is_file()
    return {"blake3": file_digest(Path(value))} if is_file else value


def _only_observes(callback: Mapping[str, Any]) -> bool:
    """Tell whether a callback only watches, or saves checkpoints that nothing but a resumed training reads."""
    name, given = callback["class_path"], callback.get("init_args", {})
    saves = name == "lightning.pytorch.callbacks.ModelCheckpoint"
    return name in _NEUTRAL_CALLBACKS or (saves and given.get("monitor") in (None, "step"))


def _complete(settings: Settings, links: Mapping[str, str], inputs: Mapping[str, Path], folder: Path) -> dict[str, Any]:
    """Add where the run's files go, and the files of the weights that the data are read with."""
    linked = {name: str(inputs[kind]) for name, kind in links.items() if kind in inputs}
    data, trainer = settings["data"], dict(settings.get("trainer", {}))
    trainer["default_root_dir"] = str(folder)
    trainer["logger"] = {
        "class_path": "vidfer.tasks.loggers.CurveLogger",
        "init_args": {"save_dir": str(folder.parent.parent), "name": folder.parent.name, "version": folder.name},
    }
    observer = {"class_path": "vidfer.tasks.callbacks.ProgressFile", "init_args": {"folder": str(folder)}}
    trainer["callbacks"] = [*(trainer.get("callbacks") or []), observer]
    return {
        **settings,
        "data": {"class_path": data["class_path"], "init_args": {**data.get("init_args", {}), **linked}},
        "trainer": trainer,
    }


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return f"{lines[-1].removeprefix('vidfer: ') if lines else 'it said nothing'} (see {log})"
