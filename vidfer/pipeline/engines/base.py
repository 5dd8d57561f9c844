"""What every engine can do, and what work may say of itself."""

from collections.abc import Generator, Iterable
from typing import Any, Protocol, TypeVar, runtime_checkable

from vidfer.pipeline.runner import StageProgress
from vidfer.pipeline.worker import Work
from vidfer.pipeline.workers import OnProgress
from vidfer.types import ClipError

Item = TypeVar("Item")
Input = TypeVar("Input", contravariant=True)

Result = dict[str, Any] | ClipError
"""What the work returned for an item, or why there is nothing."""


class Engine(Protocol):
    """Does the work for many items. Work and items have to be picklable, and what the work returns has to be JSON.

    What they need is on every machine by the same path.
    """

    def run(
        self, work: Work[Item], items: Iterable[Item], on_progress: OnProgress, *, in_order: bool = False
    ) -> Generator[tuple[int, Result], None, None]:
        """Yield each item's position and result as they finish, or in the order of the items.

        Items are taken only as places become free, so that an iterator over any number of them needs little memory. Closing the
        generator ends what is at work. `on_progress` is called from this process only, in the thread that asks for results.

        Raises:
            VidferError: The work failed for a reason that is not the item's, such as a full store, or the engine cannot be used.
        """


@runtime_checkable
class TwoPartWork(Protocol[Input]):
    """Work whose first part needs no model that is kept loaded, so that an engine may have it done somewhere else."""

    def prepare(self, item: Input, progress: StageProgress) -> None:
        """Do the first part, and leave its results where `__call__` finds them."""

    def __call__(self, item: Input, progress: StageProgress) -> dict[str, Any]:
        """Do the whole work, or what is left of it."""
