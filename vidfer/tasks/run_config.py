"""What a training leaves of its settings: beside its checkpoints, in them, and at Weights & Biases."""

from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from vidfer.tasks.callbacks import run_folder
from vidfer.tasks.loggers import CurveLogger, send_settings


class RunConfig(SaveConfigCallback):
    """Writes a run's full configuration beside its checkpoints, and cuts its curves when it is resumed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Lightning's own
        super().__init__(*arguments, **options)
        # of before the training starts: all processes draw as a single one would
        self._random_state = torch.get_rng_state()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the configuration of a training, and of nothing else."""
        if stage == "fit":
            super().setup(trainer, pl_module, stage)
            if trainer.world_size > 1:
                torch.set_rng_state(self._random_state)  # starting processes, Lightning seeds anew

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say how to go on after Ctrl-C."""
        if isinstance(exception, KeyboardInterrupt):
            rank_zero_info(
                f"stopped: the same command goes on if the run has a name (trainer.logger.init_args.version), else give "
                f"--ckpt_path {run_folder(trainer) / 'checkpoints' / 'last.ckpt'}"
            )

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the last validation's figures."""
        figures = trainer.callback_metrics.items()
        checkpoint["validation"] = {name: float(value) for name, value in figures if name.startswith("val_")}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Drop the rows of steps that will be repeated."""
        if trainer.state.fn == TrainerFn.FITTING:
            loop = checkpoint["loops"]["fit_loop"]
            batches = loop["epoch_loop.batch_progress"]["total"]
            in_batch = batches["processed"] > batches["completed"]  # saved at its end, before it was counted
            done = loop["epoch_loop.state_dict"]["_batches_that_stepped"] + in_batch
            for logger in trainer.loggers:
                if isinstance(logger, CurveLogger):
                    logger.drop_from(done)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write `config.yaml` into the run's folder, and send the settings to Weights & Biases."""
        folder = run_folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        self.parser.save(
            self.config, folder / self.config_filename, skip_none=False, overwrite=True, multifile=self.multifile
        )
        send_settings(trainer, self.config.as_dict(), pl_module.hparams)
