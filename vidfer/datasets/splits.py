"""Splits of labelled clips in which no person and no content is in two parts."""

import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from blake3 import blake3

from vidfer.datasets.report import LabelledClip, PreparationReport, content_keys
from vidfer.pipeline.digest import digest_files
from vidfer.types import EMOTIONS, VidferError, parse_list

SPLITS: Final = ("train", "val", "test")

_REMEDY: Final = "give a manifest with a person column"


def published_splits(clips: Sequence[LabelledClip]) -> dict[str, list[LabelledClip]]:
    """Divide clips into `train`, `val` and `test` as their data set does; a split that is not published is empty.

    Raises:
        VidferError: A clip has no split.
    """
    unknown = [clip for clip in clips if clip.split is None]
    if unknown:
        raise VidferError(
            f"{len(unknown)} of {len(clips)} clips are in no published split (such as {unknown[0].name}): "
            "choose people, folds, or test_share and val_share, or give a manifest with a split column"
        )
    return {split: [clip for clip in clips if clip.split == split] for split in SPLITS}


def take_people(clips: Sequence[LabelledClip], people: str) -> list[LabelledClip]:
    """Take the clips of some people, in order; those of unknown persons never.

    People are names such as `ravdess-17`, and numbers or ranges such as `2-16,19`, divided by commas. Numbers are looked for at
    the end of the names: `2-16` takes `ravdess-2` to `ravdess-16`, `ravdess-2-16` takes them of RAVDESS alone. The name of a data
    set takes all of its people.

    Raises:
        VidferError: No person is known, or a part matches no known person.

    Example:
        >>> from pathlib import Path
        >>> clips = [LabelledClip(Path(f"{n}.wav"), "sad", f"ravdess-{n}") for n in range(1, 25)]
        >>> len(take_people(clips, "2-16,19"))
        16
    """
    known = {clip.person for clip in clips if clip.person is not None}
    if not known:
        raise VidferError(f"nobody is known by name in these {len(clips)} clips, so people cannot be chosen: {_REMEDY}")
    chosen: set[str] = set()
    for part in parse_list(people, str, what="person", example="2-16,19, or names"):
        meant = _meant(part, known) or {str(clip.person) for clip in clips if clip.corpus == part and clip.person}
        if not meant:
            shown = ", ".join(sorted(known, key=_natural)[:6]) + (", ..." if len(known) > 6 else "")
            raise VidferError(f"no clip is of '{part}': there are {shown}; name people as 2-16,19 or by their names")
        chosen |= meant
    return [clip for clip in clips if clip.person in chosen]


def leave_persons_out(clips: Sequence[LabelledClip], folds: int, seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Divide clips into 2 or more subject-independent folds: for each the ascending indices to train on and to test on.

    scikit-learn's `StratifiedGroupKFold` with persons as groups keeps the folds about even in classes; where it cannot, or
    leaves a fold empty, `GroupKFold` makes them even in persons.

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
    """Count the clips of unknown persons in each split that has some, where there are several splits that may share them."""
    counts = {split: sum(clip.person is None for clip in clips) for split, clips in splits.items()}
    several = sum(bool(clips) for clips in splits.values()) > 1
    return {split: count for split, count in counts.items() if count and several}


def hold_persons_out(
    clips: Sequence[LabelledClip], shares: Mapping[str, float], seed: int = 0
) -> dict[str, list[LabelledClip]]:
    """Move shares of the persons out of `train`, each into a split of its own: classes as alike everywhere as persons allow.

    A clip of an unknown person counts as a person of its own, unless its content recurs. Who is moved is decided by the
    clips and the seed, not by the order of the clips or where they lie: of equally good choices, by a digest.

    Args:
        clips: Labelled clips.
        shares: Share of the persons by split, above 0; at least one person each. Drawn in their order.
        seed: Decides between equally good choices.

    Raises:
        VidferError: There are too few persons.
    """
    of_clip = _groups(clips)
    groups = sorted(set(of_clip), key=lambda group: blake3(f"{seed} {group}".encode()).digest())
    counts = np.zeros((len(groups), len(EMOTIONS)))
    place = {group: at for at, group in enumerate(groups)}
    for group, clip in zip(of_clip, clips, strict=True):
        counts[place[group], clip.target] += 1
    wanted = {split: max(1, round(share * len(groups))) for split, share in shares.items()}
    if sum(wanted.values()) >= len(groups):
        told = ", ".join(f"{split} {number}" for split, number in wanted.items())
        raise VidferError(f"of {len(groups)} persons nobody is left to train on ({told}): choose smaller shares")
    left, chosen = np.full(len(groups), True), dict[str, str]()
    for split, number in wanted.items():
        for at in _draw_alike(counts, left, number):
            left[at] = False
            chosen[groups[at]] = split
    return {
        split: [clip for group, clip in zip(of_clip, clips, strict=True) if chosen.get(group, "train") == split]
        for split in ("train", *shares)
    }


def _groups(clips: Sequence[LabelledClip]) -> list[str]:
    """Name each clip's person; of unknown persons the content."""
    return [
        f"content {digest_files([clip.path], clip.path)[0][1]}" if clip.person is None else f"person {clip.person}"
        for clip in clips
    ]


def _draw_alike(counts: np.ndarray, left: np.ndarray, number: int) -> list[int]:
    """Draw so many rows that are `left` of clips by person and class, `counts (persons, classes)`.

    Drawn one by one, each so that the share drawn of every class comes nearest to the share of persons drawn.
    """
    shares = counts / np.maximum(counts.sum(0), 1)
    there, free, drawn = counts.sum(0) > 0, left.copy(), np.zeros(counts.shape[1])
    chosen: list[int] = []
    for done in range(1, number + 1):
        distance = np.square((drawn + shares - done / len(counts))[:, there]).sum(1)
        at = int(np.where(free, distance, np.inf).argmin())
        free[at] = False
        drawn = drawn + shares[at]
        chosen.append(at)
    return chosen


def persons_known(splits: Mapping[str, Sequence[LabelledClip]]) -> str:
    """Say for a card whether the persons of all clips are `known`, `partly known` or `unknown`."""
    known = {clip.person is not None for clips in splits.values() for clip in clips}
    return "partly known" if len(known) > 1 else "known" if True in known else "unknown"


def find_shared(contents: Mapping[str, Sequence[tuple[str, str]]]) -> list[dict[str, list[str]]]:
    """Find digests that are in two or more splits, given each split's pairs of name and digest: the names of each, by split."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for split, items in contents.items():
        for name, digest in items:
            found[digest][split].append(name)
    return [dict(names) for names in found.values() if len(names) > 1]


def find_leaks(splits: Mapping[str, Sequence[LabelledClip]]) -> list[dict[str, list[str]]]:
    """Find clips whose files are byte-identical with one in another split, as `find_shared` does."""
    return find_shared(_contents(splits))


def remove_leaks(
    splits: Mapping[str, Sequence[LabelledClip]],
) -> tuple[dict[str, list[LabelledClip]], PreparationReport]:
    """Drop from `train` what recurs in `val` or `test`, and from `val` what recurs in `test`, with a report that names it.

    Further copies within `train` are dropped as well; those within `val` and `test` are kept and noted.
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
    found, left = (sum(map(len, each.values())) for each in (splits, kept))
    report = PreparationReport("leak check by content", found, left, dict(dropped), dict(noted))
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
