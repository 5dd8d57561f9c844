"""What a search leaves: all trials as a table, the best one's values as a configuration, and two figures."""

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import yaml

from vidfer.pipeline.atomic import write_atomic
from vidfer.training.config import FITS
from vidfer.training.search import Search, Trial, short_name
from vidfer.training.sweep import Sweep, best_settings, pipeline_of
from vidfer.types import VidferError

BEST: Final = "best.yaml"
MEANING: Final = (
    "chosen on held-out training data, never on test data; the best of several trials looks better than it is: "
    "measure it by the pipeline's evaluation"
)

_BELOW: Final = {
    "denoise": ("denoise",),
    "finetune": ("finetune_compact",),
    "classify": ("classify",),
    "fusion": ("classify", "classifiers/fusion"),
}
"""Configurations that the best values lie above, for a single training."""

_LEAST: Final = 10  # finished trials, below which shares of the variance are chance


def write_results(search: Search) -> list[str]:
    """Write `trials.csv`, `best.yaml`, `history.png` and `importance.png` with their SVG; return what was left out and why.

    Raises:
        VidferError: No trial is finished.
    """
    from vidfer.plots.figure import save_figure
    from vidfer.plots.sweep import plot_history, plot_importances

    trials, sweep, folder = search.trials(), search.sweep, search.folder
    finished = [each for each in trials if each.score is not None]
    write_atomic(folder / "trials.csv", _table(sweep, trials))
    if not finished:
        raise VidferError(f"no trial of {folder} is finished, so that there is no best one: see its trials.csv")
    write_atomic(folder / BEST, best_file(sweep, finished, folder))
    scores = [each.score for each in finished if each.score is not None]
    numbers = [each.number for each in finished]
    title = f"{sweep.name}: {counted(len(finished))}, {sweep.method}"
    save_figure(plot_history(numbers, scores, sweep.metric, title, maximize=sweep.maximize), folder / "history")
    varied = [each for each in sweep.parameters if not each.fixed]
    too_few = (
        f"it needs {_LEAST} finished trials, and there are {len(finished)}"
        if len(finished) < _LEAST
        else "only one parameter varies"
        if len(varied) < 2
        else f"every trial has the same {sweep.metric}"
        if len(set(scores)) == 1
        else ""
    )
    if too_few:
        for kind in ("png", "svg"):
            (folder / f"importance.{kind}").unlink(missing_ok=True)
        return [f"importance.png is left out: {too_few}"]
    shares = {short_name(name): share for name, share in search.importances().items()}
    save_figure(plot_importances(shares, sweep.metric, title), folder / "importance")
    return []


def best_file(sweep: Sweep, finished: Sequence[Trial], folder: Path) -> str:
    """Return the best trial's values as a configuration that `fit` takes above others, and how to use it."""
    best = finished[0]
    given = {name: value for name, value in best.values.items() if name.startswith(f"{sweep.stage}.")}
    text = str(yaml.safe_dump(best_settings(sweep, best.values), sort_keys=False))
    place = shlex.quote((folder / BEST).as_posix())
    words = " ".join(shlex.quote(f"{name}={_yaml(value)}") for name, value in best.values.items())
    pipeline = shlex.quote(pipeline_of(sweep).as_posix())
    uses = [f"vidfer pipeline run {pipeline} {words}"]
    if given:
        uses.append(f'vidfer pipeline run {pipeline} --until {sweep.stage} --args "--config {place}"')
    if given and sweep.stage in _BELOW:
        files = " ".join(f"--config configs/{each}.yaml" for each in _BELOW[sweep.stage])
        if sweep.stage == FITS[sweep.stage].stage:
            uses.append(f"make {sweep.stage} BEST={place}")
        uses.append(f"python -m stages.{FITS[sweep.stage].stage} fit {files} --config {place}")
    head = [
        f"The best of {counted(len(finished))} of {sweep.path.name}: {sweep.metric} {best.score:.4f} (trial {best.number}),",
        *wrap(f"{MEANING}.", 100),
        *(f"  {use}" for use in uses),
    ]
    return "".join(f"# {line}\n" for line in head) + text


def counted(count: int) -> str:
    """Write a number of trials."""
    return f"{count} trial{'s' * (count != 1)}"


def _yaml(value: Any) -> str:  # noqa: ANN401 - any value of a parameter
    return str(yaml.safe_dump(value, default_flow_style=True)).splitlines()[0]


def _table(sweep: Sweep, trials: Sequence[Trial]) -> str:
    """Return all trials as CSV, the best first."""
    names = [each.name for each in sweep.parameters]
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["rank", "trial", "state", sweep.metric, *names, "seconds", "weights", "reason"])
    for rank, each in enumerate(trials, start=1):
        state = "failed" if each.reason else "unfinished" if each.score is None else "finished"
        values = [each.values.get(name, "") for name in names]
        place = rank if each.score is not None else ""
        rows.writerow([place, each.number, state, each.score, *values, each.seconds, each.weights, each.reason])
    return out.getvalue()
