"""How thoroughly to measure, and rounds that take turns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class Plan:
    """What a run of the benchmark is to do.

    Args:
        scratch: A folder for stores and results, removed afterwards.
        quick: Only what `make bench-check` compares, with fewer rounds.
        long: Also what takes many minutes.
        clip: A file of the user's in place of the generated clip of 640x480 with one face.
    """

    scratch: Path
    quick: bool = False
    long: bool = False
    clip: Path | None = None

    def rounds(self, full: int, quick: int = 3) -> int:
        """Return the number of rounds."""
        return quick if self.quick else full

    def folder(self, name: str) -> Path:
        """Return a folder below `scratch` that nothing has used yet."""
        number = sum(1 for _ in self.scratch.glob(f"{name}-*"))
        path = self.scratch / f"{name}-{number}"
        path.mkdir(parents=True)
        return path


def in_turns(tasks: Mapping[str, Callable[[], _T]], rounds: int) -> dict[str, list[_T]]:
    """Do each task so many times, one after the other, so that a busy machine disturbs all alike."""
    done: dict[str, list[_T]] = {name: [] for name in tasks}
    for number in range(rounds):
        names = list(tasks)
        for name in names if number % 2 == 0 else reversed(names):
            done[name].append(tasks[name]())
    return done
