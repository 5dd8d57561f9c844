"""Many clips: two jobs beside one, and clips that the store has already."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from .clips import Clip, variants
from .cost import Cost, call, run, vidfer
from .figures import Bar, Figure, Measurement
from .plan import Plan, in_turns

_YARDSTICK = """
import json, numpy
rows = numpy.random.default_rng(0).random((2000, 300))
for _ in range(20):
    json.loads(json.dumps(rows[:40].tolist()))
    numpy.sort(rows, 0)
"""
"""Work of JSON and NumPy that stands for the machine's speed where there is no floor."""


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure clips of 10 s with one job and two, and a second and third run over many clips of 2 s."""
    yield _jobs(plan)
    yield from _warm(plan)


def _jobs(plan: Plan) -> Measurement:
    count = 8
    folder = plan.folder("many")
    variants(Clip().path(), count, folder / "clips")

    def analyze(jobs: int) -> Cost:
        places = plan.folder("jobs")
        words = ("--jobs", str(jobs), "--store", places / "store", "--out", places / "out")
        return run(vidfer("analyze", folder / "clips", *words))

    done = in_turns({"one": lambda: analyze(1), "two": lambda: analyze(2)}, plan.rounds(3, quick=2))
    gains = [one.wall / two.wall for one, two in zip(done["one"], done["two"], strict=True)]
    figures = {f"{name} wall s": Figure.of([cost.wall for cost in costs]) for name, costs in done.items()}
    figures |= {f"{name} CPU s": Figure.of([cost.cpu for cost in costs]) for name, costs in done.items()}
    figures["one / two wall"] = Figure.of(gains)
    ratios = {"two / one wall": Figure.of([1 / gain for gain in gains])}
    facts: dict[str, float | str] = {"clips": count, "cores": os.cpu_count() or 1}
    bars = [Bar("one / two wall", 1.8, least=True)]
    return Measurement("many", "one job and two, 10 s of 640x480, 5 frames/s", figures, {}, ratios, bars, facts)


def _warm(plan: Plan) -> Iterator[Measurement]:
    count = 100 if plan.quick else 1000
    folder = plan.folder("warm")
    places = ("--store", folder / "store", "--out", folder / "out")
    files = variants(Clip(seconds=2).path(), count, folder / "clips")
    call("many.fill", clips=files, store=folder / "store")
    command = vidfer("analyze", folder / "clips", *places)
    first = run(command)
    few = 100
    subset = plan.folder("few")
    for path in files[:few]:
        (subset / path.name).hardlink_to(path)
    small = vidfer("analyze", subset, "--store", folder / "store", "--out", folder / "out_few")
    run(small)
    tasks = {"few": lambda: run(small), "yardstick": lambda: run([sys.executable, "-c", _YARDSTICK])}
    done = in_turns(tasks, plan.rounds(5))
    ratios = {
        "CPU / yardstick": Figure.of([a.cpu / b.cpu for a, b in zip(done["few"], done["yardstick"], strict=True)])
    }
    floors = {"yardstick": Figure.of([cost.cpu for cost in done["yardstick"]])}
    yield _clips(f"{few} clips in store and results", few, done["few"], floors, ratios, [])
    if not plan.quick:
        yield _clips(f"{count} clips in the store, results written anew", count, [first], {}, {}, [])
        again = [run(command) for _ in range(plan.rounds(3))]
        bars = [Bar("wall ms a clip", 3.0)]
        yield _clips(f"{count} clips in store and results", count, again, {}, {}, bars)


def _clips(
    name: str,
    count: int,
    costs: list[Cost],
    floors: dict[str, Figure],
    ratios: dict[str, Figure],
    bars: list[Bar],
) -> Measurement:
    figures = {
        "wall ms a clip": Figure.of([1000 * cost.wall / count for cost in costs]),
        "CPU ms a clip": Figure.of([1000 * cost.cpu / count for cost in costs]),
        "wall s": Figure.of([cost.wall for cost in costs]),
    }
    return Measurement("many", name, figures, floors, ratios, bars)


def fill(clips: list[str], store: str) -> int:
    """Give the store the artifacts of clips that differ in their metadata alone, of which only the first is computed.

    Each gets them under its own keys, with its own recipes and seals, as its own analysis would have written them.
    """
    from unittest.mock import patch

    from vidfer.pipeline.runner import finished, plan
    from vidfer.pipeline.store import Store
    from vidfer.stages.chain import ChainOptions, build_chain

    chain, place = build_chain(ChainOptions()), Store(store)
    with finished(chain, "report", Path(clips[0]), place):
        first = plan(chain, "report", Path(clips[0]), place)
    kept = [
        (step.artifact, {name: _bytes(step.artifact.path / name) for name in step.artifact.names()})
        for step in first
        if step.artifact is not None
    ]
    with patch("os.fsync"):  # filling is not measured, and a crash would only spoil the benchmark
        for clip in clips[1:]:
            for step, (artifact, files) in zip(plan(chain, "report", Path(clip), place), kept, strict=True):
                with place.draft(step.stage.name, step.key) as draft:
                    for name, data in files.items():
                        draft.write(name, data)
                    status, message, meta = artifact.status, artifact.message, artifact.meta
                    place.publish(draft.seal(step.recipe, status=status, message=message, meta=meta))
    return len(kept)


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
