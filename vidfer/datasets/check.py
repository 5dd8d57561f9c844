"""Is a data set there, and whole? What the readers find, counted by part and class and held against what was published."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vidfer.datasets.report import VIDEO_SUFFIXES, LabelledClip, PreparationReport
from vidfer.datasets.sources import SOURCES, Source
from vidfer.types import EMOTIONS, UsageError, VidferError, did_you_mean


@dataclass
class DataCheck:
    """What was found of a data set.

    Args:
        source: What it is, where it is had, and its terms.
        root: The folder or file that was looked at.
        counts: Usable items of each part, by class; by `""` where there are no classes.
        missing: What is not there or cannot be used, in sentences: the set is whole where there is nothing.
        notes: What else is to be known: persons, video, and the readers' reports.
    """

    source: Source
    root: Path
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def add(self, part: str, found: int, counts: Mapping[str, int], report: PreparationReport | None = None) -> None:
        """Add a part of which so many items were found; fewer than published are missing."""
        self.counts[part] = Counter(counts)
        published = self.source.published.get(part, 0)
        if found < published:
            self.missing.append(f"{part}: {published - found:,} of {published:,} are missing")
        if report is not None:
            self.notes += [f"{part}: {line.strip()}" for line in report.lines(1)[1:]]


def check_data(name: str, root: Path | None = None) -> DataCheck:
    """Look for a data set of `SOURCES` in a folder, by default its own.

    Raises:
        UsageError: There is no data set of that name.
    """
    check = DataCheck(find_source(name), root or default_root(name))
    if not check.root.exists():
        check.missing.append(f"there is no {check.root}")
        return check
    _CHECKS.get(name, _check_clips)(name, check)
    return check


def find_source(name: str) -> Source:
    """Return a data set by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in SOURCES:
        raise UsageError(
            f"there is no data set '{name}'{did_you_mean(name, list(SOURCES))}: there are {', '.join(SOURCES)}"
        )
    return SOURCES[name]


def default_root(name: str) -> Path:
    """Return where a data set of `SOURCES` is looked for unless told otherwise."""
    from vidfer.datasets.clips import DATASETS, recognise

    return recognise(name)[1] if name in DATASETS else Path(SOURCES[name].folder)


def _check_images(name: str, check: DataCheck) -> None:
    """Read FER2013, or its FER+ labels, split by split."""
    from vidfer.datasets.fer2013 import read_images

    for part in check.source.published:
        try:
            images = read_images(check.root, part, labels="ferplus" if name == "ferplus" else "fer2013")
        except VidferError as error:
            check.missing.append(str(error))
            if "fer2013new.csv" in str(error):  # the same for every split
                return
            continue
        counts = Counter(EMOTIONS[target] for target in images.target)
        check.add(part, images.report.found, counts, images.report)


def _check_photographs(_name: str, check: DataCheck) -> None:
    """List the two parts of DIV2K."""
    from vidfer.datasets.div2k import list_part

    for part in check.source.published:
        try:
            paths, report = list_part(check.root, part)
        except VidferError as error:
            check.missing.append(str(error))
            continue
        check.add(part, len(paths), {"": len(paths)}, report)


def _check_clips(name: str, check: DataCheck) -> None:
    """Find a corpus's clips; its parts are its splits, RAVDESS' speech and song."""
    from vidfer.datasets.clips import find_clips

    try:
        clips, report = find_clips(name, check.root)
    except VidferError as error:
        check.missing.append(str(error))
        return
    parts: dict[str, Counter[str]] = {}
    for clip in clips:
        parts.setdefault(_part(name, clip), Counter())[clip.label or ""] += 1
    for part in sorted(parts, key=list(check.source.published or parts).index):
        check.add(part, parts[part].total(), parts[part])
    check.notes += _about(clips)
    check.missing += [f"{split}: the split is not there" for split in report.noted.get("split is not there", [])]
    check.notes += [line.strip() for line in report.lines(1)[1:] if "split is not there" not in line]


def _part(name: str, clip: LabelledClip) -> str:
    if name == "ravdess":
        return "speech" if clip.path.stem[3:5] == "01" else "song"
    return clip.split or "all"


def _about(clips: list[LabelledClip]) -> Iterator[str]:
    people = {clip.person for clip in clips} - {None}
    video = sum(clip.path.suffix.lower() in VIDEO_SUFFIXES for clip in clips)
    yield f"{len(people)} persons" if people else "it is not known who is shown"
    yield f"{video:,} of {len(clips):,} with video" if video else "sound alone, no video"


_CHECKS: Final[Mapping[str, Callable[[str, DataCheck], None]]] = {
    "fer2013": _check_images,
    "ferplus": _check_images,
    "div2k": _check_photographs,
}
