"""A synthetic study: clips with drawn faces and made-up expressions, written as the run that an analysis would have written.

Nothing in it was seen or heard; it shows what the pages of a run look like.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from vidfer.api import ClipResult, Writing, write_result
from vidfer.datasets.synthetic import draw_face
from vidfer.inference.decision import by_name, predominant
from vidfer.results.design import ClipDesign
from vidfer.results.frames import build_frames
from vidfer.results.pictures import Pictures, encode, encode_poster, encode_strip
from vidfer.results.repool import repool
from vidfer.results.schema import Kind, typed
from vidfer.results.study import Study
from vidfer.results.tables import Report, build_tables, record
from vidfer.types import EMOTIONS, ClipError, Status

if TYPE_CHECKING:
    import pandas as pd

FPS: Final = 5
WHEN: Final = "2026-01-15T10:00:00Z"
KINDS: Final[Mapping[str, Kind]] = {"participant": "string", "condition": "string", "stimulus": "string"}
LEANINGS: Final = {"comedy": "happy", "drama": "sad", "thriller": "fear", "rest": "neutral"}
"""What faces show most under each condition."""


@dataclass(frozen=True)
class MadeClip:
    """What one synthetic clip is to be."""

    clip_id: str
    leaning: str
    people: int = 1
    seconds: float = 20.0
    speech: bool = True
    study: Mapping[str, str | None] | None = None


def make_clip(clip: MadeClip, template: Mapping[str, Any], rng: np.random.Generator) -> ClipResult:
    """Make the results of a clip; `template` is the summary of a real one, which says what models and settings there are."""
    import pandas as pd

    count = round(clip.seconds * FPS)
    times = pd.DataFrame({"frame": np.arange(count) * 5, "time_s": np.arange(count) / FPS, "brightness": 110.0})
    times = times.assign(cut=False, width=1280, height=720)
    faces = pd.concat([_faces(times, person + 1, clip, rng) for person in range(clip.people)], ignore_index=True)
    summary, settings = _summary(clip, template, count), template["settings"]
    design = ClipDesign(clip.clip_id, Study(KINDS, {clip.clip_id: dict(clip.study)}) if clip.study else Study())
    windows = typed("windows", _windows(clip, rng)).drop(columns=["clip_id", "person_id"])
    bare = Report(summary, build_frames(times, faces, None), _people(clip), windows, _pictures(clip, rng))
    pooled, _ = repool(build_tables(bare, clip.clip_id), settings)
    _fill(summary, pooled)
    report = replace(bare, people=pooled["people"][[*bare.people.columns]])
    summary["tables"] = record(design=design)
    return ClipResult(summary, build_tables(report, clip.clip_id, design=design), pictures=bare.pictures)


def _walk(leaning: str, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return probabilities (count, 7) that wander around one expression."""
    step = rng.normal(0, 0.45, (count, 7))
    logits = np.zeros((count, 7))
    for at in range(1, count):
        logits[at] = 0.93 * logits[at - 1] + step[at]
    logits[:, EMOTIONS.index(leaning)] += 1.3
    logits[:, EMOTIONS.index("neutral")] += 0.8
    shares = np.exp(1.3 * logits)
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _faces(times: "pd.DataFrame", person: int, clip: MadeClip, rng: np.random.Generator) -> "pd.DataFrame":
    first = int((person - 1) * 0.1 * len(times))
    rows = times.iloc[first:]
    rows = rows[rng.random(len(rows)) > 0.06][["frame", "time_s"]]
    left = 120.0 + 380 * (person - 1)
    box = {"x0": left, "y0": 180.0, "x1": left + 220, "y1": 440.0, "face_size": 240.0, "weight": 0.9}
    shares = _walk(clip.leaning if person == 1 else "neutral", len(rows), rng)
    return rows.assign(person=person, flaws="", **box, **dict(zip(EMOTIONS, shares.T, strict=True)))


def _windows(clip: MadeClip, rng: np.random.Generator) -> "pd.DataFrame":
    import pandas as pd

    starts = np.arange(0, clip.seconds - 2 + 1e-9, 1.0) if clip.speech else np.array([])
    rows = pd.DataFrame({"start_s": starts, "end_s": starts + 2, "status": "ok", "speech": 0.8})
    shares = _walk(clip.leaning if rng.random() < 0.7 else "neutral", len(starts), rng)
    return rows.assign(
        **dict(zip(EMOTIONS, shares.T, strict=True)), expression=[EMOTIONS[at] for at in shares.argmax(1)]
    )


def _people(clip: MadeClip) -> "pd.DataFrame":
    import pandas as pd

    rows = typed("people", pd.DataFrame({"person": range(1, clip.people + 1), "best_s": 1.0}))
    return rows.drop(columns=["clip_id", "person_id"])


