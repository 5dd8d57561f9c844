"""Which labelled clips of a data set are trained, validated and tested on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidfer.datasets.clips import find_clips
from vidfer.datasets.report import LabelledClip, PreparationReport
from vidfer.datasets.splits import (
    leave_persons_out,
    published_splits,
    remove_leaks,
    require_disjoint,
    take_people,
    unknown_persons,
)
from vidfer.types import VidferError

Splits = dict[str, list[LabelledClip]]
"""The clips of `train`, `val` and `test`."""


@dataclass(frozen=True)
class Selection:
    """Clips by person: named people, folds of subject-independent cross-validation, or the split that a data set publishes.

    The fields are the arguments of `vidfer.datamodules.clips.ClipDataModule` of the same names.

    Raises:
        VidferError: There is no such fold, or the seed is negative.
    """

    data: str = "ravdess"
    root: str | None = None
    train_people: str = ""
    val_people: str = ""
    test_people: str = ""
    folds: int = 0
    fold: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.folds and not 0 <= self.fold < self.folds:
            raise VidferError(f"there are folds 0 to {self.folds - 1}, not {self.fold}")
        if self.seed < 0:
            raise VidferError("seed has to be at least 0")

    def find(self) -> tuple[list[LabelledClip], PreparationReport]:
        """Find the labelled clips."""
        return find_clips(self.data, None if self.root is None else Path(self.root))

    def splits(self, notify: Callable[[str], None] = lambda _line: None) -> Splits:
        """Find and divide the clips so that no person and no content is in two splits; what is odd is passed on as lines.

        Raises:
            VidferError: Nothing is found, it cannot be divided so, or a person would be in two splits.
        """
        found, report = self.find()
        divided = self._divide(found)
        require_disjoint(divided)
        splits, leaks = remove_leaks(divided)
        for line in (*report.lines(), *leaks.lines()):
            notify(line)
        if unknown := unknown_persons(splits):
            counts = ", ".join(f"{count} of {len(splits[each])} in {each}" for each, count in unknown.items())
            notify(
                f"WARNING: it is not known who is in {sum(unknown.values())} clips ({counts}), so the same person may be in "
                "two splits, and accuracies too high: name persons in the person column of a manifest"
            )
        return splits

    def _divide(self, found: list[LabelledClip]) -> Splits:
        people = {"train": self.train_people, "val": self.val_people, "test": self.test_people}
        if self.folds:
            chosen = take_people(found, self.train_people) if self.train_people else found
            train, test = leave_persons_out(chosen, self.folds, self.seed)[self.fold]
            return {"train": [chosen[i] for i in train], "val": [], "test": [chosen[i] for i in test]}
        if not any(people.values()):
            return published_splits(found)
        return {split: take_people(found, names) if names else [] for split, names in people.items()}
