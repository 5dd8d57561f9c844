"""How cost grows with frames and with clips, over a decade of each: the exponent, and a plot."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .clips import Clip, variants
from .cost import call, run, vidfer, whole_tree
from .figures import Bar, Figure, Measurement
from .plan import Plan

FRAMES = (250, 500, 1000, 2500)
CLIPS = (5, 10, 20, 50)
_NONE = 5
"""Frames of a clip, and clips of a run, whose cost is that of beginning; it is taken from every other."""

PLOT = Path(__file__).resolve().parents[2] / "docs" / "results" / "scaling.svg"


_BEGUN = "left out"  # whose cost is that of beginning


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure the CPU time of more and more frames, and of more and more clips, beyond that of hardly any."""
    if plan.quick:
        return
    counts = [_NONE, *FRAMES]
    files = [Clip(seconds=count / 25).path() for count in counts]
    found: list[list[float]] = call("scaling.frames", clips=files, rounds=2)
    yield _growth("frames of one clip, every frame, models loaded", FRAMES, found)
    folder = plan.folder("scaling")
    variants(Clip(seconds=2).path(), max(CLIPS), folder / "clips")
    runs = [[_clips(plan, folder / "clips", count) for count in (1, *CLIPS)] for _ in range(2)]
    yield _growth("clips of 2 s with sound, one job", CLIPS, runs, first=1)


def exponent(counts: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of the least-squares line through the logarithms: 1 where cost grows as the count does."""
    x, y = [math.log(count) for count in counts], [math.log(cost) for cost in costs]
    middle, level = sum(x) / len(x), sum(y) / len(y)
    rises = sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True))
    return rises / sum((a - middle) ** 2 for a in x)


def _growth(name: str, counts: Sequence[int], runs: Sequence[Sequence[float]], first: int = _NONE) -> Measurement:
    """Summarise runs, each the costs of `first` and of `counts`; those of `first` are the cost of beginning."""
    beyond = [[cost - costs[0] for cost in costs[1:]] for costs in runs]
    slopes = [exponent([count - first for count in counts], each) for each in beyond]
    figures = {f"CPU s, {count}": Figure.of([each[at] for each in beyond]) for at, count in enumerate(counts)}
    figures["exponent"] = Figure.of(slopes)
    bars = [Bar("exponent", 1.05), Bar("exponent", 0.95, least=True)]
    return Measurement("scaling", name, figures, {}, {}, bars, {_BEGUN: first})


def frames(clips: list[str], rounds: int) -> list[list[float]]:
    """Return CPU seconds of each clip at every frame, with models loaded and an empty store, round by round."""
    import tempfile

    from vidfer import Analyzer

    found = []
    with tempfile.TemporaryDirectory() as folder, Analyzer(every=1, store=Path(folder) / "warm").warm() as analyzer:
        analyzer.analyze(clips[0])
        for number in range(rounds):
            costs = []
            for clip in clips:
                with whole_tree() as cost:
                    Analyzer(every=1, store=Path(folder) / str(number)).analyze(clip).raise_for_status()
                costs.append(cost[0].cpu)
            found.append(costs)
    return found


def _clips(plan: Plan, folder: Path, count: int) -> float:
    places = plan.folder("some")
    some = sorted(folder.iterdir())[:count]
    return run(vidfer("analyze", *some, "--store", places / "store", "--out", places / "out")).cpu


def plot(measurements: Sequence[Measurement], path: Path = PLOT) -> None:
    """Draw cost against count on logarithmic axes, beside lines of exponent 1, into an SVG; nothing without measurements."""
    if not measurements:
        return
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    with mpl.rc_context({"svg.hashsalt": "vidfer", "svg.fonttype": "none"}):
        drawing = Drawing(figsize=(8, 3.2), layout="constrained")
        axes: Any = drawing.subplots(1, len(measurements), squeeze=False)[0]
        for each, axis in zip(measurements, axes, strict=True):
            points = _points(each.figures)
            counts = [count - int(each.facts.get(_BEGUN, 0)) for count in points]
            costs = [figure.median for figure in points.values()]
            spread = [
                [figure.median - figure.min for figure in points.values()],
                [figure.max - figure.median for figure in points.values()],
            ]
            axis.errorbar(counts, costs, spread, marker="o", linestyle="none", color="tab:blue", label="measured")
            line = [costs[-1] * count / counts[-1] for count in counts]
            axis.plot(counts, line, color="tab:gray", linewidth=1, label="exponent 1")
            axis.set(
                xscale="log", yscale="log", xlabel=f"{each.name}, beyond {each.facts.get(_BEGUN, 0)}", ylabel="CPU s"
            )
            axis.set_xticks(counts, labels=[f"{count:,}" for count in counts])
            axis.yaxis.set_major_formatter(ScalarFormatter())
            for both in (axis.xaxis, axis.yaxis):
                both.set_minor_formatter(NullFormatter())
            axis.set_title(f"exponent {each.figures['exponent'].median:.3f}")
            axis.legend(frameon=False)
        drawing.savefig(path, metadata={"Date": None})


def _points(figures: Mapping[str, Figure]) -> dict[int, Figure]:
    return {int(name.rpartition(" ")[2]): figure for name, figure in figures.items() if name.startswith("CPU s, ")}
