"""Cold starts: from the command to its answer, with nothing loaded and nothing stored."""

import sys
from collections.abc import Iterator, Sequence

from .clips import Clip
from .cost import Cost, run, vidfer
from .figures import Bar, Figure, Measurement
from .plan import Plan, in_turns

_IMPORTS = {
    "help": ["pass"],
    "analyze": ["import numpy, cv2, onnxruntime, pyarrow.parquet", "import numpy, av", "import numpy, av, opensmile"],
    "warm": ["import numpy, cv2, onnxruntime"],
}
"""What no start can do without, a statement for each process."""


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure `vidfer --help`, `vidfer analyze` of 2 s with sound, and `vidfer.Analyzer().warm()`."""
    yield _start(plan, "vidfer --help", vidfer("--help"), "help", [Bar("CPU s", 0.3)])
    warm = [sys.executable, "-c", "from vidfer import Analyzer; Analyzer().warm()"]
    yield _start(plan, "vidfer.Analyzer().warm()", warm, "warm", [Bar("wall s", 1.0)])
    clip = Clip(seconds=2).path()

    def analyze(memory: bool = False) -> Cost:
        folder = plan.folder("cold")
        return run(vidfer("analyze", clip, "--store", folder / "store", "--out", folder / "out"), memory=memory)

    done = in_turns({"chain": analyze, "floor": lambda: _floor("analyze")}, plan.rounds(5))
    peak = [] if plan.quick else [analyze(memory=True).peak or 0.0]
    bars = [Bar("wall s", 2.5), Bar("CPU s", 3.5)]
    yield _measurement("vidfer analyze, 2 s with sound, empty store", done["chain"], done["floor"], bars, peak)


def _start(plan: Plan, name: str, command: Sequence[str], floor: str, bars: Sequence[Bar]) -> Measurement:
    run(command)  # so that files are in the system's cache, and compiled
    rounds = plan.rounds(5) * (
        5 if floor == "help" else 1
    )  # of hundredths of a second it takes more to know the median
    done = in_turns({"chain": lambda: run(command), "floor": lambda: _floor(floor)}, rounds)
    return _measurement(name, done["chain"], done["floor"], bars, [])


def _floor(name: str) -> Cost:
    """Import what is needed, in as many processes as the work is spread over, and do nothing."""
    costs = [run([sys.executable, "-c", statement]) for statement in _IMPORTS[name]]
    return Cost(sum(cost.cpu for cost in costs), sum(cost.wall for cost in costs))


def _measurement(
    name: str, chain: Sequence[Cost], floor: Sequence[Cost], bars: Sequence[Bar], peak: Sequence[float]
) -> Measurement:
    figures = {"CPU s": Figure.of([each.cpu for each in chain]), "wall s": Figure.of([each.wall for each in chain])}
    if peak:
        figures["peak MB"] = Figure.of(peak)
    ratio = Figure.of([ours.cpu / least.cpu for ours, least in zip(chain, floor, strict=True)])
    floors = {"bare imports": Figure.of([each.cpu for each in floor])}
    return Measurement("cold", name, figures, floors, {"CPU / bare imports": ratio}, bars)
