"""Stage `report`: the tables that a user opens, without the clip's path, which is not part of any key."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vidfer import __version__
from vidfer.inference.decision import predominant
from vidfer.pipeline.columns import read_parquet, to_csv, to_parquet
from vidfer.pipeline.stage import Outcome, Progress, Stage
from vidfer.pipeline.store import Artifact, Draft
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import numpy as np

_MEASURES = ("score", "blur", "size", "yaw", "pitch", "roll", "noise_sigma", "weight")


@dataclass(frozen=True)
class ReportStage(Stage):
    """Lay the answers out as `frames`, `people` and `windows` tables and a summary.

    Artifact: `frames.parquet`, `frames.csv`, `people.csv`, `windows.csv`, `summary.json`. The tables are there, with
    their columns, when they have no rows.
    """

    name: ClassVar[str] = "report"
    version: ClassVar[int] = 4
    inputs: ClassVar[tuple[str, ...]] = ("faces", "denoise", "finetune", "audio", "classify")

    def tools(self) -> Mapping[str, str | None]:
        """Name vidfer's own version, which the summary prints."""
        return {"vidfer": __version__}

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Write the tables and the summary."""
        classify = inputs["classify"]
        names = classify.names("probabilities")
        probabilities = classify.arrays(names[0]) if names else {}
        answer = classify.json("answer.json")
        abstain = answer["settings"]["abstain"]
        frames = _frames(inputs["faces"], inputs["denoise"], probabilities, abstain)
        draft.write("frames.parquet", to_parquet(frames))
        draft.write("frames.csv", to_csv(frames))
        draft.write("people.csv", to_csv(_people(answer["people"])))
        draft.write("windows.csv", to_csv(_windows(inputs["audio"], probabilities, abstain)))
        draft.write_json("summary.json", _summary(answer, inputs))
        return Outcome(classify.status, classify.message)


def _frames(
    faces: Artifact, denoise: Artifact, probabilities: "Mapping[str, np.ndarray]", abstain: float | None
) -> "dict[str, np.ndarray]":
    import numpy as np

    given = probabilities.get("faces", np.zeros((0, len(EMOTIONS)), np.float32))
    table = read_parquet((faces.path / "faces.parquet").read_bytes()) if len(given) else {}
    empty = np.zeros(0)
    columns = {
        "frame": table.get("frame", np.zeros(0, np.int64)),
        "time_s": table.get("time_s", empty),
        "person": table.get("track", np.zeros(0, np.int64)),
        "expression": np.array([predominant(row, abstain)[0] for row in given], dtype=object),
        **_by_class(given),
    }
    for name in ("x0", "y0", "x1", "y1", *_MEASURES):
        columns[name] = table.get(name, empty)
    columns["denoised"] = np.zeros(len(given), bool)
    if len(given) and denoise.names("denoise.parquet"):
        columns["denoised"] = read_parquet((denoise.path / "denoise.parquet").read_bytes())["denoised"]
    return columns


def _people(people: list[dict[str, Any]]) -> dict[str, list[Any]]:
    plain = ("person", "first_s", "last_s", "n_faces", "n_uncertain", "predominant", "margin")
    columns: dict[str, list[Any]] = {name: [person[name] for person in people] for name in plain}
    for name in EMOTIONS:
        columns[name] = [person["distribution"][name] for person in people]
    columns["vote"] = [person["vote"]["predominant"] for person in people]
    for name in EMOTIONS:
        columns[f"vote_{name}"] = [(person["vote"]["distribution"] or {}).get(name) for person in people]
    return columns


def _windows(audio: Artifact, probabilities: "Mapping[str, np.ndarray]", abstain: float | None) -> "dict[str, Any]":
    import numpy as np

    given = probabilities.get("windows", np.zeros((0, len(EMOTIONS)), np.float32))
    times = audio.arrays("windows.safetensors")["times"] if len(given) else np.zeros((0, 2))
    silent = audio.arrays("windows.safetensors")["silent"] if len(given) else np.zeros(0)
    heard = ~np.isnan(given).any(1)
    return {
        "start_s": times[:, 0],
        "end_s": times[:, 1],
        "status": [
            "ok" if is_heard else "silent" if is_silent else "no_voice"
            for is_heard, is_silent in zip(heard, silent, strict=True)
        ],
        "expression": [
            predominant(row, abstain)[0] if is_heard else None for row, is_heard in zip(given, heard, strict=True)
        ],
        **_by_class(given),
    }


def _by_class(probabilities: "np.ndarray") -> "dict[str, np.ndarray]":
    return {name: probabilities[:, i] for i, name in enumerate(EMOTIONS)}


def _summary(answer: Mapping[str, Any], inputs: Mapping[str, Artifact]) -> dict[str, Any]:
    faces, classify, fused = inputs["faces"], inputs["classify"], answer["fused"]
    return {
        "status": classify.status,
        "message": classify.message,
        "predominant": fused["predominant"],
        "margin": fused["margin"],
        "modalities": fused["modalities"],
        **{name: answer[name] for name in ("faces", "sound", "fused", "people", "settings")},
        "denoise": {**inputs["denoise"].meta, **inputs["finetune"].meta} if inputs["denoise"].meta else None,
        "provenance": {
            "vidfer": __version__,
            "source_blake3": faces.manifest["recipe"]["source"],
            "stages": {
                name: {"key": artifact.key, **{part: artifact.manifest["recipe"][part] for part in _RECIPE}}
                for name, artifact in inputs.items()
            },
        },
    }


_RECIPE = ("version", "params", "tools")
