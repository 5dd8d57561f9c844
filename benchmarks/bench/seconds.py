"""What a second of video costs each stage, and what it leaves in the store, by size, faces, cadence and sound.

`docs/scaling.md` is made of these figures: `python -m benchmarks.bench seconds --out benchmarks/scaling.json`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .clips import Clip
from .cost import call, run, vidfer
from .figures import Figure, Measurement
from .plan import Plan

FIVE: Final = 5.0
SHORT, LENGTH, LONG = 2.0, 10.0, 60.0
SIZES: Final = ((640, 360), (1280, 720), (1920, 1080))

STAGES: Final = ("probe", "faces", "denoise", "finetune", "audio", "classify", "report")


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure each size with one face and four, at five frames a second and at every frame; then silence, length and folders."""
    if plan.quick:
        return
    for width, height in SIZES:
        for faces in (1, 4):
            for fps in (FIVE, None):
                yield _one(plan, Clip(width, height, LENGTH, faces), fps)
    yield _one(plan, Clip(*SIZES[0], LENGTH, sound=False), FIVE)
    yield _one(plan, Clip(*SIZES[0], LONG), FIVE)
    yield _one(plan, Clip(*SIZES[0], SHORT), FIVE)
    yield _folder(plan, Clip(*SIZES[0], LENGTH))


def title(clip: Clip, fps: float | None) -> str:
    """Return the name of a measurement, such as `640x360, one face, 10 s, with sound, 5 frames/s`."""
    sound = "with sound" if clip.sound else "silent"
    return f"{clip}, {clip.seconds:g} s, {sound}, {'every frame' if fps is None else f'{fps:g} frames/s'}"


def _one(plan: Plan, clip: Clip, fps: float | None) -> Measurement:
    """Measure one clip; figures are for a second of video, and `files` those of the whole clip."""
    found: dict[str, Any] = call("stages.alone", clip=clip.path(), rounds=plan.rounds(3), denoise="auto", fps=fps)
    figures = {}
    for name in STAGES:
        figures[f"{name} CPU ms/s"] = Figure.of([1000 * cpu / clip.seconds for cpu in found[name]["chain"]])
    rounds = range(len(found[STAGES[0]]["chain"]))
    whole = [1000 * sum(found[name]["chain"][at] for name in STAGES) / clip.seconds for at in rounds]
    figures["all CPU ms/s"] = Figure.of(whole)
    for name in STAGES:
        figures[f"{name} bytes/s"] = Figure.of([found[name]["bytes"][0] / clip.seconds])
        figures[f"{name} files"] = Figure.of([found[name]["files"][0]])
    facts = {"seconds": clip.seconds, "faces": found["faces"]["faces"][0]}
    return Measurement("seconds", title(clip, fps), figures, facts=facts)


def _folder(plan: Plan, clip: Clip) -> Measurement:
    """Count what the usual run writes for one clip beside the store: its folder with tables, pictures and page."""
    places = plan.folder("folder")
    run(vidfer("analyze", clip.path(), "--store", places / "store", "--out", places / "out"))
    below = [path for path in (places / "out" / clip.name).rglob("*") if path.is_file()]
    figures = {"files": Figure.of([len(below)]), "bytes": Figure.of([sum(map(_size, below))])}
    figures["bytes of a row of table clips"] = Figure.of([row_bytes(places / "out" / "clips.parquet")])
    return Measurement("seconds", f"folder of results, {title(clip, FIVE)}", figures, facts={"seconds": clip.seconds})


def row_bytes(table: Path, count: int = 4096) -> float:
    """Return the bytes of a row in a Parquet file of so many, made of one row with other numbers, names and digests in each.

    No number and no digest recurs, which is the worst that can be.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, first = np.random.default_rng(0), pq.read_table(table).slice(0, 1)
    columns = {}
    for name in first.column_names:
        column = first[name]
        values = [column[0].as_py()] * count
        if pa.types.is_floating(column.type):
            values = rng.random(count).tolist()
        elif name in ("clip_id", "person_id", "path", "source_blake3"):
            length = len(values[0]) // 2
            values = [rng.bytes(length).hex() for _ in range(count)]
        columns[name] = pa.array(values, column.type)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return float(sink.getvalue().size) / count


def _size(path: Path) -> int:
    return path.stat().st_size
