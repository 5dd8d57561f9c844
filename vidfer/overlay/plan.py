"""What an overlay shows, from a clip's tables: plain values that go to the process that draws."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from vidfer.results.schema import SMOOTH
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

Blur = Literal["all", "others"]
"""Whose faces are blurred: everybody's, or those of everybody but the main person (see `kept`)."""

_WITHOUT_STEP: Final = 0.2
"""Seconds between two samples where the summary does not know."""

_NOT_HEARD: Final = (None, "no_audio")
_BOX: Final = ("x0", "y0", "x1", "y1")


def make_plan(
    tables: "Tables", summary: Mapping[str, Any], names: Mapping[str, str], blur: Blur | None
) -> dict[str, Any]:
    """Collect what is drawn, as JSON knows it.

    Args:
        tables: Tables `frames`, `people` and `seconds` of one clip.
        summary: The clip's summary, of which `media` is read.
        names: Of people by `person_id`; others are "person 1" and so on. Who is blurred is known by the number alone.
        blur: Whose faces are blurred.

    Returns:
        `step`: seconds between two samples; `cuts`: times of scene cuts in s; `times`: all sampled times in s; `people`: for each
        the `name`, whether `blurred`, and per sampled time with a box `time` in s, `box` of four px, `smooth` of seven
        probabilities or None, and `note`, what stands there instead; `sound`: intervals with `start`, `end` in s, `status`,
        `word`, `probability` and `speech`, the share in which someone speaks.
    """
    frames, media = tables["frames"], summary["media"]
    shown = kept(tables, names) if blur == "others" else set[str]()
    numbers = dict(zip(tables["people"]["person_id"], tables["people"]["person"], strict=True))
    people: list[dict[str, Any]] = []
    for person_id, rows in frames[frames["x0"].notna()].groupby("person_id", sort=False):
        hidden = blur is not None and person_id not in shown
        name = f"person {numbers.get(person_id, len(people) + 1)}"
        people.append({"name": name if hidden else names.get(str(person_id), name), "blurred": hidden, **_seen(rows)})
    return {
        "step": float(media.get("step_s") or _WITHOUT_STEP),
        "cuts": list(media.get("cuts_s") or ()),
        "times": np.unique(frames["time_s"].to_numpy(float)).tolist(),
        "people": people,
        "sound": _sound(tables),
    }


def kept(tables: "Tables", names: Mapping[str, str]) -> set[str]:
    """Return the ids of the main people, whom `--blur-faces others` leaves as they are.

    They are those who have a name; where nobody has one, the one with the most face images, of several the first to appear.
    """
    people = tables["people"]
    named = {str(one) for one in people["person_id"].dropna() if one in names}
    if named or not len(people):
        return named
    seen = people["n_faces"].fillna(0).to_numpy(float)
    return {str(people["person_id"].iloc[int(seen.argmax())])}


def _seen(rows: "pd.DataFrame") -> dict[str, Any]:
    rows = rows.sort_values("time_s", kind="stable").drop_duplicates("time_s")
    smooth = rows[[f"{SMOOTH}{name}" for name in EMOTIONS]].to_numpy(float)
    answers = rows[f"{SMOOTH}expression"].fillna("").tolist()
    excluded = rows["excluded"].fillna(False).tolist() if "excluded" in rows else [False] * len(rows)
    return {
        "time": rows["time_s"].tolist(),
        "box": rows[list(_BOX)].to_numpy(float).tolist(),
        "smooth": [None if np.isnan(each).any() else each.tolist() for each in smooth],
        "note": [
            _note(*each)
            for each in zip(rows["status"].tolist(), answers, rows["flaws"].fillna(""), excluded, strict=True)
        ],
    }


def _note(status: str, answer: str, flaws: str, excluded: bool) -> str:
    """Say what stands instead of an expression, or nothing."""
    if excluded:
        return "excluded"
    if answer == "uncertain":
        return answer
    if status != "face":
        return status.replace("_", " ")
    return "" if answer else flaws.partition(";")[0].strip() or "not usable"


def _sound(tables: "Tables") -> list[dict[str, Any]]:
    rows = tables["seconds"].drop_duplicates("start_s")
    windows = tables["windows"]
    starts, ends, shares = (windows[name].to_numpy(float) for name in ("start_s", "end_s", "speech"))
    found = []
    for row in rows[~rows["sound_status"].isin(_NOT_HEARD)].to_dict("records"):
        word = row["sound_expression"] if isinstance(row["sound_expression"], str) else ""
        overlap = np.clip(np.minimum(ends, row["end_s"]) - np.maximum(starts, row["start_s"]), 0, None)
        overlap[np.isnan(shares)] = 0
        speech = float(np.nansum(overlap * shares) / overlap.sum()) if overlap.sum() > 0 else 0.0
        found.append(
            {
                **{"start": row["start_s"], "end": row["end_s"], "status": row["sound_status"], "word": word},
                **{"probability": row.get(f"sound_{word}"), "speech": speech},
            }
        )
    return found
