"""What a bundle predicts for labelled clips, through the very chain of `vidfer analyze --models`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from vidfer import api
from vidfer.datasets.clips import find_clips
from vidfer.datasets.report import LabelledClip
from vidfer.datasets.splits import take_people
from vidfer.evaluation import Notify, Progress
from vidfer.evaluation.consent import consented
from vidfer.evaluation.figures import PARTS, summarise
from vidfer.evaluation.folds import leave_out_trained
from vidfer.evaluation.held_out import NotHeldOutError
from vidfer.evaluation.image import accuracy_text
from vidfer.pipeline.runner import StageProgress
from vidfer.pipeline.store import Place, default_store
from vidfer.pipeline.workers import run_all
from vidfer.stages.chain import ChainOptions
from vidfer.types import EMOTIONS, TRANSIENT, ClipError, Status, UsageError, VidferError
from vidfer.weights.bundles import Bundle, read_bundle
from vidfer.weights.files import find_weights

_LEFT_OUT: Final = {Status.UNSUPPORTED, *TRANSIENT}


@dataclass(frozen=True)
class BundleOptions:
    """A bundle on labelled clips of your own.

    Videos and recordings of sound go through the chain of `vidfer analyze --models BUNDLE`. Clips of people whom one of the
    bundle's models was trained on, by its card, are left out. A video without a face, and a clip without any prediction, count
    as mistakes; sound alone is counted where it gives a prediction. One interval takes clips for independent, the other takes
    persons for the sample, where they are known.

    Args:
        bundle: Folder that `vidfer pipeline run` wrote.
        data: Data set by name, or a folder or CSV file in one of the layouts of docs/reference/data.md.
        root: Where it lies (default: data/NAME).
        people: Whose clips, such as 17-20 (default: all).
        jobs: Clips at once.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    bundle: Path = field(metadata={"positional": True, "metavar": "BUNDLE"})
    data: str = field(metadata={"metavar": "NAME|DIR|FILE"})
    root: Path | None = field(default=None, metadata={"metavar": "DIR"})
    people: str | None = field(default=None, metadata={"metavar": "A-B,C"})
    jobs: int = 1
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})

    def __post_init__(self) -> None:
        """Check the number of jobs."""
        if self.jobs < 1:
            raise UsageError(f"--jobs has to be at least 1, not {self.jobs}")


def evaluate_clips_by(options: BundleOptions, notify: Notify, progress: Progress) -> dict[str, Any]:
    """Measure a bundle on labelled clips, see `measure_clips`."""
    bundle = read_bundle(options.bundle)
    found, report = find_clips(options.data, options.root)
    for line in report.lines():
        notify(line)
    allowed = set(consented([clip.path for clip in found], notify))
    clips = [clip for clip in found if clip.label and clip.path in allowed]
    chosen = take_people(clips, options.people) if options.people else clips
    on = f"{bundle.name} on {report.source}" + (f", people {options.people}" if options.people else "")
    return measure_clips(bundle, on, chosen, store=options.store, jobs=options.jobs, notify=notify, progress=progress)


