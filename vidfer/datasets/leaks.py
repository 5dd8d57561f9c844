"""What recurs across splits, by content: run before every fit, so that nothing is tested on that was trained on."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vidfer.datasets.files import content_keys
from vidfer.datasets.preparation import LabelledClip
from vidfer.datasets.report import PreparationReport
from vidfer.datasets.splits import SPLITS


@dataclass(frozen=True)
class Leak:
    """One content in two or more splits.

    Args:
        names: Names of its copies, by split.
    """

    names: dict[str, list[str]]

    def __str__(self) -> str:
        """Return the copies by split, for people."""
        return " = ".join(f"{split}: {', '.join(names)}" for split, names in self.names.items())


def find_shared(contents: Mapping[str, Sequence[tuple[str, str]]]) -> list[Leak]:
    """Find contents that are in two or more splits.

    Args:
        contents: Name and digest of each item, by split; such as `zip(images.name, images.digest)` of FER2013.

    Returns:
        What recurs, in the order of the first split that has it.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for split, items in contents.items():
        for name, digest in items:
            found[digest][split].append(name)
    return [Leak(dict(names)) for names in found.values() if len(names) > 1]


def find_leaks(splits: Mapping[str, Sequence[LabelledClip]]) -> list[Leak]:
    """Find clips whose files are byte-identical with one in another split.

    Args:
        splits: Clips by split.

    Returns:
        What recurs, by name.

    Raises:
        VidferError: A file cannot be read.
    """
    return find_shared(_contents(splits))


def remove_leaks(
    splits: Mapping[str, Sequence[LabelledClip]],
) -> tuple[dict[str, list[LabelledClip]], PreparationReport]:
    """Drop from `train` what recurs in `val` or `test`, and from `val` what recurs in `test`.

    Further copies within `train` are dropped as well; those within `val` and `test` are kept and noted, since a test set is
    what it is.

    Args:
        splits: Clips by split.

    Returns:
        The splits without leaks, and a report that names what was found.

    Raises:
        VidferError: A file cannot be read.
    """
    contents = _contents(splits)
    kept: dict[str, list[LabelledClip]] = {}
    later: dict[str, str] = {}  # content of what is tested on, and where it is
    dropped: dict[str, list[str]] = defaultdict(list)
    noted: dict[str, list[str]] = defaultdict(list)
    for split in sorted(splits, key=SPLITS.index, reverse=True):
        seen: dict[str, str] = {}
        kept[split] = []
        for clip, (name, key) in zip(splits[split], contents[split], strict=True):
            if key in later:
                dropped[f"in {split}, and recurs in {later[key].split(': ')[0]}"].append(f"{name} = {later[key]}")
                continue
            if key in seen and split == "train":
                dropped["copy within train"].append(f"{name} = {seen[key]}")
                continue
            if key in seen:
                noted[f"copy within {split}"].append(f"{name} = {seen[key]}")
            seen.setdefault(key, name)
            kept[split].append(clip)
        later |= {key: f"{split}: {name}" for key, name in seen.items()}
    report = PreparationReport(
        "leak check by content",
        sum(map(len, splits.values())),
        sum(map(len, kept.values())),
        dict(dropped),
        dict(noted),
    )
    return {split: kept[split] for split in splits}, report


def _contents(splits: Mapping[str, Sequence[LabelledClip]]) -> dict[str, list[tuple[str, str]]]:
    keys = iter(content_keys(clip.path for clips in splits.values() for clip in clips))
    return {split: [(clip.name, next(keys)) for clip in clips] for split, clips in splits.items()}
