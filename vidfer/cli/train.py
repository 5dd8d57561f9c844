"""The command line of the training stages, on LightningCLI."""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from pydoc import locate
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from omegaconf import DictConfig, OmegaConf

from vidfer.cli.main import TRAINING
from vidfer.cli.options import StrictParser
from vidfer.cli.put import put, put_error
from vidfer.datamodules.base import BaseDataModule
from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.models.classifiers.base import FRAME_FEATURES
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.digest import file_digest
from vidfer.tasks.callbacks import run_folder
from vidfer.tasks.checkpoints import AtomicCheckpointIO, load_best, newest_checkpoint, readable_checkpoint
from vidfer.tasks.denoise import DenoiseTask
from vidfer.tasks.interruption import StopOnSignal
from vidfer.tasks.loggers import CurveLogger, arrange_loggers, fail_wandb, send_weights, start_wandb
from vidfer.tasks.prediction_table import write_predictions
from vidfer.tasks.predictions import showing
from vidfer.tasks.processes import OtherProcessError, ending_together
from vidfer.tasks.run_config import RunConfig
from vidfer.tasks.tracking import require_client
from vidfer.training.config import FITS, no_configuration
from vidfer.types import StoppedError, UsageError, VidferError
from vidfer.weights.files import embedding_width, find_weights

STAGES: Final[dict[str, Any]] = {fit.stage: locate(fit.task) for fit in FITS.values()}
DATA: Final[dict[str, Any]] = {fit.stage: locate(fit.data) for fit in FITS.values()}

_RUN_CONFIG = "config.yaml"  # all settings of a run, in its folder
_RUN_INPUTS = "inputs.json"  # digests of its data and weights, beside it
_PATIENCE = 2.0  # seconds that another than the first process waits before it says why it failed
_NO_SETTINGS = ("ckpt_path", "config", "wandb")  # may differ when a run is resumed
_FILES = ("-c", "--config", "--model", "--data", "--trainer")  # options that may name a configuration file


def main(stage: str, argv: Sequence[str] | None = None) -> int:
    """Run a stage's command line and return its exit status, for `python -m stages.STAGE` as for `vidfer train STAGE`.

    `argv` is what follows the stage's name; the process's arguments if not given.
    """
    logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)  # the first line names the data
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        _check_arguments(arguments)
        VidferCLI(stage, f"python -m stages.{stage}" if argv is None else f"vidfer train {stage}", args=arguments)
    except (VidferError, ValueError, MisconfigurationException) as error:
        ours = _sentence(error)
        if ours is None:
            raise
        if os.environ.get("LOCAL_RANK", "0") != "0":
            time.sleep(_PATIENCE)  # the first process, if it fails alike, ends this one and says why
        put_error("vidfer", " ".join(str(ours).split()), wrapped=False)
        fail_wandb()
        return ours.STATUS if isinstance(ours, StoppedError) else 2 if isinstance(ours, UsageError) else 1
    except OtherProcessError as error:
        if str(error):
            put_error("vidfer", error, wrapped=False)
        fail_wandb()
        return 1
    return 0


def check_settings(stage: str, settings: Mapping[str, Any], name: str) -> None:
    """Let LightningCLI read a training's settings, and do nothing; what it does not take ends the process with a line on it.

    `name` is what the line calls the training.
    """
    with TemporaryDirectory(prefix="vidfer-") as folder, redirect_stdout(StringIO()):
        file = Path(folder) / "fit.yaml"
        OmegaConf.save(OmegaConf.create(dict(settings)), file)
        try:
            VidferCLI(stage, name, args=["fit", "--config", str(file), "--print_config"])
        except SystemExit as end:
            if end.code:
                raise


