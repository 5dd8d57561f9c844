"""What a trained network predicts for each sample of a split, in one table that several processes write together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import lightning
import pandas as pd
import pyarrow.parquet as pq
import torch
from torch import Tensor

from vidfer.pipeline.atomic import replacing
from vidfer.results.files import arrow_table
from vidfer.types import EMOTIONS, VidferError

NAME: Final = "predictions.parquet"
"""The table, in a run's folder."""


def write_predictions(
    trainer: lightning.Trainer, rows: pd.DataFrame, probabilities: Sequence[Tensor], folder: Path
) -> Path:
    """Write `rows` with each one's probabilities as `predictions.parquet`, and return it; all processes call this.

    Each process writes a part with its own rows; when all have, the first joins them in order and writes the table at once.

    Args:
        trainer: The trainer that predicted.
        rows: What is known of each sample, of all processes, in order.
        probabilities: This process's batches `(B, 7)` in order, of samples `rank`, `rank + processes` and so on; of the first
            ones only where the trainer was told to stop early.
        folder: The run's folder.

    Raises:
        VidferError: A part is missing, which processes without a common file system do not see.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rank, processes = trainer.global_rank, trainer.world_size
    found = torch.cat([torch.zeros(0, len(EMOTIONS), dtype=torch.float64), *(each.cpu() for each in probabilities)])
    own = rows.iloc[rank::processes].head(len(found))
    own = own.assign(**{name: found[:, at].numpy() for at, name in enumerate(EMOTIONS)})
    parts = [folder / f"{NAME}.{each}-of-{processes}" for each in range(processes)]
    with replacing(parts[rank]) as temporary:
        own.to_parquet(temporary)
    trainer.strategy.barrier("predictions")
    if trainer.is_global_zero:
        if missing := [part for part in parts if not part.is_file()]:
            raise VidferError(
                f"{missing[0]} is missing: give all processes one folder by --trainer.logger.init_args.save_dir"
            )
        joined = pd.concat([pd.read_parquet(part) for part in parts]).sort_index()
        if not joined.index.is_unique:
            raise VidferError(f"{folder} holds parts of another prediction: remove {NAME}.* there")
        with replacing(folder / NAME) as temporary:
            pq.write_table(arrow_table(joined), temporary)
        for part in parts:
            part.unlink()
    return folder / NAME