def bundle_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `measure_clips` returned: a line for each part, with the intervals over clips and over persons."""
    count = len(found["persons"])
    persons = f"{count} known person" + ("" if count == 1 else "s")
    lines = [f"{found['on']}: {found['n']} clips, {persons}"]
    for part, each in found["parts"].items():
        if not each["n"]:
            lines.append(f"{PARTS[part]}: no clip with a prediction")
            continue
        text = f"{PARTS[part]}: {accuracy_text(each)}"
        if each["persons_ci95"]:
            text += ", over persons {:.3f} to {:.3f}".format(*each["persons_ci95"])
        text += f", UAR {each['uar']:.3f}"
        if each["calibration"]:
            text += f", ECE {each['calibration']['ece']:.3f}"
        if each["missing"]:
            text += f"; {each['missing']} without a prediction " + (
                "left out" if part == "sound" else "counted as wrong"
            )
        lines.append(text)
    return lines


def measure_clips(
    bundle: Bundle,
    on: str,
    clips: Sequence[LabelledClip],
    *,
    options: ChainOptions | None = None,
    store: Place | None = None,
    jobs: int = 1,
    notify: Notify = lambda _: None,
    progress: Progress = lambda done, total, what: None,
) -> dict[str, Any]:
    """Analyse labelled clips by a bundle's models and settings, but those of people whom one of its models was trained on.

    Returns `on`; `left_out`: names of clips by reason; `notes`; and what `summarise` returns.

    Raises:
        VidferError: There is no clip of anyone else, or none can be read.
    """
    notes: list[str] = []
    chosen = never_seen(bundle, clips, notes.append)
    for note in notes:
        notify(note)
    chain = options or ChainOptions(models=bundle.folder)
    work = partial(_analyze, options=chain, store=store or default_store())
    results: dict[int, dict[str, Any] | ClipError] = {}

    def update(position: int, stage: str, share: float) -> None:
        progress(len(results), len(chosen), f"{chosen[position].name} · {stage} {share:.0%}")

    for position, result in run_all(work, [clip.path for clip in chosen], jobs, update):
        results[position] = result
        progress(len(results), len(chosen), chosen[position].name)
    rows, left_out = [], dict[str, list[str]]()
    for position, clip in enumerate(chosen):
        done = results[position]
        parts = {"summary": api.ClipResult.failed(clip.path, done).summary} if isinstance(done, ClipError) else done
        summary = parts["summary"]
        if summary["status"] in _LEFT_OUT:
            reason = f"{summary['status']}: {summary['message'].replace(str(clip.path), clip.name)}"
            left_out.setdefault(reason, []).append(clip.name)
            notify(f"  left out: {clip.name}: {reason}")
            continue
        rows.append(
            {"clip": clip.name, "person": clip.person, "truth": clip.label, **_parts(summary, parts.get("late"))}
        )
    if not rows:
        raise VidferError(f"no clip of {on} could be read")
    return {"on": on, "left_out": left_out, "notes": [note.strip() for note in notes], **summarise(rows)}


def _analyze(clip: Path, progress: StageProgress, options: ChainOptions, store: Place) -> dict[str, Any]:
    summary = api.analyze_clip(clip, options, store=store, progress=progress).summary
    if summary["fused"]["method"] != "trained":
        return {"summary": summary}
    late = api.analyze_clip(clip, replace(options, fusion_model="late"), store=store).summary
    return {"summary": summary, "late": late["fused"]}


def _parts(summary: Mapping[str, Any], late: Mapping[str, Any] | None) -> dict[str, Any]:
    """Take each part's prediction and distribution from a clip's summary, but what the clip cannot have."""
    faces, sound, fused = (summary[part] for part in ("faces", "sound", "fused"))
    given = {"fused": fused, "sound": sound}
    if faces["status"] != Status.NO_VIDEO:
        given |= {"faces": faces, "vote": faces["vote"] or {}}
    if fused["method"] == "late":
        given["late"] = fused
    elif late is not None:
        given["late"] = late
    found: dict[str, Any] = {}
    for name, record in given.items():
        distribution = record.get("distribution")
        found[name] = record.get("predominant")
        found[f"{name}_p"] = None if distribution is None else [distribution[each] for each in EMOTIONS]
    return found


def never_seen(bundle: Bundle, clips: Sequence[LabelledClip], notify: Notify) -> list[LabelledClip]:
    """Leave out the clips of people whom one of the bundle's models was trained on."""
    if not clips:
        raise VidferError("there is no labelled clip")
    cards = {f"the {kind} model": find_weights(kind, name).card for kind, name in bundle.names.items()}
    try:
        return leave_out_trained(clips, cards, named=False, notify=notify)
    except VidferError as error:
        raise NotHeldOutError(str(error)) from error
