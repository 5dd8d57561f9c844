"""`vidfer analyze` on clips of two sizes with one and three faces, at every frame and at five a second, beside its floors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .clips import Clip
from .cost import Cost, call, run, vidfer
from .figures import Bar, Figure, Measurement
from .plan import Plan

FLOORS = ("decoding", "decoding of sound", "detector", "networks", "openSMILE", "speech detector")


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure each clip at both cadences; a clip of the user's takes the place of the generated ones."""
    clips = [Clip()] if plan.quick else [Clip(), Clip(faces=3), Clip(1920, 1080, 4), Clip(1920, 1080, 4, faces=3)]
    files: list[tuple[str, Path]] = [(str(clip), clip.path()) for clip in clips]
    if plan.clip is not None:
        files = [(plan.clip.name, plan.clip)]
    for name, path in files:
        for fps, cadence in ((None, "every frame"), (5.0, "5 frames/s")):
            yield _one(plan, f"{name}, {cadence}", path, fps)


def _one(plan: Plan, name: str, clip: Path, fps: float | None) -> Measurement:
    def whole(memory: bool = False) -> Cost:
        folder = plan.folder("analyze")
        cadence = ("--every", "1") if fps is None else ("--fps", f"{fps:g}")
        places = ("--store", folder / "store", "--out", folder / "out")
        return run(vidfer("analyze", clip, *cadence, *places), memory=memory)

    inside: dict[str, Any] = call("parts.analysis", clip=clip, rounds=plan.rounds(3), fps=fps)
    present = [floor for floor in FLOORS if floor in inside]
    sums = [sum(inside[floor][number] for floor in present) for number in range(len(inside["chain"]))]
    ratio = Figure.of([chain / floor for chain, floor in zip(inside["chain"], sums, strict=True)])
    frames = inside["frames"][0]
    figures = {"warm CPU s": Figure.of(inside["chain"]), "warm wall s": Figure.of(inside["wall"])}
    if not plan.quick:
        costs = [whole() for _ in range(2)]
        figures |= {
            "CPU s": Figure.of([cost.cpu for cost in costs]),
            "wall s": Figure.of([cost.wall for cost in costs]),
            "peak MB": Figure.of([whole(memory=True).peak or 0.0]),
        }
    floors = {floor: Figure.of(inside[floor]) for floor in present}
    facts = {"frames looked at": frames, "faces": inside["faces"][0]}
    bars = [Bar("CPU / floors", 1.15)]
    return Measurement("analyze", name, figures, floors, {"CPU / floors": ratio}, bars, facts)
