"""Splits of labelled clips in which no person and no content is in two parts."""

import re
import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from vidfer.datasets.report import LabelledClip, PreparationReport, content_keys
from vidfer.types import VidferError, parse_list

SPLITS: Final = ("train", "val", "test")

_REMEDY: Final = "give a manifest with a person column"


def published_splits(clips: Sequence[LabelledClip]) -> dict[str, list[LabelledClip]]:
    """Divide clips as their data set does.

    Returns:
        Those of `train`, `val` and `test`; a split that is not published is empty.

    Raises:
        VidferError: A clip has no split.
    """
    unknown = [clip for clip in clips if clip.split is None]
    if unknown:
        raise VidferError(
            f"{len(unknown)} of {len(clips)} clips are in no published split (such as {unknown[0].name}): "
            "choose people or folds, or give a manifest with a split column"
        )
    return {split: [clip for clip in clips if clip.split == split] for split in SPLITS}


def take_people(clips: Sequence[LabelledClip], people: str) -> list[LabelledClip]:
    """Take the clips of some people.

    Args:
        clips: Clips to choose from. Those of unknown persons are never taken.
        people: Names such as `ravdess-17`, and numbers or ranges such as `2-16,19`, divided by commas. Numbers are looked for at
            the end of the names: `2-16` takes `ravdess-2` to `ravdess-16`. `ravdess-2-16` takes them of RAVDESS alone.

    Returns:
        Their clips, in order.

    Raises:
        VidferError: Nobody is known, a part is no such thing, or nobody there is meant by a part.

    Example:
        >>> from pathlib import Path
        >>> clips = [LabelledClip(Path(f"{n}.wav"), "sad", f"ravdess-{n}") for n in range(1, 25)]
        >>> len(take_people(clips, "2-16,19"))
        16
    """
    known = {clip.person for clip in clips if clip.person is not None}
    if not known:
        raise VidferError(f"nobody is known by name in these {len(clips)} clips, so people cannot be chosen: {_REMEDY}")
    chosen = parse_people(people, known)
    return [clip for clip in clips if clip.person in chosen]


def parse_people(text: str, known: Collection[str]) -> set[str]:
    """Find who is meant by names, numbers and ranges of numbers, see `take_people`.

    Args:
        text: Such as `2-16,19`, `ravdess-2-16` or `anna,ben`.
        known: The names that there are.

    Raises:
        VidferError: A part is no such thing, or nobody is meant by it, or by the whole.

    Example:
        >>> sorted(parse_people("1-2,anna", ["ravdess-1", "ravdess-2", "ravdess-3", "anna"]))
        ['anna', 'ravdess-1', 'ravdess-2']
    """
    parts = parse_list(text, str, what="person", example="2-16,19, or names")
    chosen: set[str] = set()
    for part in parts:
        meant = _meant(part, set(known))
        if not meant:
            shown = ", ".join(sorted(known, key=_natural)[:6]) + (", ..." if len(known) > 6 else "")
            raise VidferError(f"no clip is of '{part}': there are {shown}; name people as 2-16,19 or by their names")
        chosen |= meant
    return chosen


def leave_persons_out(clips: Sequence[LabelledClip], folds: int, seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Divide clips into subject-independent folds, so that each person is tested on once.

    scikit-learn's `StratifiedGroupKFold` with persons as groups keeps the folds about even in classes; where it cannot, or
    leaves a fold empty, `GroupKFold` makes them even in persons.

    Args:
        clips: Clips of known persons.
        folds: Number of folds, from 2 to the number of persons, when each is left out alone.
        seed: Seed of the order of the persons.

    Returns:
        For each fold the indices of the clips to train on, and of those to test on, ascending.

    Raises:
        VidferError: A person is unknown, or there are too few persons or folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    unknown = [clip.name for clip in clips if clip.person is None]
    if unknown:
        raise VidferError(f"leaving persons out needs to know who is in each clip, not so for {unknown[0]}: {_REMEDY}")
    person, target = np.array([str(clip.person) for clip in clips]), np.array([clip.target for clip in clips])
    count = len(set(person))
    if not 2 <= folds <= count:
        raise VidferError(f"{folds} folds of {count} people: choose from 2 to as many as there are people")
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    if np.bincount(target).max() >= folds:  # else there is nothing to stratify, and scikit-learn refuses
        with warnings.catch_warnings():  # of classes with fewer clips than folds
            warnings.simplefilter("ignore", UserWarning)
            parts = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(target, target, person))
    if not parts or not all(len(test) for _, test in parts):
        parts = list(GroupKFold(folds, shuffle=True, random_state=seed).split(target, target, person))
    return [(train.tolist(), test.tolist()) for train, test in parts]


def require_disjoint(splits: Mapping[str, Sequence[LabelledClip]]) -> None:
    """Refuse splits that share a person. Persons that nobody knows cannot be compared.

    Raises:
        VidferError: A person is in two splits.
    """
    people = {split: {clip.person for clip in clips} - {None} for split, clips in splits.items()}
    for one, other in combinations(people, 2):
        if shared := sorted((str(person) for person in people[one] & people[other]), key=_natural):
            raise VidferError(f"{', '.join(shared)} in {one} and {other}: no person may be in two splits")


def unknown_persons(splits: Mapping[str, Sequence[LabelledClip]]) -> dict[str, int]:
    """Count the clips of unknown persons in each split: any of them may be in another split, too.

    Returns:
        The number of clips in each split that has some; nothing where there is only one split.
    """
    counts = {split: sum(clip.person is None for clip in clips) for split, clips in splits.items()}
    several = sum(bool(clips) for clips in splits.values()) > 1
    return {split: count for split, count in counts.items() if count and several}


@dataclass(frozen=True)
class Leak:
    """One content in two or more splits: names of its copies, by split."""

    names: dict[str, list[str]]

    def __str__(self) -> str:
        """Return the copies by split, for messages."""
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


def _meant(part: str, known: set[str]) -> set[str]:
    if part in known:
        return {part}
    match = re.fullmatch(r"(?:(.*[^\d-])-)?(\d+)(?:-(\d+))?", part)
    if match is None:
        return set()
    prefix, first, last = match[1], int(match[2]), int(match[3] or match[2])
    if last < first:
        raise VidferError(f"people '{part}': the range runs backwards")
    numbered = [(person, re.fullmatch(r"(.*?)-?(\d+)", person)) for person in known]
    return {person for person, own in numbered if own and first <= int(own[2]) <= last and prefix in (None, own[1])}


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part or 0), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
