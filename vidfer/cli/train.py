"""The command line of the training stages: LightningCLI with this project's rules."""

import sys
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from omegaconf import DictConfig, OmegaConf

from vidfer.cli.options import StrictParser
from vidfer.tasks.callbacks import AtomicCheckpointIO, readable_checkpoint, run_folder
from vidfer.tasks.loggers import CurveLogger, arrange_loggers, require_client, send_settings, start_wandb
from vidfer.types import UsageError, VidferError

SHARED = ("image_size", "in_chans", "crop")
"""Arguments of the data module handed on to a model that has them too."""

RUN_CONFIG = "config.yaml"
"""Name of the file with all that was chosen for a run, in the run's folder."""

_NO_SETTINGS = ("ckpt_path", "config", "wandb")  # where a run goes on from or is shown is none of its settings


def main(args: list[str] | None = None) -> None:
    """Run a training stage's command line: faults end in one sentence and exit status 1, wrong usage in 2."""
    try:
        VidferCLI(args=args)
    except (VidferError, ValueError) as error:
        ours = _sentence(error)
        if ours is None:
            raise
        print(f"vidfer: {ours}", file=sys.stderr)
        sys.exit(2 if isinstance(ours, UsageError) else 1)


def _sentence(error: BaseException | None) -> VidferError | None:
    """Find our own error behind one of the parser's, which wraps what a constructor raises."""
    while error is not None and not isinstance(error, VidferError):
        error = error.__cause__ or error.__context__
    return error


class _TrainingParser(StrictParser, LightningArgumentParser):
    """Lightning's parser, without abbreviations of options."""


