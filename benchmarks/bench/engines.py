"""What an engine adds to an item: items whose work is nothing, on this machine."""

import os
import time
from collections.abc import Iterator
from typing import Any, Final

from .cost import ROOT, call
from .figures import Figure, Measurement
from .plan import Plan

COUNT: Final = 400


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure the engines that need no set-up of a cluster."""
    if plan.quick:
        return
    for engine in ("local", "ray"):
        rounds: list[dict[str, float]] = [call("engines.items", engine=engine, count=COUNT) for _ in range(3)]
        figures = {name: Figure.of([each[name] for each in rounds]) for name in rounds[0]}
        yield Measurement(
            "engines",
            f"{engine}, items without work",
            figures,
            facts={"items": COUNT, "cores": len(os.sched_getaffinity(0))},
        )


class Nothing:
    """Work that does nothing."""

    def __call__(self, item: int, progress: Any) -> dict[str, Any]:  # noqa: ANN401 - the engines' own
        """Return the item."""
        return {"item": item}


def items(engine: str, count: int) -> dict[str, float]:
    """Do nothing for so many items; return what it takes until the first result, and for each further one."""
    from vidfer.pipeline.engines import LocalEngine, RayEngine

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # Ray's workers read it
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    chosen: Any = RayEngine() if engine == "ray" else LocalEngine(2)
    began, results = time.monotonic(), chosen.run(Nothing(), range(count), lambda *_: None)
    next(results)
    first = time.monotonic()
    done = sum(1 for _ in results)
    if done != count - 1:
        raise RuntimeError(f"{done + 1} of {count} items came back")
    return {"wall s to the first": first - began, "wall ms an item": 1000 * (time.monotonic() - first) / done}
