"""What every reader of clips shares: the clip with its label, and the search for damaged, doubled and inconsistent entries."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidfer.datasets.files import content_keys, file_fault
from vidfer.datasets.report import PreparationReport
from vidfer.types import EMOTIONS, VidferError


@dataclass(frozen=True)
class LabelledClip:
    """A clip whose displayed expression is known.

    Args:
        path: The file.
        label: Its class, one of `EMOTIONS`.
        person: Who is in it, unique across data sets, such as `ravdess-17`; None where that is not known.
        split: `train`, `val` or `test`, where the data set publishes one.
        shown: Its name where that of the file alone would not tell it from others of the data set.
    """

    path: Path
    label: str
    person: str | None = None
    split: str | None = None
    shown: str = ""

    @property
    def target(self) -> int:
        """The class as an index into `EMOTIONS`."""
        return EMOTIONS.index(self.label)

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

    A file is read as a whole only where another one has as many bytes.

    Args:
        source: The data set, for people.
        root: Its folder.
        clips: What the reader found, in its order.
        dropped: What the reader left out already, by reason.
        noted: What it found odd, by reason.

    Returns:
        The clips kept, and the report: empty and unreadable files and one content under two labels are dropped; copies
        under one label, and names that occur twice, are kept and noted.

    Raises:
        VidferError: Nothing is left.
    """
    lost, odd = defaultdict(list, dropped or {}), defaultdict(list, noted or {})
    found = len(clips) + sum(map(len, lost.values()))
    twice = {name for name, count in Counter(clip.path.name for clip in clips).items() if count > 1}
    named = [replace(clip, shown=_below(clip.path, root)) if clip.path.name in twice else clip for clip in clips]
    if twice:
        odd["file name occurs twice"] += [clip.name for clip in named if clip.path.name in twice]
    readable = []
    for clip in named:
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
    """Keep the first file of each take that can be read.

    Args:
        takes: What was recorded, and a file of it, the preferred files first.
        dropped: Gets the names of the others, by reason.
    """
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
    contradictory: set[Path] = set()
    for group in groups.values():
        if len({clip.label for clip in group}) > 1:
            lost["one content under two labels"] += [clip.name for clip in group]
            contradictory |= {clip.path for clip in group}
        elif len(group) > 1:
            odd["copy of another clip"] += [f"{clip.name} of {group[0].name}" for clip in group[1:]]
    return [clip for clip in clips if clip.path not in contradictory]


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def missing_takes(present: Iterable[tuple[str, str]]) -> list[str]:
    """Find what some persons lack although most have it.

    Args:
        present: Script and person of each recording.

    Returns:
        Script and person, `<script> <person>`, for scripts that more than half of the persons have.
    """
    have: dict[str, set[str]] = defaultdict(set)
    for script, person in present:
        have[script].add(person)
    people = set().union(*have.values())
    return [
        f"{script} {person}"
        for script, those in sorted(have.items())
        if 2 * len(those) > len(people)
        for person in sorted(people - those)
    ]
