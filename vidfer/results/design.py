"""The design of a study, laid over the tables of a clip: its columns, its markers, and each person's own reference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidfer.media.quality import UNUSABLE
from vidfer.results.baseline import Baseline, add_baseline
from vidfer.results.consent import Consent
from vidfer.results.markers import Marker, Markers, excluded, mark, outside, read_markers
from vidfer.results.repool import counts, probabilities, repool
from vidfer.results.schema import DTYPES, SMOOTH, TABLES
from vidfer.results.smoothing import most_probable, smooth
from vidfer.results.study import PARTICIPANTS, Study, find_participants, read_consents, read_study
from vidfer.types import EMOTIONS, UsageError

if TYPE_CHECKING:
    import pandas as pd

    Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class StudyOptions:
    """What a study knows of its clips.

    Args:
        participants: CSV file with a row for each clip: clip, and participant, condition, stimulus or any other columns, which
            are carried into every table; consent and retain_until decide whether a clip is analysed (default: participants.csv
            in the folder of the clips, where there is one).
        markers: CSV file that names times of clips: clip (empty for all), name, start and end in s; what is named exclude, or has
            true in a column exclude, does not count.
        baseline: What each person's expressions are compared with in columns baseline_*: `neutral` for the person's own neutral
            face images, `first:SECONDS`, or `marker:NAME`.

    Raises:
        UsageError: The baseline is none of these, or of a marker without a file of markers.
    """

    participants: Path | None = field(default=None, metadata={"metavar": "FILE"})
    markers: Path | None = field(default=None, metadata={"metavar": "FILE"})
    baseline: str | None = field(default=None, metadata={"metavar": "neutral|first:S|marker:NAME"})

    def files(self, paths: Sequence[Path]) -> list[Path]:
        """Return the files of the study where these paths are analysed: they are no clips, whatever folder they lie in."""
        named = [path for path in (self.participants, self.markers) if path]
        return [*named, *(path / PARTICIPANTS for path in paths if not self.participants)]

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.baseline and Baseline.parse(self.baseline).kind == "marker" and not self.markers:
            raise UsageError(f"--baseline is '{self.baseline}': --markers has to name the file with that marker")


@dataclass(frozen=True)
class ClipDesign:
    """What a study says of one clip."""

    clip_id: str = ""
    study: Study = field(default_factory=Study)
    markers: tuple[Marker, ...] | None = None  # None where there is no file of markers
    baseline: Baseline | None = None

    @property
    def consent(self) -> Consent:
        """What is known of the consent to its analysis."""
        return self.study.consent(self.clip_id)

    def record(self) -> dict[str, Any]:
        """Return markers and baseline as JSON, by which `recall` makes the same design again."""
        markers = [{**asdict(one), "end": one.end if isfinite(one.end) else None} for one in self.markers or ()]
        return {
            "markers": None if self.markers is None else markers,
            "baseline": asdict(self.baseline) if self.baseline else None,
        }

    @classmethod
    def recall(cls, clip_id: str, record: Mapping[str, Any], clips: "pd.DataFrame") -> "ClipDesign":
        """Make the design again that was laid over a clip's tables, from its `record` and the clip's row of table `clips`."""
        kind_of = {dtype: kind for kind, dtype in DTYPES.items()}
        own = {column.name for column in TABLES["clips"]}
        kinds = {str(name): kind_of[str(clips[name].dtype)] for name in clips if name not in own}
        row = {name: None if clips[name].isna().iloc[0] else clips[name].iloc[0] for name in kinds}
        ends = [{**one, "end": inf if one["end"] is None else one["end"]} for one in record["markers"] or ()]
        return cls(
            clip_id,
            Study(kinds, {clip_id: row}),
            None if record["markers"] is None else tuple(Marker(**one) for one in ends),
            Baseline(**record["baseline"]) if record["baseline"] else None,
        )

    def exclude(
        self, frames: "pd.DataFrame", windows: "pd.DataFrame", abstain: float | None
    ) -> "tuple[pd.DataFrame, pd.DataFrame]":
        """Mark rows of `frames` and `windows`; what is excluded has no smoothed probabilities, and no part in those of others."""
        if self.markers is None:
            return frames, windows
        import pandas as pd

        frames, windows = (
            mark(rows, self.markers).assign(excluded=pd.array(excluded(rows, self.markers), "boolean"))
            for rows in (frames, windows)
        )
        return (frames if counts(frames).all() else smooth_again(frames, abstain)), windows

    def complete(self, tables: "Tables", settings: Mapping[str, Any] | None, end: float) -> "Tables":
        """Add the columns of the study, pool what an exclusion changes, and say in `warnings` what is to be known.

        Args:
            tables: The six tables of the clip, of which `frames` and `windows` went through `exclude`.
            settings: Those of `summary.json`; None where nothing was predicted.
            end: End of the clip in s.
        """
        notes = ["no row in the file of participants"] if self.clip_id in self.study.without_row else []
        if self.markers is not None:
            tables = {name: mark(rows, self.markers) if name in _MARKED else rows for name, rows in tables.items()}
            notes += outside(self.markers, end)
        if settings and not all(counts(tables[name]).all() for name in ("frames", "windows")):
            if len(tables["windows"]) and not counts(tables["windows"]).any():
                notes.append("the sound does not count: all of its windows reach into excluded times")
            before = tables["people"]["person_id"]
            tables, said = repool(tables, settings)
            gone = before[~before.isin(tables["people"]["person_id"])]
            notes += said + ([f"seen in excluded times only: {', '.join(gone)}"] if len(gone) else [])
        if self.baseline:
            tables, said = add_baseline(tables, self.baseline, self.markers or ())
            notes += said
        tables = {name: self.study.extend(rows, self.clip_id, name) for name, rows in tables.items()}
        return {**tables, "clips": _warn(tables["clips"], notes)} if notes else tables


_MARKED = ("seconds", "segments")


@dataclass(frozen=True)
class Design:
    """What a study says of the clips of a run."""

    study: Study = field(default_factory=Study)
    markers: Markers | None = None
    baseline: Baseline | None = None

    def of(self, clip_id: str) -> ClipDesign:
        """Return what it says of one clip."""
        markers = None if self.markers is None else self.markers.of(clip_id)
        return ClipDesign(clip_id, self.study.only(clip_id), markers, self.baseline)


def read_design(
    options: StudyOptions, paths: Sequence[Path], clips: Mapping[str, Path], notify: Callable[[str], None] | None = None
) -> Design:
    """Read the files of a study and match them to the clips of a run; what does not fit goes to `notify`, a line each.

    Consent is looked for beside and above the clips, too, whatever was named, where the study does not tell it: `read_consents`.

    Args:
        options: The user's.
        paths: Files and folders that were named; `participants.csv` is looked for there.
        clips: The clips' files by id.
        notify: Called with each line that the user should read.

    Raises:
        UsageError: A file cannot be read or does not fit: see `read_study`, `read_consents` and `read_markers`.
    """
    say = notify or (lambda _: None)
    found = [(options.participants, clips)] if options.participants else find_participants(paths, clips)
    study = read_study(found, named=options.participants is not None).with_consents(read_consents(clips))
    for path, own in [] if options.participants else found:
        say(f"{path} is used for {len(own)} clip{'' if len(own) == 1 else 's'}: --participants names another file")
    markers = read_markers(options.markers, clips) if options.markers else None
    baseline = Baseline.parse(options.baseline) if options.baseline else None
    for note in (*study.notes, *(markers.notes if markers else ())):
        say(note)
    if baseline and markers and baseline.kind == "marker" and baseline.marker not in markers.names:
        known = ", ".join(sorted(markers.names)) or "none"
        raise UsageError(f"{options.markers} has no marker {baseline.marker} for --baseline, but {known}")
    return Design(study, markers, baseline)


def smooth_again(frames: "pd.DataFrame", abstain: float | None) -> "pd.DataFrame":
    """Smooth the probabilities of table `frames` by `person_id`; rows that a marker excludes have none, and no part in others."""
    raw, counted = probabilities(frames), counts(frames)
    weight, time = (frames[name].to_numpy(np.float64, na_value=0.0) for name in ("weight", "time_s"))
    images = ~np.isnan(raw).any(1)
    used, even = np.where(counted & images & (weight >= UNUSABLE), weight, 0), np.full_like(raw, np.nan)
    for rows in frames.assign(row=np.arange(len(frames)))[images].groupby("person_id")["row"]:
        places = rows[1].to_numpy()
        even[places] = smooth(time[places], raw[places], used[places])
    even[~counted] = np.nan
    named = most_probable(even, abstain)
    columns = {f"{SMOOTH}{name}": even[:, at] for at, name in enumerate(EMOTIONS)}
    return frames.assign(smooth_expression=named, **columns).astype({"smooth_expression": "string"})


def _warn(clips: "pd.DataFrame", notes: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    said = ["; ".join([*([] if pd.isna(text) else [text]), *notes]) for text in clips["warnings"]]
    return clips.assign(warnings=pd.array(said, "string"))