def _sentence(error: BaseException | None) -> BaseException | None:
    """Find our own error, or Lightning's on the machine, behind those of the parser."""
    while error is not None and not isinstance(error, VidferError | MisconfigurationException):
        error = error.__cause__ or error.__context__
    return error


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse a configuration file that is missing."""
    for option, following in zip(arguments, [*arguments[1:], ""], strict=False):  # no argument, no pair
        name, given, value = option.partition("=")
        path = Path(value if given else following)
        if name in _FILES and path.suffix in (".yaml", ".yml") and not path.is_file():
            raise UsageError(no_configuration(path))


class _TrainingParser(StrictParser, LightningArgumentParser):
    """Lightning's parser, without abbreviations of options."""


class VidferCLI(LightningCLI):
    """LightningCLI with atomic checkpoints and an export; with a `stage` of `STAGES`, it refuses another's configurations."""

    def __init__(
        self,
        stage: str | None = None,
        prog: str | None = None,
        **overrides: Any,  # noqa: ANN401
    ) -> None:
        self.stage = stage
        self.arguments = list(overrides.get("args") or ())
        about = f"Train {TRAINING.get(stage or '', 'a model')}. Configurations are in configs/, see docs/how-to/training.md."
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            trainer_defaults={"callbacks": [StopOnSignal()]},
            save_config_callback=RunConfig,
            save_config_kwargs={"save_to_log_dir": False},
            parser_class=_TrainingParser,
            parser_kwargs={"parser_mode": "omegaconf", "prog": prog, "description": about},
            **overrides,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override] # Lightning calls it as self.subcommands()
        """Offer Lightning's subcommands; where one is named first, that one alone, as each takes long to describe."""
        every = super().subcommands()
        named = self.arguments[:1]
        return {name: every[name] for name in named} if every.keys() & set(named) else every

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link what data and model must agree on, and add Weights & Biases beside the other loggers."""
        for action in parser._actions:
            if getattr(action, "_typehint", None) == int | float | None:
                # typing caches unions in any order, and 1.0 would be all batches, not one
                vars(action)["_typehint"] = int | float | None
        parser.add_subclass_arguments(WandbLogger, "wandb", required=False)
        for name in ("image_size", "in_chans", "crop"):
            parser.link_arguments(f"data.init_args.{name}", f"model.init_args.{name}")
        parser.link_arguments(
            "data.init_args.image_model", "model.init_args.num_frame_features", compute_fn=_embedding_width
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401 - Lightning's
        """Parse without Lightning's warning of passed arguments."""
        self.config = parser.parse_args(args)

    def before_instantiate_classes(self) -> None:
        """Check the stage and the client of an optional logger before any work is done."""
        chosen = self.config.get(self.config.get("subcommand") or "", self.config)
        if self.stage is not None:
            self._require_stage("train", chosen.model.class_path, STAGES, known=False)
            if chosen.get("data"):
                self._require_stage("train on", chosen.data.class_path, DATA, known=True)
        require_client("Wandb" in repr([chosen.get("wandb"), chosen.trainer.logger]))

    def _require_stage(self, does: str, path: str, kinds: Mapping[str, type], *, known: bool) -> None:
        """Refuse a class of another stage; unless it has to be `known`, one of no stage, too."""
        kind = locate(path)
        fitting = [name for name, each in kinds.items() if isinstance(kind, type) and issubclass(kind, each)]
        if self.stage in fitting or (known and not fitting):
            return
        instead = f"is for the stage {fitting[0]}: python -m stages.{fitting[0]}" if fitting else "is of no stage"
        raise UsageError(f"{self.stage} does not {does} {path.rpartition('.')[2]}; this configuration {instead}")

    def fit(self, ckpt_path: str | None = None, **arguments: Any) -> None:  # noqa: ANN401 - Lightning's own
        """Train; a named run (`version`) is resumed if it was interrupted, and left alone if it is finished."""
        trainer = self.trainer
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.fit(ckpt_path=ckpt_path, **arguments)
            return
        if 0 in (trainer.max_epochs, trainer.max_steps):
            raise UsageError("trainer.max_epochs or max_steps is 0, so nothing would be trained: give at least 1")
        folder = run_folder(trainer)
        weights, last = folder / "weights.safetensors", newest_checkpoint(folder / "checkpoints")
        inputs = self._inputs()
        if ckpt_path == "last" and last:  # Lightning would begin anew without `last.ckpt`
            ckpt_path = str(last)
        if ckpt_path is None and (folder / _RUN_CONFIG).is_file():
            if weights.is_file() or last:
                self._require_same_run(folder, inputs)
            if weights.is_file():
                rank_zero_info(f"{folder} is finished, with its weights in {weights}; to train anew, remove it")
                return
            if last:
                ckpt_path = str(last)
                rank_zero_info(f"going on from {last}")
            else:
                (folder / "metrics.csv").unlink(missing_ok=True)
        if not trainer.is_global_zero:
            trainer.fit(ckpt_path=ckpt_path, **arguments)
            return
        with results_folder(folder, "give another folder by --trainer.logger.init_args.save_dir"):
            write_atomic(folder / _RUN_INPUTS, json.dumps(inputs, indent=1))
            start_wandb(trainer)
            trainer.fit(ckpt_path=ckpt_path, **arguments)
            if not trainer.interrupted:
                from vidfer.evaluation.export import export_weights

                best = load_best(trainer, self.model)
                export_weights(trainer, self.model, self.datamodule, weights, best=best)
                send_weights(trainer, weights)

    def predict(self, **arguments: Any) -> None:  # noqa: ANN401 - Lightning's own
        """Predict a split's samples into the run's `predictions.parquet`; photographs are denoised by a callback instead."""
        data = self.datamodule
        if not isinstance(data, Fer2013DataModule | ClipDataModule):
            self.trainer.predict(**{**arguments, "return_predictions": False})
            return
        data.predict_split = self.config[self.subcommand or ""].split
        found: Any = self.trainer.predict(**{**arguments, "return_predictions": True})
        folder = run_folder(self.trainer)
        with results_folder(folder, "give another folder by --trainer.logger.init_args.save_dir"):
            path = write_predictions(self.trainer, data.predicted(), found or [], folder)
        rank_zero_info(f"written: {path}")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **options: Any) -> LightningArgumentParser:  # noqa: ANN401
        parser = super()._prepare_subcommand_parser(klass, subcommand, **options)
        if subcommand == "predict":
            parser.add_argument(
                "--split", type=Literal["test", "val"], default="test", help="Samples to predict, of faces and clips."
            )
        return parser

    def _run_subcommand(self, subcommand: str) -> None:
        for logger in self.trainer.loggers:
            if isinstance(logger, CurveLogger):
                logger.closed = subcommand != "fit"
        if subcommand != "fit":
            self._require_trained(subcommand)
            start_wandb(self.trainer)
        with ending_together(self.trainer):
            super()._run_subcommand(subcommand)
        if subcommand == "validate" and not self.trainer.callback_metrics:
            raise VidferError(
                "nothing is held out to validate on: name people by --data.init_args.val_people, or measure by test"
            )

    def _require_trained(self, subcommand: str) -> None:
        """Resolve `last` and `best` to checkpoints, and refuse an untrained network."""
        chosen = self.config_init[subcommand]
        path, folder = chosen.get("ckpt_path"), run_folder(self.trainer) / "checkpoints"
        how = "give --ckpt_path FILE, or --ckpt_path last with the run's --trainer.logger.init_args.version=NAME"
        if path is None:
            if not self.model.hparams.get("weights"):
                raise VidferError(f"{subcommand} would use an untrained network: {how}")
        elif path in ("last", "best"):
            found = [each for each in folder.glob(f"{path}*.ckpt") if each.is_file()]
            if not found:
                raise VidferError(f"no checkpoint '{path}' in {folder}: {how}")
            chosen["ckpt_path"] = str(max(found, key=lambda each: each.stat().st_mtime))
        elif not Path(path).is_file():
            raise VidferError(f"no checkpoint {path}: {how}")

    def _parse_ckpt_path(self) -> None:
        verb = self.config.get("subcommand")
        with readable_checkpoint((verb and self.config[verb].get("ckpt_path")) or ""):
            super()._parse_ckpt_path()

    def _inputs(self) -> dict[str, str]:
        """Return digests of the data and of the files that the task starts from, by name."""
        inputs = {"data": self.datamodule.content_digest()} if isinstance(self.datamodule, BaseDataModule) else {}
        for name in ("weights", "pretrained"):
            given = self.model.hparams.get(name)
            if isinstance(given, str) and Path(given).is_file():
                inputs[name] = file_digest(Path(given))
            elif isinstance(given, str):
                kind = "denoise" if isinstance(self.model, DenoiseTask) else "image"
                inputs[name] = find_weights(kind, given).card["blake3"]
        return inputs

    def _require_same_run(self, folder: Path, inputs: dict[str, str]) -> None:
        chosen = self._parser("fit").dump(self.config["fit"], skip_none=False)
        stored = (folder / _RUN_CONFIG).read_text("utf-8")
        different = sorted(_leaves(OmegaConf.create(chosen)) ^ _leaves(OmegaConf.create(stored)))
        changed = list(dict.fromkeys(name for name, _ in different if name))
        record = folder / _RUN_INPUTS  # runs of earlier versions lack it
        before = json.loads(record.read_text("utf-8")) if record.is_file() else inputs
        contents = sorted({name for name, _ in before.items() ^ inputs.items()})
        changed += [f"the content of its {name}" for name in contents]
        if changed:
            raise VidferError(
                f"{folder} holds a run with other settings ({', '.join(changed)}): give this one another name "
                "(--trainer.logger.init_args.version=NAME), or remove the folder"
            )

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        if self.subcommand is not None:
            _announce(self.subcommand, self.datamodule)
        if isinstance(self.datamodule, BaseDataModule):
            config["use_distributed_sampler"] = False  # it divides samples by itself, each once
        config["logger"] = arrange_loggers(config.get("logger"), self._get(self.config_init, "wandb"))
        given = config.get("callbacks") or []
        config["callbacks"] = sorted(given if isinstance(given, list) else [given], key=_is_of_newest)
        plugins = config.get("plugins") or []
        config["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
        try:
            return super()._instantiate_trainer(config, [*callbacks, *showing(config["logger"])])
        except (TypeError, ValueError) as error:  # such as an accelerator that Lightning does not know
            raise UsageError(f"--trainer: {error}") from error


def _is_of_newest(callback: Callback) -> bool:
    """Tell whether a callback saves what is gone on from: after the choice of the best, of which that has to know."""
    return isinstance(callback, ModelCheckpoint) and not (callback.monitor or "").startswith("val_")


def _embedding_width(image_model: str) -> int:
    """Return the length of the embeddings of weights; where there are none, the data module says so better than the parser."""
    try:
        return embedding_width(image_model)
    except VidferError:
        return FRAME_FEATURES


@rank_zero_only
def _announce(verb: str, data: Any) -> None:  # noqa: ANN401 - any data module
    """Name the data in a run's first line, since results on drawn samples mean nothing."""
    root = data.hparams.get("root")
    source = getattr(data, "source", None) or ("photographs" if root != "sample" else "photographs of scikit-image")
    place = f", in {root}" if root and root != "sample" else ""
    put(f"vidfer: {verb} on {source}{place}", error=True, flush=True)


def _leaves(config: Any, name: str = "") -> set[tuple[str, str]]:  # noqa: ANN401 - any YAML
    if not isinstance(config, DictConfig):
        return {(name, repr(config))}
    inner = {str(key): value for key, value in config.items() if key not in _NO_SETTINGS}
    return set().union(*(_leaves(value, f"{name}.{key}".lstrip(".")) for key, value in inner.items()))
