"""The chain over clips, of which some are as bad as their names."""

import os
import signal
import time
from dataclasses import dataclass

from vidfer.api.elsewhere import StoredWork


@dataclass(frozen=True)
class PoisonedWork(StoredWork):
    """Kills its worker for `kills.mkv`, and comes to no end for `hangs.mkv`."""

    def prepare(self, clip, progress):
        if clip.path.name == "kills.mkv":
            os.kill(os.getpid(), signal.SIGKILL)
        super().prepare(clip, progress)

    def __call__(self, clip, progress):
        if clip.path.name == "hangs.mkv":
            progress("finetune", 0.1)
            time.sleep(600)
        return super().__call__(clip, progress)
