"""A callback that slows a training down, and writes which batches were trained."""

import time
from pathlib import Path

from lightning import Callback


class Count(Callback):
    """Appends the number of each batch that was trained to `file`."""

    def __init__(self, file: str, seconds: float = 0.25) -> None:
        self.file, self.seconds = Path(file), seconds

    def on_train_batch_end(self, trainer, task, *step) -> None:
        done = trainer.current_epoch * trainer.num_training_batches + trainer.fit_loop.batch_idx
        with self.file.open("a") as file:
            file.write(f"{done}\n")
        time.sleep(self.seconds)