def _pictures(clip: MadeClip, rng: np.random.Generator) -> Pictures:
    drawn = {
        one: [_drawn(clip.leaning if one == 1 else "neutral", rng) for _ in range(12)]
        for one in range(1, clip.people + 1)
    }
    faces = {one: encode(images[0]) for one, images in drawn.items()}
    poster = np.concatenate([images[0] for images in drawn.values()], axis=1)
    return Pictures(faces, {one: encode_strip(images) for one, images in drawn.items()}, encode_poster(poster))


def _drawn(leaning: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    import cv2

    gray = cv2.resize(draw_face(leaning, rng), (160, 160), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.repeat(gray[..., None], 3, axis=2), np.uint8)


def _summary(clip: MadeClip, template: Mapping[str, Any], count: int) -> dict[str, Any]:
    summary = deepcopy(dict(template))
    media = {
        **summary["media"],
        "duration_s": clip.seconds,
        "fps": 25.0,
        "width": 1280,
        "height": 720,
        "step_s": 1 / FPS,
    }
    fine = {"status": "ok", "message": ""}
    heard = fine if clip.speech else {"status": "no_voice", "message": "nobody speaks"}
    return {
        **summary,
        **fine,
        "clip": f"videos/{clip.clip_id}",
        "faces": {**summary["faces"], **fine, "n_frames": count},
        "sound": {**summary["sound"], **heard},
        "media": {**media, "cuts_s": []},
        "provenance": {**summary["provenance"], "source_blake3": blake3(clip.clip_id.encode()).hexdigest()},
        "people": [{"person": one + 1} for one in range(clip.people)],
        "analyzed_at": WHEN,
        "elapsed_s": 4.0,
    }


def _fill(summary: dict[str, Any], tables: "Mapping[str, pd.DataFrame]") -> None:
    """Bring into a summary what was pooled."""
    clip, people = tables["clips"].iloc[0], tables["people"]
    for part, prefix in (("fused", ""), ("faces", "faces_"), ("sound", "sound_")):
        shares = clip[[f"{prefix}{name}" for name in EMOTIONS]].to_numpy(float)
        known = not np.isnan(shares).any()
        answer, margin = predominant(shares) if known else (None, None)
        found = {"predominant": answer, "margin": margin, "distribution": by_name(shares) if known else None}
        summary[part] = {**summary[part], **found}
    summary["faces"] |= {name: int(clip[name]) for name in ("n_faces", "n_unusable", "n_uncertain", "n_people")}
    summary["faces"]["vote"] = None
    summary["sound"] |= {"n_windows": int(clip["n_windows"]), "n_silent": 0, "n_no_voice": 0}
    modalities = [part for part in ("faces", "sound") if summary[part]["distribution"]]
    summary["fused"]["modalities"] = summary["modalities"] = modalities
    summary |= {name: summary["fused"][name] for name in ("predominant", "margin")}
    strips = np.linspace(0.5, summary["media"]["duration_s"] - 0.5, 12).round(2).tolist()
    for entry, (_, row) in zip(summary["people"], people.iterrows(), strict=True):
        entry |= {name: float(row[name]) for name in ("first_s", "last_s", "margin")}
        entry |= {"n_faces": int(row["n_faces"]), "n_uncertain": 0, "predominant": row["predominant"], "vote": None}
        entry |= {"distribution": {name: float(row[name]) for name in EMOTIONS}, "strip_s": strips}


def study_clips(conditions: Sequence[str], participants: int, rng: np.random.Generator) -> list[MadeClip]:
    """Plan a clip for each participant in each condition."""
    return [
        MadeClip(
            f"p{person:02d}/{condition}.mp4",
            LEANINGS[condition],
            people=2 if rng.random() < 0.1 else 1,
            seconds=float(rng.integers(14, 40)),
            speech=bool(rng.random() < 0.75),
            study={"participant": f"{person:02d}", "condition": condition, "stimulus": None},
        )
        for person in range(1, participants + 1)
        for condition in conditions
    ]


def write_run(
    run: Path, clips: Sequence[MadeClip], template: Mapping[str, Any], seed: int = 0, failed: int = 0
) -> None:
    """Write the folders of clips, and of so many that could not be read; tables and pages of the run are not made."""
    rng = np.random.default_rng(seed)
    for clip in clips:
        write_result(make_clip(clip, template, rng), run / clip.clip_id, Writing(show_faces=True))
    for number in range(failed):
        name = f"damaged-{number + 1}.mp4"
        error = ClipError(Status.CORRUPT, "the file breaks off before its index: copy it again from its source")
        write_result(replace_time(ClipResult.failed(f"videos/{name}", error, name)), run / name)


def replace_time(result: ClipResult) -> ClipResult:
    """Give a result the time of all others."""
    import pandas as pd

    clips = result.clips.assign(analyzed_at=pd.Timestamp(WHEN)).astype(result.clips.dtypes.to_dict())
    return replace(result, summary={**result.summary, "analyzed_at": WHEN}, tables={**result.tables, "clips": clips})
