"""What the driver of a manifest does in a second with clips that the store has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .clips import Clip, variants
from .cost import Cost, call, run, vidfer
from .figures import Figure, Measurement
from .plan import Plan

SAME: Final = "rows of a manifest, all of one clip in the store"
OTHER: Final = "rows of a manifest, each of another clip in the store"


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure rows beyond the first ones, so that the start of the command is left out."""
    if plan.quick:
        return
    folder = plan.folder("manifest")
    few, many = 100, 600
    files = variants(Clip(seconds=2).path(), many, folder / "clips")
    call("many.fill", clips=files, store=folder / "store")
    yield _rows(plan, folder, SAME, [files[0]] * 2_000, [files[0]] * 22_000)
    yield _rows(plan, folder, OTHER, files[:few], files)


def _rows(plan: Plan, folder: Path, name: str, few: list[Path], many: list[Path]) -> Measurement:
    runs = [(_run(plan, folder, few), _run(plan, folder, many)) for _ in range(3)]
    beyond = len(many) - len(few)
    figures = {
        "CPU ms a row": Figure.of([1000 * (long.cpu - short.cpu) / beyond for short, long in runs]),
    }
    return Measurement("manifest", name, figures, facts={"rows": len(many)})


def _run(plan: Plan, folder: Path, files: list[Path]) -> Cost:
    place = plan.folder("rows")
    lines = ["id,path", *(f"{number},{path}" for number, path in enumerate(files))]
    (place / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ("--manifest", place / "manifest.csv", "--store", folder / "store", "--out", place / "out")
    return run(vidfer("analyze", *words))
