"""What a worker on another machine needs to be like the process that started the run."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vidfer.pipeline.cores import share_cores
from vidfer.types import VidferError


@dataclass(frozen=True)
class Surroundings:
    """What decides how relative paths are read, and what is told.

    Args:
        folder: The working folder.
        variables: Variables whose names begin with `VIDFER_`.
        level: Of the logger `vidfer`.
    """

    folder: Path
    variables: Mapping[str, str]
    level: int

    @classmethod
    def here(cls) -> Self:
        """Return this process' own."""
        variables = {name: value for name, value in os.environ.items() if name.startswith("VIDFER_")}
        return cls(Path.cwd(), variables, logging.getLogger("vidfer").getEffectiveLevel())

    def enter(self, threads: int) -> None:
        """Make them this process' own, and let it keep so many threads busy.

        Raises:
            VidferError: The folder is not on this machine.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            machine = os.uname().nodename
            raise VidferError(
                f"{self.folder} is not on the worker {machine}: clips, store and working folder have to be on a file system "
                "that all machines have by the same path"
            ) from error
        os.environ.update(self.variables)
        share_cores(max(1, (os.cpu_count() or 1) // threads))
        logging.getLogger("vidfer").setLevel(self.level)
