"""Labelled clips, what is wrong with their files at first sight, and the report of what a reader found and left out."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from vidfer.pipeline.digest import file_digest
from vidfer.types import EMOTIONS, VidferError

SOUND_SUFFIXES: Final = (".flac", ".wav", ".m4a", ".ogg", ".mp3")
"""Files that hold sound alone."""

VIDEO_SUFFIXES: Final = (".mp4", ".mkv", ".mov", ".avi", ".flv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
"""Files that may hold both."""

_POINTER: Final = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class PreparationReport:
    """What was found while the data set and split `source` was read, and how many items were kept.

    `dropped` has the names of the items left out, by reason; `noted` those of items kept although something about them is odd.
    """

    source: str
    found: int
    kept: int
    dropped: dict[str, list[str]] = field(default_factory=dict)
    noted: dict[str, list[str]] = field(default_factory=dict)

    def merge(self, other: "PreparationReport", source: str) -> "PreparationReport":
        """Return the report over both."""
        dropped, noted = (
            {reason: one.get(reason, []) + two.get(reason, []) for reason in {**one, **two}}
            for one, two in ((self.dropped, other.dropped), (self.noted, other.noted))
        )
        return PreparationReport(source, self.found + other.found, self.kept + other.kept, dropped, noted)

    def lines(self, examples: int = 3) -> list[str]:
        """Render the report for a terminal: a line for the totals, then one for each reason with some names."""
        result = [f"{self.source}: {self.kept} of {self.found} kept"]
        for verb, reasons in (("dropped", self.dropped), ("noted", self.noted)):
            for reason, names in reasons.items():
                shown = ", ".join(names[:examples]) + (", ..." if len(names) > examples else "")
                result.append(f"  {verb} {len(names)}: {reason} ({shown})")
        return result


@dataclass(frozen=True)
class LabelledClip:
    """A clip whose displayed expression is known, or one without a label, for semi-supervised training."""

    path: Path
    label: str | None  # one of `EMOTIONS`; None where nobody has said
    person: str | None = None  # unique across data sets, such as `ravdess-17`; None where not known
    split: str | None = None  # `train`, `val` or `test`, where the data set publishes one
    corpus: str = ""  # the data set that it is of, such as `ravdess`
    shown: str = ""  # its name where that of the file alone is not unique in the data set

    @property
    def target(self) -> int:
        """The class as an index into `EMOTIONS`; -1 without a label."""
        return -1 if self.label is None else EMOTIONS.index(self.label)

    @property
    def name(self) -> str:
        """The file's name, or its path below the data set where two files have the same name."""
        return self.shown or self.path.name


def prepare(
    source: str,
    root: Path,
    clips: Sequence[LabelledClip],
    dropped: dict[str, list[str]] | None = None,
    noted: dict[str, list[str]] | None = None,
) -> tuple[list[LabelledClip], PreparationReport]:
    """Leave out what cannot be read or contradicts itself, note what is doubled, and name every clip uniquely.

    Empty and unreadable files and one content under two labels are dropped; copies under one label, and names that occur twice,
    are kept and noted beside what the reader has `dropped` and `noted` already. A file is read as a whole only where another one
    has as many bytes.

    Raises:
        VidferError: Nothing is left.
    """
    lost, odd = defaultdict(list, dropped or {}), defaultdict(list, noted or {})
    found = len(clips) + sum(map(len, lost.values()))
    labelled = Counter(clip.path.name for clip in clips if clip.label is not None)
    every = Counter(clip.path.name for clip in clips)
    readable = []
    for clip in clips:
        if (every if clip.label is None else labelled)[clip.path.name] > 1:
            below = clip.path.relative_to(root) if clip.path.is_relative_to(root) else clip.path
            clip = replace(clip, shown=below.as_posix())
            odd["file name occurs twice"].append(clip.name)
        if fault := file_fault(clip.path):
            lost[fault].append(clip.name)
        else:
            readable.append(clip)
    kept = _consistent(readable, lost, odd)
    if not kept:
        why = "".join(f"; {len(names)} left out: {reason} ({names[0]})" for reason, names in lost.items())
        raise VidferError(f"{source}: no usable clip in {root}{why}")
    return kept, PreparationReport(source, found, len(kept), dict(lost), dict(odd))


