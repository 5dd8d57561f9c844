"""The engine of one machine: worker processes that keep what they have loaded."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from vidfer.pipeline import workers
from vidfer.pipeline.engines.base import Result
from vidfer.pipeline.worker import Work
from vidfer.pipeline.workers import OnProgress

Item = TypeVar("Item")


@dataclass(frozen=True)
class LocalEngine:
    """Does the work in this process or, with more than one job, in processes of this machine; see `run_all`.

    Args:
        jobs: Items at once.
        stall: Seconds without progress after which an item is given up; None waits for ever.
        retries: How often an item whose worker has died is tried again.
    """

    jobs: int = 1
    stall: float | None = None
    retries: int = 0

    def run(
        self, work: Work[Item], items: Iterable[Item], on_progress: OnProgress, *, in_order: bool = False
    ) -> Generator[tuple[int, Result], None, None]:
        """Do it, see `Engine.run`."""
        return workers.run_all(
            work, items, self.jobs, on_progress, in_order=in_order, stall=self.stall, retries=self.retries
        )
