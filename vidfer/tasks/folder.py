"""Where a run keeps its files."""

from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint


def run_folder(trainer: lightning.Trainer) -> Path:
    """Find the folder of a run: the one that holds its `checkpoints` folder.

    Unlike `Trainer.log_dir` it may be asked for by one process of many: nothing is sent to the others.

    Args:
        trainer: The trainer of the run.

    Returns:
        The folder; it may not exist yet.
    """
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath:
            return Path(callback.dirpath).parent
    logger = trainer.logger
    return Path(getattr(logger, "log_dir", None) or getattr(logger, "save_dir", None) or trainer.default_root_dir)
