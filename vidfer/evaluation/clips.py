"""Accuracy on clips and recordings of known expression, by their faces, their sound and both."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from vidfer import api
from vidfer.datasets.manifest import LABELS
from vidfer.evaluation import Notify, Progress
from vidfer.evaluation.consent import consented
from vidfer.evaluation.image import accuracy_text
from vidfer.inference.decision import UNCERTAIN
from vidfer.metrics.classification import macro_recall, wilson_interval
from vidfer.pipeline.runner import StageProgress
from vidfer.pipeline.store import Place
from vidfer.pipeline.workers import run_all
from vidfer.stages.chain import ChainOptions
from vidfer.types import EMOTIONS, TRANSIENT, ClipError, Status, VidferError

Labels = Literal["ravdess", "name"]

PARTS: Final = ("faces", "sound", "fused")

_LEFT_OUT: Final = {Status.UNSUPPORTED, Status.NO_VIDEO, *TRANSIENT}


def evaluate_clips(
    clips: Sequence[Path],
    labels: Labels,
    options: ChainOptions,
    store: Place,
    jobs: int,
    notify: Notify,
    progress: Progress,
) -> dict[str, Any]:
    """Analyse clips of known expression, `jobs` at once, and count the correct predictions.

    `notify` is called with a line about each clip that is left out.

    Returns `labels`; `settings` and `models`, which all share; for each of `PARTS` what `tally` returns; and `clips`: for each
    `clip`, `truth`, `status`, and by part the prediction, its probability (`<part>_p`) and its status (`<part>_status`).
    """
    truths = _truths(consented(clips, notify), labels, notify)
    files, results = list(truths), dict[int, dict[str, Any] | ClipError]()

    def update(position: int, stage: str, share: float) -> None:
        progress(len(results), len(files), f"{files[position].name} · {stage} {share:.0%}")

    for position, found in run_all(partial(_analyze, options=options, store=store), files, jobs, update):
        results[position] = found
        progress(len(results), len(files), files[position].name)
    rows, settings, models = [], None, None
    for position, clip in enumerate(files):
        done = results[position]
        summary = api.ClipResult.failed(clip, done).summary if isinstance(done, ClipError) else done
        if summary["status"] in _LEFT_OUT:
            notify(f"  left out: {summary['clip']}: {summary['status']}: {summary['message']}")
            continue
        settings, models = settings or summary["settings"], models or summary["models"]
        row = {"clip": summary["clip"], "truth": truths[clip], "status": summary["status"]}
        for part in PARTS:
            row[part], row[f"{part}_status"] = summary[part]["predominant"], summary[part]["status"]
            row[f"{part}_p"] = max((summary[part]["distribution"] or {}).values(), default=None)
        rows.append(row)
    if not rows:
        raise VidferError("no labelled clip could be read: name videos")
    tallies = {part: tally(rows, part) for part in PARTS}
    return {"labels": labels, "settings": settings, "models": models, **tallies, "clips": rows}


def clip_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `evaluate_clips` returned: a row for each clip, a line for each part, a confusion matrix."""
    width = max(len(Path(row["clip"]).name) for row in found["clips"]) + 2
    lines = [f"{'clip':<{width}}{'truth':<10}" + "".join(f"{part:<16}" for part in PARTS)]
    for row in found["clips"]:
        cells = [f"{row[part]} {row[f'{part}_p']:.2f}" if row[part] else row[f"{part}_status"] for part in PARTS]
        lines.append(f"{Path(row['clip']).name:<{width}}{row['truth']:<10}" + "".join(f"{cell:<16}" for cell in cells))
    lines += [_part_line(part, found[part]) for part in PARTS]
    lines.append(f"{'faces: truth':<16}" + "".join(f"{name:>10}" for name in (*EMOTIONS, UNCERTAIN, "none")))
    for name, counts in zip(EMOTIONS, found["faces"]["confusion"], strict=True):
        lines.append(f"{name:<16}" + "".join(f"{count:>10}" for count in counts))
    return lines


def tally(rows: Sequence[Mapping[str, Any]], part: str) -> dict[str, Any]:
    """Count the correct predictions of one part, a class, `uncertain` or None, in rows with the `truth` of each clip.

    None is left out of `sound` and is wrong in the others. Returns `n`, `right`, `missing`, `uncertain`, `accuracy`,
    `accuracy_ci95`, `uar` and `confusion`: rows are truths, columns predictions: `EMOTIONS`, `uncertain`, none.
    """
    columns = [*EMOTIONS, UNCERTAIN, None]
    confusion = np.zeros((len(EMOTIONS), len(columns)), np.int64)
    for row in rows:
        if part != "sound" or row[part] is not None:
            confusion[EMOTIONS.index(row["truth"]), columns.index(row[part])] += 1
    n, right = int(confusion.sum()), int(confusion.trace())
    return {
        "n": n,
        "right": right,
        "missing": sum(row[part] is None for row in rows),
        "uncertain": int(confusion[:, -2].sum()),
        "accuracy": right / n if n else None,
        "accuracy_ci95": wilson_interval(right, n) if n else None,
        "uar": float(macro_recall(confusion)) if n else None,
        "confusion": confusion.tolist(),
    }


def _truths(clips: Sequence[Path], labels: Labels, notify: Notify) -> dict[Path, str]:
    found = {clip: LABELS[labels](clip) for clip in clips}
    truths = {clip: truth for clip, truth in found.items() if truth is not None}
    for clip in (clip for clip in found if clip not in truths):
        notify(f"  left out: {api.shown(clip)}: no label in its name")
    if not truths:
        raise VidferError(f"no file there has a label by --labels {labels}: see `vidfer evaluate clip --help`")
    return truths


def _analyze(clip: Path, progress: StageProgress, options: ChainOptions, store: Place) -> dict[str, Any]:
    return api.analyze_clip(clip, options, store=store, progress=progress).summary


def _part_line(part: str, found: Mapping[str, Any]) -> str:
    if not found["n"]:
        return f"{part}: no clip with a prediction"
    text = f"{part}: {accuracy_text(found)}"
    if found["missing"]:
        text += f", {found['missing']} without a prediction " + ("left out" if part == "sound" else "counted as wrong")
    if found["uncertain"]:
        named = found["n"] - found["uncertain"] - (0 if part == "sound" else found["missing"])
        text += f", {found['uncertain']} uncertain counted as wrong: {found['right']} of the {named} named are right"
    return text
