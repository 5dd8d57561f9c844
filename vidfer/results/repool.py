"""People and clip pooled once more from rows of `frames` and `windows`: without excluded times, or with persons merged."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidfer.inference import decision
from vidfer.inference.decision import FacePrediction, FusedPrediction, Rules, SoundPrediction
from vidfer.media.quality import UNUSABLE
from vidfer.results.schema import typed
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

Settings = Mapping[str, Any]
Floats = npt.NDArray[np.floating]


def repool(tables: "Tables", settings: Settings) -> "tuple[dict[str, pd.DataFrame], list[str]]":
    """Return the tables of one clip with `people` and `clips` pooled from `frames` and `windows`, and what to know about that.

    Persons are told apart by `person_id` in `frames`, so that rows that were given one id count as one person. Rows whose
    `excluded` is true do not count. A person's other columns, such as `name`, are those of the row of that id in `people`.
    `settings` are those of `summary.json`. Where a trained model decided, which cannot be asked again, pooled values stand in,
    and the sentences returned say so.
    """
    rules = _rules(settings)
    frames, windows = (tables[name][counts(tables[name])] for name in ("frames", "windows"))
    images = frames[frames[EMOTIONS[0]].notna() & frames["person_id"].notna()]
    heard = windows[windows[EMOTIONS[0]].notna()].sort_values("start_s", kind="stable")
    faces = _faces(images, rules) if len(images) else None
    sequential = settings.get("sound") == "sequence"
    sound = decision.pool_windows(probabilities(heard), sequential=sequential) if len(heard) else None
    fused = decision.fuse_modalities(faces, sound, None, rules)
    people = _people(images, faces, tables["people"], rules)
    seen = {
        "n_frames": frames["time_s"].nunique(),
        "n_faces": len(images),
        "n_unusable": int((images["weight"] < UNUSABLE).sum()),
        "n_uncertain": int((~decision.certain(probabilities(images), rules.abstain)).sum()),
        "n_people": len(people),
        "n_windows": len(windows),
        "person_id": people["person_id"].iloc[0] if len(people) == 1 else None,
    }
    clip = {**seen, **_clip(faces, sound, fused, rules.abstain)}
    clips = typed("clips", tables["clips"].assign(**clip))
    notes = {
        "people: face images were pooled in place of the trained faces model": faces and settings["faces"] == "trained",
        "faces and sound were joined by their product in place of the trained fusion model": (
            faces and sound and settings["fusion"] == "trained"
        ),
        "the sound model reads windows in order: those that do not count were heard before others": sound
        and sequential,
    }
    return {**tables, "people": people, "clips": clips}, [note for note, applies in notes.items() if applies]


def counts(rows: "pd.DataFrame") -> "npt.NDArray[np.bool_]":
    """Say which rows count: all but those marked as excluded."""
    if "excluded" not in rows:
        return np.ones(len(rows), bool)
    return ~rows["excluded"].to_numpy(bool, na_value=False)


def probabilities(rows: "pd.DataFrame", prefix: str = "") -> Floats:
    """Return the seven probabilities of rows, (N, 7) float64, missing ones NaN."""
    return rows[[f"{prefix}{name}" for name in EMOTIONS]].to_numpy(np.float64, na_value=np.nan)


def _rules(settings: Settings) -> Rules:
    """Read the rule of the decision back; calibration and prior are in the probabilities already."""
    return Rules(
        answer="vote" if settings["faces"] == "vote" else "pool",
        pool=settings["pool"],
        abstain=settings["abstain"],
        pooled_temperature=settings["pooled_temperature"],
        face_weight=settings["face_weight"],
        sound_weight=settings["sound_weight"],
    )


def _faces(images: "pd.DataFrame", rules: Rules) -> FacePrediction:
    import pandas as pd

    person = pd.factorize(images["person_id"])[0].astype(np.int64)
    times, weights = (images[name].to_numpy(np.float64) for name in ("time_s", "weight"))
    return decision.pool_faces(probabilities(images), person, times, weights, rules)


def _people(
    images: "pd.DataFrame", faces: FacePrediction | None, before: "pd.DataFrame", rules: Rules
) -> "pd.DataFrame":
    import pandas as pd

    rows: list[dict[Any, Any]] = []
    groups = images.groupby("person_id", sort=False) if faces else ()
    for (person, own), distribution in zip(groups, faces.of_people if faces else (), strict=True):
        known = before[before["person_id"] == person]
        kept: dict[Any, Any] = (
            known.iloc[0].to_dict() if len(known) else {"clip_id": own["clip_id"].iloc[0], "person_id": person}
        )
        voting = decision.certain(probabilities(own), rules.abstain)
        votes: dict[str, float] = {}
        if voting.any():
            votes = decision.by_name(decision.vote(probabilities(own)[voting]))
        seen = {
            "first_s": own["time_s"].min(),
            "last_s": own["time_s"].max(),
            "n_faces": len(own),
            "n_unusable": int((own["weight"] < UNUSABLE).sum()),
            "n_uncertain": int((~voting).sum()),
            "vote": max(votes, key=votes.__getitem__, default=decision.UNCERTAIN),
            **{f"vote_{name}": votes.get(name) for name in EMOTIONS},
        }
        rows.append({**kept, **seen, **_answer(distribution, rules.abstain)})
    made = pd.DataFrame(rows, columns=before.columns if not rows else None)
    study = {name: kind for name, kind in before.dtypes.items() if name in made}
    return typed("people", made.astype(study)).reindex(columns=before.columns)


def _clip(
    faces: FacePrediction | None, sound: SoundPrediction | None, fused: FusedPrediction | None, abstain: float | None
) -> dict[str, Any]:
    whole = _answer(fused.distribution, abstain) if fused else dict.fromkeys(("predominant", "margin", *EMOTIONS))
    found: dict[str, Any] = {**whole, "modalities": "+".join(fused.weights) if fused else None}
    for name, part in (("faces", faces), ("sound", sound)):
        own = _answer(part.distribution, abstain) if part else {}
        found |= {f"{name}_{column}": own.get(column) for column in ("predominant", *EMOTIONS)}
    return {**found, "agreement": agreement(*(found[f"{name}predominant"] for name in ("", "faces_", "sound_")))}


def agreement(answer: str | None, faces: str | None, sound: str | None) -> str | None:
    """Say whose own answer a clip's is: `both`, `faces`, `sound` or `neither`; None where fewer than two predict."""
    if faces is None or sound is None:
        return None
    same = [name for name, own in (("faces", faces), ("sound", sound)) if own == answer]
    return "both" if len(same) == 2 else same[0] if same else "neither"


def _answer(distribution: Floats, abstain: float | None) -> dict[str, Any]:
    name, margin = decision.predominant(distribution, abstain)
    return {"predominant": name, "margin": margin, **decision.by_name(distribution)}