def one_file_of_each(
    takes: Iterable[tuple[str, LabelledClip]], dropped: dict[str, list[str]]
) -> dict[str, LabelledClip]:
    """Keep the first readable file of each take, of pairs of take and file; `dropped` gets the names of the others, by reason."""
    kept: dict[str, LabelledClip] = {}
    for take, clip in takes:
        fault = file_fault(clip.path) or ("another file of the same take" if take in kept else "")
        if fault:
            dropped.setdefault(fault, []).append(f"{clip.path.parent.name}/{clip.path.name}")
        else:
            kept[take] = clip
    return kept


def _consistent(clips: list[LabelledClip], lost: dict[str, list[str]], odd: dict[str, list[str]]) -> list[LabelledClip]:
    groups: dict[str, list[LabelledClip]] = defaultdict(list)
    for key, clip in zip(content_keys(clip.path for clip in clips), clips, strict=True):
        groups[key].append(clip)
    left_out: set[Path] = set()
    for group in groups.values():
        labelled = [clip for clip in group if clip.label is not None]
        if labelled and len(labelled) < len(group):
            useless = [clip for clip in group if clip.label is None]
            lost["without a label, and a copy of a labelled clip"] += [clip.name for clip in useless]
            left_out |= {clip.path for clip in useless}
        same = labelled or group
        if len({clip.label for clip in same}) > 1:
            lost["one content under two labels"] += [clip.name for clip in same]
            left_out |= {clip.path for clip in same}
        elif len(same) > 1:
            odd["copy of another clip"] += [f"{clip.name} of {same[0].name}" for clip in same[1:]]
    return [clip for clip in clips if clip.path not in left_out]


def missing_takes(present: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Find the pairs of script and person that are not `present` although most persons have the script."""
    have: dict[str, set[str]] = defaultdict(set)
    for script, person in present:
        have[script].add(person)
    people = set().union(*have.values())
    return [
        (script, person)
        for script, those in sorted(have.items())
        if 2 * len(those) > len(people)
        for person in sorted(people - those)
    ]


def media_files(root: Path) -> list[Path]:
    """List the files below a folder that may be clips, by their suffix.

    Raises:
        VidferError: There is no such folder.
    """
    if not root.is_dir():
        raise VidferError(f"no folder {root}: name the folder that holds the data set")
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in (*SOUND_SUFFIXES, *VIDEO_SUFFIXES))


def mostly_named(root: Path, pattern: re.Pattern[str]) -> bool:
    """Tell whether the names of most clips below a folder match a pattern."""
    named = [pattern.fullmatch(path.stem) is not None for path in media_files(root)]
    return 2 * sum(named) > len(named)


def file_fault(path: Path) -> str:
    """Say why a file cannot be a recording, without decoding it; nothing where it may be one."""
    try:
        if not path.is_file():
            return "missing" if not path.exists() else "no regular file"
        with path.open("rb") as file:
            head = file.read(len(_POINTER))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not head:
        return "empty file"
    return "git-lfs pointer in place of the recording: run `git lfs pull`" if head == _POINTER else ""


def content_keys(paths: Iterable[Path]) -> list[str]:
    """Return a key for each file, equal within one call where the contents are; only sizes that occur twice are hashed.

    Raises:
        VidferError: A file cannot be read.
    """
    listed = list(paths)
    try:
        identity = [
            (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for stat in (path.stat() for path in listed)
        ]
        sizes = Counter(size for size, *_ in identity)
        return [
            _remembered_digest(path, *facts) if sizes[facts[0]] > 1 else f"the only one of {facts[0]} bytes"
            for path, facts in zip(listed, identity, strict=True)
        ]
    except OSError as error:
        raise VidferError(f"{error.filename} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=100_000)
def _remembered_digest(path: Path, *identity: int) -> str:
    return file_digest(path)
