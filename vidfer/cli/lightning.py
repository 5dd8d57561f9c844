"""The command line of the training stages: LightningCLI with this project's rules."""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.plugins.io import TorchCheckpointIO

SHARED = ("image_size", "in_chans")
"""Arguments of the data module handed on to a model that has them too."""


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
            parser_kwargs={"parser_mode": "omegaconf"},
            **overrides,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link what data and model must agree on.

        Args:
            parser: The parser of one subcommand.
        """
        for name in SHARED:
            parser.link_arguments(f"data.init_args.{name}", f"model.init_args.{name}")

    def after_fit(self) -> None:
        """Export the weights of a training that ran to its end."""
        from vidfer.cli.export import export_weights

        trainer = self.trainer
        if trainer.is_global_zero and not trainer.interrupted and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            export_weights(trainer, self.model, self.datamodule, run_folder(trainer) / "weights.safetensors")

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[lightning.Callback]) -> lightning.Trainer:
        plugins = config.get("plugins") or []
        config["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
        return super()._instantiate_trainer(config, callbacks)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, syncs it and renames it: a full disk or a kill leaves the old one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: What Lightning wants to keep.
            path: Where it goes.
            storage_options: Unused by this writer.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
        try:
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class RunConfig(SaveConfigCallback):
    """Writes the full configuration beside the run's checkpoints, so that no run can meet another's file."""

    def save_config(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Write `config.yaml` into the run's folder.

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


def run_folder(trainer: lightning.Trainer) -> Path:
    """Find the folder of a run: the one that holds its `checkpoints` folder.

    Args:
        trainer: The trainer of the run.

    Returns:
        The folder; it may not exist yet.
    """
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath:
            return Path(callback.dirpath).parent
    return Path(trainer.log_dir or trainer.default_root_dir)