class VidferCLI(LightningCLI):
    """LightningCLI in subclass mode with atomic checkpoints, linked arguments, one config file a run, and an export.

    Optimisers stay where the task sets them; a seed of 0 makes runs repeatable; cross-references inside YAML files
    are made by linking, because the OmegaConf parser resolves each file before overrides.
    """

    def __init__(self, **overrides: Any) -> None:  # noqa: ANN401 - tests pass `args` and `run` through
        super().__init__(
            lightning.LightningModule,
            lightning.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            save_config_callback=RunConfig,
            save_config_kwargs={"save_to_log_dir": False},
            parser_class=_TrainingParser,
            parser_kwargs={"parser_mode": "omegaconf"},
            **overrides,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link what data and model must agree on, and let Weights & Biases stand beside whatever else logs a run.

        Args:
            parser: The parser of one subcommand.
        """
        parser.add_subclass_arguments(WandbLogger, "wandb", required=False)
        for name in SHARED:
            parser.link_arguments(f"data.init_args.{name}", f"model.init_args.{name}")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401 - Lightning's own
        """Parse words given by `vidfer train`, without Lightning's warning that others stand in `sys.argv`."""
        self.config = parser.parse_args(args)

    def before_instantiate_classes(self) -> None:
        """Look for what an optional logger needs, before any work is done."""
        chosen = self.config.get(self.config.get("subcommand") or "", self.config)
        require_client([chosen.get("wandb"), chosen.trainer.logger])

    def fit(self, ckpt_path: str | None = None, **arguments: Any) -> None:  # noqa: ANN401 - Lightning's own
        """Train; a run with a name of its own (`version`) that was cut off goes on, and a finished one is left alone.

        Args:
            ckpt_path: A checkpoint to go on from, whatever the run's folder says.
            arguments: Passed on to Lightning.

        Raises:
            VidferError: The run's folder holds a run with other settings.
        """
        trainer = self.trainer
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.fit(ckpt_path=ckpt_path, **arguments)
            return
        folder = run_folder(trainer)
        weights, last = folder / "weights.safetensors", folder / "checkpoints" / "last.ckpt"
        if ckpt_path is None and (folder / RUN_CONFIG).is_file():
            if weights.is_file() or last.is_file():
                self._require_same_run(folder)
            if weights.is_file():
                rank_zero_info(f"{folder} is finished, with its weights in {weights}; to train anew, remove it")
                return
            if last.is_file():
                ckpt_path = str(last)
                rank_zero_info(f"going on from {last}")
            else:
                (folder / "metrics.csv").unlink(missing_ok=True)
        start_wandb(trainer)
        trainer.fit(ckpt_path=ckpt_path, **arguments)
        if trainer.is_global_zero and not trainer.interrupted:
            from vidfer.evaluation.export import export_weights

            export_weights(trainer, self.model, self.datamodule, weights)

    def _run_subcommand(self, subcommand: str) -> None:
        for logger in self.trainer.loggers:
            if isinstance(logger, CurveLogger):
                logger.closed = subcommand != "fit"
        if subcommand != "fit":
            start_wandb(self.trainer)
        super()._run_subcommand(subcommand)

    def _parse_ckpt_path(self) -> None:
        with readable_checkpoint(
            self.config[self.config.subcommand].get("ckpt_path") if self.config.get("subcommand") else ""
        ):
            super()._parse_ckpt_path()

    def _require_same_run(self, folder: Path) -> None:
        chosen = self._parser("fit").dump(self.config["fit"], skip_none=False)
        stored = (folder / RUN_CONFIG).read_text("utf-8")
        different = sorted(_leaves(OmegaConf.create(chosen)) ^ _leaves(OmegaConf.create(stored)))
        if different:
            names = ", ".join(dict.fromkeys(name for name, _ in different if name))
            raise VidferError(
                f"{folder} holds a run with other settings ({names}): give this one another name "
                "(--trainer.logger.init_args.version=NAME), or remove the folder"
            )

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[lightning.Callback]) -> lightning.Trainer:
        config["logger"] = arrange_loggers(config.get("logger"), self._get(self.config_init, "wandb"))
        plugins = config.get("plugins") or []
        config["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
        return super()._instantiate_trainer(config, callbacks)


class RunConfig(SaveConfigCallback):
    """Keeps a run's folder: the full configuration beside the checkpoints, and the curves when the run goes on."""

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Write the configuration of a training; a look at one leaves its folder alone."""
        if stage == "fit":
            super().setup(trainer, pl_module, stage)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Say how to go on after Ctrl-C."""
        if isinstance(exception, KeyboardInterrupt):
            rank_zero_info(
                f"stopped: the same command goes on if the run has a name (trainer.logger.init_args.version), else give "
                f"--ckpt_path {run_folder(trainer) / 'checkpoints' / 'last.ckpt'}"
            )

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Drop the rows of steps that are done again."""
        if trainer.state.fn == TrainerFn.FITTING:
            loop = checkpoint["loops"]["fit_loop"]
            batches = loop["epoch_loop.batch_progress"]["total"]
            in_batch = batches["processed"] > batches["completed"]  # saved at its end, before it was counted
            done = loop["epoch_loop.state_dict"]["_batches_that_stepped"] + in_batch
            for logger in trainer.loggers:
                if isinstance(logger, CurveLogger):
                    logger.drop_from(done)

    def save_config(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Write `config.yaml` into the run's folder, and send the settings where the run is shown.

        Args:
            trainer: The trainer about to start.
            pl_module: Unused.
            stage: Unused.
        """
        folder = run_folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        self.parser.save(
            self.config, folder / self.config_filename, skip_none=False, overwrite=True, multifile=self.multifile
        )
        send_settings(trainer, self.config.as_dict())


def _leaves(config: Any, name: str = "") -> set[tuple[str, str]]:  # noqa: ANN401 - any YAML
    if not isinstance(config, DictConfig):
        return {(name, repr(config))}
    inner = {str(key): value for key, value in config.items() if key not in _NO_SETTINGS}
    return set().union(*(_leaves(value, f"{name}.{key}".lstrip(".")) for key, value in inner.items()))
