"""Stage `report`: what the tables say of a clip's content, without its path and ids, which are not part of any key."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from vidfer import __version__
from vidfer.media.decode import Probe
from vidfer.media.quality import UNUSABLE
from vidfer.pipeline.columns import to_parquet
from vidfer.pipeline.stage import Outcome, Progress, Stage, later
from vidfer.pipeline.store import Artifact, Draft
from vidfer.results.files import read_table
from vidfer.results.frames import build_frames
from vidfer.results.pictures import POSTER, STRIP, STRIPS, Pictures, encode, encode_strip
from vidfer.results.schema import SCHEMA_VERSION, TABLES, typed
from vidfer.results.smoothing import most_probable
from vidfer.results.tables import NO_MEDIA, Report
from vidfer.stages.clip_faces import best_faces, read_crops, spread
from vidfer.stages.faces import TIMES
from vidfer.stages.probe import read_probe
from vidfer.types import EMOTIONS, Status

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.intp]

_THUMBNAILS: Final = "thumbnails.parquet"
_STRIPS: Final = "strips.parquet"

_IDS: Final = ["clip_id", "person_id"]
_OF_RUN: Final = {
    "frames": [*_IDS, "person_name"],
    "people": [*_IDS, "person_name", "name", "same_as", "linked_to", "thumbnail"],
    "windows": _IDS,
}
"""The columns of each table that do not depend on the clip's content alone."""


