"""Peak memory of all processes together by the clip's length."""

from collections.abc import Iterator

from .clips import Clip
from .cost import run, vidfer
from .figures import Bar, Figure, Measurement
from .plan import Plan


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure 1 and 10 minutes of 640x480 with sound at five frames a second, and 60 with `long`; nothing when quick."""
    if plan.quick:
        return
    first = 0.0
    for minutes in (1, 10, 60) if plan.long else (1, 10):
        folder = plan.folder("memory")
        places = ("--store", folder / "store", "--out", folder / "out")
        cost = run(vidfer("analyze", Clip(seconds=60.0 * minutes).path(), *places), memory=True)
        assert cost.peak is not None
        first = first or cost.peak
        figures = {"peak MB": Figure.of([cost.peak]), "CPU s": Figure.of([cost.cpu])}
        ratios = {} if minutes == 1 else {"peak MB / 1 minute's": Figure.of([cost.peak / first])}
        bars = [Bar("peak MB", 700), *(Bar(name, 1.1) for name in ratios)]
        yield Measurement("memory", f"{minutes} min of 640x480, 5 frames/s", figures, {}, ratios, bars)
