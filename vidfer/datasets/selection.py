"""Which labelled clips of a data set are trained, validated and tested on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidfer.datasets.clips import find_clips
from vidfer.datasets.report import LabelledClip, PreparationReport
from vidfer.datasets.splits import (
    hold_persons_out,
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
    val_share: float = 0.0
    test_share: float = 0.0
    unlabelled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.folds and not 0 <= self.fold < self.folds:
            raise VidferError(f"there are folds 0 to {self.folds - 1}, not {self.fold}")
        if self.seed < 0:
            raise VidferError("seed has to be at least 0")
        if min(self.val_share, self.test_share) < 0 or self.val_share + self.test_share >= 1:
            shares = f"not {self.val_share:g} and {self.test_share:g}"
            raise VidferError(f"val_share and test_share have to be at least 0, and together below 1, {shares}")

    @property
    def name(self) -> str:
        """What the data are called: by the data set, or by the last part of their folder's or file's path."""
        own = self.root if self.data in ("folders", "manifest") else None
        return Path(own or self.data).name

    def find(self) -> tuple[list[LabelledClip], PreparationReport]:
        """Find the clips: the labelled ones, and with `unlabelled` the others, too."""
        root = None if self.root is None else Path(self.root)
        return find_clips(self.data, root, unlabelled=self.unlabelled)

    def splits(self, notify: Callable[[str], None] = lambda _line: None) -> Splits:
        """Find and divide the clips so that no person and no content is in two splits; what is odd is passed on as lines.

        Raises:
            VidferError: Nothing is found, it cannot be divided so, or a person would be in two splits.
        """
        found, report = self.find()
        divided = self._divide([clip for clip in found if clip.label is not None])
        require_disjoint(divided)
        bare = [clip for clip in found if clip.label is None]
        taught = [clip for clip in bare if self._may_teach(clip, divided)]
        splits, leaks = remove_leaks({**divided, "train": [*divided["train"], *taught]})
        for line in (*report.lines(), *leaks.lines()):
            notify(line)
        if len(taught) < len(bare):
            notify(
                f"{len(bare) - len(taught)} clips without a label are not trained on: their persons or splits are not"
            )
        if unknown := unknown_persons(splits):
            counts = ", ".join(f"{count} of {len(splits[each])} in {each}" for each, count in unknown.items())
            notify(
                f"WARNING: it is not known who is in {sum(unknown.values())} clips ({counts}), so the same person may be in "
                "two splits, and accuracies too high: name persons in the person column of a manifest"
            )
        return splits

    def _divide(self, labelled: list[LabelledClip]) -> Splits:
        """Divide as is said by name, then hold shares of the persons out for what nobody has been named for."""
        people = {"train": self.train_people, "val": self.val_people, "test": self.test_people}
        if self.folds:
            chosen = take_people(labelled, self.train_people) if self.train_people else labelled
            train, test = leave_persons_out(chosen, self.folds, self.seed)[self.fold]
            divided = {"train": [chosen[i] for i in train], "val": [], "test": [chosen[i] for i in test]}
        elif any(people.values()):
            divided = {split: take_people(labelled, names) if names else [] for split, names in people.items()}
        elif any(clip.split for clip in labelled) or not self.val_share + self.test_share:
            divided = published_splits(labelled)
        else:
            divided = {"train": labelled, "val": [], "test": []}
        shares = {"test": self.test_share, "val": self.val_share}
        wanted = {split: share for split, share in shares.items() if share and not divided[split]}
        return divided | hold_persons_out(divided["train"], wanted, self.seed) if wanted else divided

    def _may_teach(self, clip: LabelledClip, divided: Splits) -> bool:
        """Say whether a clip without a label may be trained on: never one of a person who is validated or tested on."""
        if clip.split in ("val", "test"):
            return False
        if clip.person is None:
            return True
        if clip.person in {other.person for split in ("val", "test") for other in divided[split]}:
            return False
        return not self.train_people or clip.person in {other.person for other in divided["train"]}
