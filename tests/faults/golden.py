"""What each stage makes of a generated clip, in figures that any processor gives: `python -m tests.faults.golden` renews them.

Frames, times, persons, states and names are compared exactly. Of what floating point decides, means, spreads and a few values
are kept as inverse hyperbolic sines, and compared within `TOLERANCE`: other instructions move them by far less.
"""

import json
import math
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain

GOLDEN = Path(__file__).with_name("golden.json")
TOLERANCE = 0.02
"""Share of itself by which a figure may differ; of figures near 0, 0.002."""

EXACT = ("frame", "time_s", "track", "width", "height", "cut", "detected", "denoised", "flaws", "silent", "times")
RATE = 16_000
RENEW = "run `python -m tests.faults.golden`"
SAME = "at the same version"


def write_clip(path: Path) -> Path:
    """Write a second of a face that moves, and a buzz that rises and falls, without loss and by whole numbers only."""
    import av
    import cv2
    from skimage import data

    face = cv2.resize(data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    dots = (np.arange(240 * 320 * 3) * 7919 % 61).astype(np.int16).reshape(240, 320, 3) - 30
    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("ffv1", rate=10)
        video.width, video.height, video.pix_fmt = 320, 240, "bgr0"
        sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(10):
            image = np.full((240, 320, 3), 90, np.int16)
            image[:, 20 + 3 * number : 276 + 3 * number] = face[:240]
            picture = np.clip(image + dots, 0, 255).astype(np.uint8)
            for packet in video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")):
                out.mux(packet)
        out.mux(video.encode())
        at = np.arange(2 * RATE)
        loud = np.minimum(at % 8000, 8000 - at % 8000)
        buzz = ((at % 133 - 66) * loud // 66).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(buzz[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        out.mux(sound.encode(frame))
        out.mux(sound.encode())
    return path


def _figures(name: str, values: np.ndarray) -> Any:
    """Return a column as it is where it is exact, else its shape, mean, spread and a few values."""
    if name in EXACT or values.dtype.kind not in "fiu":
        return [round(each, 6) if isinstance(each, float) else each for each in values.tolist()]
    flat = values.ravel().astype(np.float64)
    known = np.arcsinh(flat[np.isfinite(flat)])  # features of sound span ten orders of magnitude
    some = known[:: max(1, len(known) // 7)].tolist() if len(known) else []
    spread = [float(known.mean()), float(known.std())] if len(known) else []
    return {"shape": list(values.shape), "known": len(known), "figures": [round(each, 4) for each in [*spread, *some]]}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _of_file(artifact: Any, name: str) -> Any:
    if name.endswith(".safetensors"):
        return {key: _figures(key, each) for key, each in sorted(artifact.arrays(name).items())}
    if name.endswith(".parquet"):
        columns = artifact.table(name)
        return {key: _figures(key, each) if key != "jpeg" else len(each) for key, each in columns.items()}
    if name.endswith(".json"):
        found = artifact.json(name)
        for part in ("provenance", "stages"):  # keys and versions of tools, which change by themselves
            found.pop(part, None) if isinstance(found, dict) else None
        return _rounded(found)
    return "there"


def summaries() -> dict[str, dict[str, Any]]:
    """Run the chain over the clip; return of each stage its version, status, facts and files."""
    found: dict[str, dict[str, Any]] = {}
    chain = build_chain(ChainOptions(denoise="on", voice="off"))
    with tempfile.TemporaryDirectory() as folder:
        clip, store = write_clip(Path(folder) / "clip.mkv"), Store(Path(folder) / "store")
        for stage in chain:
            with finished(chain, stage.name, clip, store) as artifact:
                recipe = artifact.manifest["recipe"]
                made_by = recipe_key({name: recipe[name] for name in ("params", "tools")})[:16]
                files = {name: _of_file(artifact, name) for name in artifact.names()}
                about = {
                    "inputs": list(stage.inputs),
                    "made_by": made_by,
                    "status": str(artifact.status),
                    "message": artifact.message,
                    "meta": _rounded(artifact.meta),
                }
                found[stage.name] = json.loads(json.dumps({"version": stage.version, **about, "files": files}))
    return found


def differences(kept: Any, now: Any, place: str = "") -> list[str]:
    """Name the places where two summaries differ by more than processors do."""
    if isinstance(kept, dict) and isinstance(now, dict):
        names = [*kept, *(name for name in now if name not in kept)]
        return [each for name in names for each in differences(kept.get(name), now.get(name), f"{place}/{name}")]
    if isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        pairs = enumerate(zip(kept, now, strict=True))
        return [each for number, pair in pairs for each in differences(*pair, f"{place}/{number}")]
    if isinstance(kept, float) and isinstance(now, float | int):
        size = min(1.0, abs(kept)) if "/figures/" in place else abs(kept)  # the former are logarithms of large values
        near = abs(kept - now) <= max(0.002, TOLERANCE * size)
        return [] if near else [f"{place}: {kept} became {now}"]
    return [] if kept == now else [f"{place}: {kept!r} became {now!r}"]


def faults(kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say of each stage what is not as it has to be: its output changed without its version, or its summary is an old one.

    Where parameters, weights or packages of it or of a stage before it are others, its output may be another one.
    """
    found: list[str] = []
    others: set[str] = set()
    for name, stage in now.items():
        before = kept.get(name, {"version": None, "made_by": ""})
        changes = differences({**before, "made_by": ""}, {**stage, "made_by": ""})
        newer = before["version"] != stage["version"]
        if newer or before["made_by"] != stage["made_by"] or others & set(stage["inputs"]):
            others.add(name)
        if newer or (changes and name in others):
            what = f"has version {stage['version']}, and its summary is of {before['version']}"
            why = what if newer else f"gives another output, as what it is made by is another ({changes[0]})"
            found.append(f"stage {name} {why}: {RENEW}")
        elif changes:
            found.append(
                f"stage {name} gives another output {SAME} {stage['version']}: raise its `version`, since results of before "
                f"would be taken for those of now, then {RENEW} ({changes[0]})"
            )
    return found


def renew(kept: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summaries to keep.

    Raises:
        SystemExit: A stage gives another output at the same version.
    """
    wrong = faults(kept, now)
    if refused := [each for each in wrong if SAME in each]:
        raise SystemExit("\n".join(refused))
    return dict(now if wrong else kept)


if __name__ == "__main__":
    before = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    GOLDEN.write_text(json.dumps(renew(before, summaries()), indent=1) + "\n")
    sys.stdout.write(f"{GOLDEN} is of now\n")
