"""A live stream: how long after a frame its answer comes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .clips import FPS, Clip, decoded
from .cost import call
from .figures import Figure, Measurement
from .parts import metered
from .plan import Plan


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure every frame of 10 s of 640x480, with one face and with three."""
    for clip in (Clip(),) if plan.quick else (Clip(), Clip(faces=3)):
        found: dict[str, Any] = call("live.latencies", clip=clip.path(), seconds=clip.seconds, rounds=plan.rounds(3))
        rounds = range(len(found["cpu"]))
        least = [found["detector"][number] + found["networks"][number] for number in rounds]
        yield Measurement(
            "live",
            f"{clip}, each frame as it comes",
            {f"{name} ms": Figure.of(found[name]) for name in ("median", "95 %", "largest")},
            {name: Figure.of(found[name]) for name in ("detector", "networks")},
            {"CPU / floors": Figure.of([found["cpu"][number] / least[number] for number in rounds])},
            facts={"frames": clip.frames},
        )


def latencies(clip: str, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Return, for each round, median, 95th percentile and largest latency in ms, and CPU seconds with those of the floors."""
    import time

    import numpy as np

    from vidfer import Analyzer

    frames = [image for _, image in decoded(Path(clip), seconds)]
    found: dict[str, list[float]] = {}
    with Analyzer().warm() as analyzer:
        list(analyzer.stream(frames[:5], fps=FPS))
        for _ in range(rounds):
            with metered() as meter:
                started = time.process_time()
                late = [1000 * frame.latency_s for frame in analyzer.stream(frames, fps=FPS)]
                spent = {"cpu": time.process_time() - started}
            spans = {"median": np.median(late), "95 %": np.percentile(late, 95), "largest": max(late)}
            for name, value in {**spent, **spans, "networks": 0.0, **meter.spent}.items():
                found.setdefault(name, []).append(float(value))
    return found