@dataclass(frozen=True)
class ReportStage(Stage):
    """Write tables `frames`, `people` and `windows` without the columns that depend on the run, `summary.json`, and pictures.

    The tables are typed as the schema says, also where they have no rows. Numbers of the tables are as they are; those of the
    summary have six decimals. Persons are counted from 1 in order of appearance; `thumbnails.parquet` has of each the best face
    image, as it came from the frame, as a JPEG, `strips.parquet` of those seen most a strip of face images (see `Pictures`), and
    `poster.jpg` is a frame; without `keep_faces` there are no pictures. See `read_report`.
    """

    name: ClassVar[str] = "report"
    version: ClassVar[int] = 9
    inputs: ClassVar[tuple[str, ...]] = ("probe", "faces", "denoise", "finetune", "audio", "classify")

    keep_faces: bool = later(True)

    def tools(self) -> Mapping[str, str | None]:
        """Name vidfer's own version, which the summary prints, and the schema's."""
        return {"vidfer": __version__, "schema": str(SCHEMA_VERSION)}

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Write the tables and the summary."""
        classify = inputs["classify"]
        probabilities = classify.arrays("probabilities.safetensors") if classify.names("probabilities") else {}
        predictions = classify.json("predictions.json")
        abstain = predictions["settings"]["abstain"]
        faces, best = _faces(inputs, probabilities.get("faces")), _best(inputs["faces"])
        times = _times(inputs["faces"])
        windows = _windows(inputs["audio"], probabilities.get("windows"), abstain, predictions["sound"]["status"])
        tables = {
            "frames": build_frames(times, faces, abstain),
            "people": _people(predictions["people"], faces, best),
            "windows": windows,
        }
        for name, rows in tables.items():
            draft.write(f"{name}.parquet", _parquet(typed(name, rows).drop(columns=_OF_RUN[name])))
        if len(best) and self.keep_faces:
            pictures = [encode(crop) for crop in _crops(inputs["faces"], np.sort(best))]
            order = np.argsort(best)
            draft.write(_THUMBNAILS, to_parquet({"person": order + 1, "jpeg": pictures}))
        strips = _strips(inputs["faces"]) if self.keep_faces else {}
        if strips:
            jpegs = [encode_strip(_crops(inputs["faces"], rows)) for rows, _ in strips.values()]
            draft.write(_STRIPS, to_parquet({"person": np.array(list(strips)), "jpeg": jpegs}))
        if inputs["faces"].names(POSTER):
            draft.write(POSTER, (inputs["faces"].path / POSTER).read_bytes())
        strip_s = {person: times_s for person, (_, times_s) in strips.items()}
        draft.write_json("summary.json", _summary(predictions, inputs, times, strip_s))
        return Outcome(classify.status, classify.message)


def read_report(artifact: Artifact) -> Report:
    """Read what the stage wrote."""
    tables = {name: read_table(artifact.path / f"{name}.parquet") for name in _OF_RUN}
    poster = (artifact.path / POSTER).read_bytes() if artifact.names(POSTER) else None
    pictures = Pictures(_jpegs(artifact, _THUMBNAILS), _jpegs(artifact, _STRIPS), poster)
    return Report(artifact.json("summary.json"), **tables, pictures=pictures)


def _jpegs(artifact: Artifact, name: str) -> dict[int, bytes]:
    found = artifact.table(name) if artifact.names(name) else {"person": (), "jpeg": ()}
    return dict(zip(map(int, found["person"]), found["jpeg"], strict=True))


def _names(table: str) -> list[str]:
    return [column.name for column in TABLES[table]]


def _parquet(rows: "pd.DataFrame") -> bytes:
    """Encode rows so that `pd.read_parquet` gives their types again."""
    out = io.BytesIO()
    rows.to_parquet(out, compression="zstd", index=False)
    return out.getvalue()


def _times(faces: Artifact) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(faces.table("times.parquet") if faces.names("times") else dict.fromkeys(TIMES, np.zeros(0)))


def _faces(inputs: Mapping[str, Artifact], probabilities: Floats | None) -> "pd.DataFrame":
    """Return a row for each face image with the columns of table `frames`, and `person`, in the order of the crops."""
    import pandas as pd

    faces, denoise = inputs["faces"], inputs["denoise"]
    if not faces.names("faces"):
        return typed("frames", pd.DataFrame(index=range(0))).assign(person=0)
    table = pd.DataFrame(faces.table("faces.parquet")).rename(columns={"size": "face_size"})
    known = [name for name in _names("frames") if name in table]
    denoised = denoise.table("denoise.parquet")["denoised"] if denoise.names("denoise.parquet") else False
    shares = np.full((len(table), len(EMOTIONS)), np.nan) if probabilities is None else probabilities
    person = np.unique(table["track"], return_inverse=True)[1] + 1
    return table[known].assign(person=person, denoised=denoised, **dict(zip(EMOTIONS, shares.T, strict=True)))


def _best(faces: Artifact) -> Rows:
    """Return the row of the best face image of each person, (P,), persons in order of appearance."""
    if not faces.names("faces"):
        return np.zeros(0, np.intp)
    table = faces.table("faces.parquet")
    rows = best_faces(table)
    return rows[np.argsort(table["track"][rows])]


def _crops(faces: Artifact, rows: Rows) -> "list[npt.NDArray[np.uint8]]":
    return [crop for crops in read_crops(faces, rows) for crop in crops]


def _strips(faces: Artifact) -> dict[int, tuple[Rows, list[float]]]:
    """Choose rows of face images, and their times in s, for the strip of each of the people seen most, by number."""
    if not faces.names("faces"):
        return {}
    table = faces.table("faces.parquet")
    tracks, counts = np.unique(table["track"], return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[:STRIPS])
    rows = {int(place) + 1: spread(table["track"], int(tracks[place]), STRIP) for place in most}
    return {person: (chosen, table["time_s"][chosen].round(3).tolist()) for person, chosen in rows.items()}


def _people(people: Sequence[Mapping[str, Any]], faces: "pd.DataFrame", best: Rows) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for number, person in enumerate(people, start=1):
        vote, shares = person["vote"]["predominant"], person["vote"]["distribution"] or dict.fromkeys(EMOTIONS)
        votes = {f"vote_{name}": share for name, share in shares.items()}
        images = faces[faces["person"] == number]
        unusable = int((images["weight"] < UNUSABLE).sum())
        quality = {"n_unusable": unusable, "best_s": faces["time_s"].iloc[best[number - 1]]}
        rows.append({**person, **person["distribution"], **votes, **quality, "vote": vote, "person": number})
    return pd.DataFrame(rows, columns=[name for name in _names("people") if name not in _OF_RUN["people"]])


def _windows(audio: Artifact, probabilities: Floats | None, abstain: float | None, of_sound: str) -> "pd.DataFrame":
    import pandas as pd

    if probabilities is None:
        return pd.DataFrame(index=range(0))
    windows = audio.arrays("windows.safetensors", only=("times", "silent", "voice"))
    unused = np.isnan(probabilities[:, 0])
    without = Status.NO_MODEL if of_sound == Status.NO_MODEL else Status.NO_VOICE
    status = np.where(unused, np.where(windows["silent"] == 1, "silent", without), "ok").astype(object)
    start, end = windows["times"].T
    return pd.DataFrame(
        {
            **{"start_s": start, "end_s": end, "status": status, "speech": windows["voice"]},
            "expression": most_probable(probabilities, abstain),
            **dict(zip(EMOTIONS, probabilities.T, strict=True)),
        }
    )


def _summary(
    predictions: Mapping[str, Any],
    inputs: Mapping[str, Artifact],
    times: "pd.DataFrame",
    strip_s: Mapping[int, list[float]],
) -> dict[str, Any]:
    classify, denoise = inputs["classify"], inputs["denoise"]
    people = [
        {**person, "person": number, "strip_s": strip_s.get(number, [])}
        for number, person in enumerate(predictions["people"], start=1)
    ]
    parts = {**{name: predictions[name] for name in ("faces", "sound", "fused")}, "people": people}
    recipes = {name: artifact.manifest["recipe"] for name, artifact in inputs.items()}
    stages = {
        name: {"key": inputs[name].key, **{part: recipe[part] for part in ("version", "params", "tools")}}
        for name, recipe in recipes.items()
    }
    return {
        "status": classify.status,
        "message": classify.message,
        **{name: parts["fused"][name] for name in ("predominant", "margin", "modalities")},
        **parts,
        "media": _media(inputs, times),
        "settings": predictions["settings"],
        "denoise": {**denoise.meta, **inputs["finetune"].meta} if denoise.meta else None,
        "provenance": {"vidfer": __version__, "source_blake3": recipes["faces"]["source"], "stages": stages},
    }


def _media(inputs: Mapping[str, Artifact], times: "pd.DataFrame") -> dict[str, Any]:
    """Collect the facts of the file that the stages found out, see `NO_MEDIA`."""
    if inputs["probe"].status is not Status.OK:
        return dict(NO_MEDIA)
    about, sampling = read_probe(inputs["probe"]), inputs["faces"].manifest["recipe"]["params"]
    found = {**NO_MEDIA, "duration_s": about.duration, "container": about.container, "recorded_at": about.recorded}
    notes = []
    if about.video:
        found |= {name: getattr(about.video, name) for name in ("fps", "codec", "rotation")}
        found["step_s"] = _step(about, sampling, times)
        notes.append(about.video.choice)
    if len(times):
        found |= {name: int(times[name].iloc[0]) for name in ("width", "height")}
        found["cuts_s"] = times["time_s"][times["cut"].astype(bool)].round(3).tolist()
    if about.audio:
        names = {"audio_codec": "codec", "sampling_rate": "sampling_rate", "channels": "channels"}
        found |= {ours: getattr(about.audio, name) for ours, name in names.items()}
        found["loudness"] = inputs["audio"].meta.get("loudness")
        notes.append(inputs["audio"].meta.get("notes") or about.audio.choice)
    return {**found, "notes": list(filter(None, notes))}


def _step(about: Probe, sampling: Mapping[str, Any], times: "pd.DataFrame") -> float | None:
    """Return the time between two samples in s, as it was asked for, else as it came out."""
    if sampling.get("fps"):
        return 1 / float(sampling["fps"])
    if sampling.get("every") and about.video and about.video.fps:
        return float(sampling["every"]) / about.video.fps
    return float(np.median(np.diff(times["time_s"]))) if len(times) > 1 else None
