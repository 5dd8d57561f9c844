"""The facts of a report, in words: the answers and whether they agree, what denoising changed, the file, and how all was made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vidfer.pages.environment import number, seconds
from vidfer.results.colours import COLOURS
from vidfer.results.schema import OPTIONAL, TABLES
from vidfer.types import SOUND_IS_FINE, Status

if TYPE_CHECKING:
    import pandas as pd

LISTED: Final = 2_000
"""Most segments in the page's table: each takes a quarter of a kB, and hours of many people have tens of thousands."""

Fact = tuple[str, str]

_METHODS: Final = {
    "late": "the product of the two distributions",
    "trained": "the mean of a trained fusion model's prediction and the product of the two distributions",
}
_STATUS: Final = {
    Status.OK: "good",
    **dict.fromkeys((Status.PARTIAL, Status.NO_FACE, Status.NO_VIDEO), "warn"),
}


@dataclass(frozen=True)
class Answer:
    """What faces, sound, or both predict.

    Args:
        kind: Class of the status in the style: good, warn, bad, or nothing.
        shares: Expression and probability, the most probable first; empty without a prediction.
        how: What it rests on, in words.
    """

    title: str
    status: str
    kind: str
    message: str
    predominant: str | None
    margin: float | None
    shares: tuple[tuple[str, float], ...]
    how: str


def answers(clip: "pd.Series[Any]", summary: Mapping[str, Any]) -> list[Answer]:
    """Return the clip's answer, that of the faces and that of the sound, from the row of table `clips`."""
    fused, faces, sound = (summary[part] for part in ("fused", "faces", "sound"))
    whole = _answer(clip, "", "Clip", str(clip["status"]), summary["message"], _how(fused))
    images, frames = _many(clip["n_faces"], "face image"), _many(clip["n_frames"], "frame")
    counted = f"{images} in {frames} of {_many(clip['n_people'], 'person', 'people')}"
    windows = sound["n_windows"]
    used = windows - sound["n_silent"] - sound["n_no_voice"]
    heard = f"{used} of {_many(windows, 'window')} of sound" if used else ""
    return [
        whole,
        _answer(
            clip, "faces_", "Faces", str(clip["faces_status"]), faces["message"], counted if clip["n_faces"] else ""
        ),
        _answer(clip, "sound_", "Sound", str(clip["sound_status"]), sound["message"], heard),
    ]


def _answer(clip: "pd.Series[Any]", prefix: str, title: str, status: str, message: str, how: str) -> Answer:
    answer = clip[f"{prefix}predominant"]
    known = isinstance(answer, str)
    shares = [(name, float(clip[f"{prefix}{name}"])) for name in COLOURS] if known else []
    shares.sort(key=lambda share: -share[1])
    margin = shares[0][1] - shares[1][1] if known else None
    kind = _STATUS.get(status, "" if prefix == "sound_" and status in SOUND_IS_FINE else "bad")  # type: ignore[call-overload]
    return Answer(title, status.replace("_", " "), kind, message, answer if known else None, margin, tuple(shares), how)


def _how(fused: Mapping[str, Any]) -> str:
    modalities = fused["modalities"]
    if not modalities:
        return ""
    if len(modalities) == 1:
        return f"the {modalities[0]} alone"
    return f"faces and sound: {_METHODS.get(fused['method'], fused['method'])}"


def agreement(clip: "pd.Series[Any]") -> str:
    """Say whether faces and sound agree, in a sentence."""
    whole, faces, sound = (clip[f"{prefix}predominant"] for prefix in ("", "faces_", "sound_"))
    own = {"faces": faces, "sound": sound}
    alone = [name for name, answer in own.items() if isinstance(answer, str)]
    if len(alone) < 2:
        return f"Only the {alone[0]} could be read, so there is nothing to agree with." if alone else ""
    return {
        "both": f"Faces and sound agree: each alone gives {whole}.",
        "faces": f"Faces and sound disagree: the answer, {whole}, is that of the faces; the sound alone gives {sound}.",
        "sound": f"Faces and sound disagree: the answer, {whole}, is that of the sound; the faces alone give {faces}.",
        "neither": f"Faces alone give {faces}, the sound alone {sound}; together {whole} is most probable.",
    }[clip["agreement"]]


def denoising(denoise: Mapping[str, Any] | None) -> str:
    """Say what denoising changed."""
    if not denoise:
        return "Nothing was denoised: there was no face image, or denoising was off."
    count, faces = denoise["denoised"], denoise["faces"]
    if not faces:
        return "There was no face image to denoise."
    limit = f"estimated noise above {denoise['threshold']:g} (0-255)" if denoise.get("mode") == "auto" else "any noise"
    if not count:
        return f"None of {_many(faces, 'face image')} was denoised: none has {limit}."
    change = (
        ""
        if denoise["mean_change"] is None
        else f", which changed their gray levels by {denoise['mean_change']:.1f} on average"
    )
    changed = denoise.get("answers_changed", 0)
    effect = f" Without it {changed or 'none'} of them would have had another most probable expression."
    was = "was" if count == 1 else "were"
    return (
        f"{count} of {_many(faces, 'face image')} {was} denoised ({limit}){change}.{'' if changed is None else effect}"
    )


def media(clip: "pd.Series[Any]", summary: Mapping[str, Any]) -> list[Fact]:
    """Return what is known of the file."""
    about = summary["media"]
    shown = [
        ("file", clip["path"]),
        ("length", seconds(about["duration_s"]) if about["duration_s"] else None),
        ("picture", _picture(about)),
        (
            "frames looked at",
            f"{int(clip['n_frames'])}, one each {about['step_s']:.3g} s" if about.get("step_s") else None,
        ),
        ("sound", _sound(about)),
        ("container", about["container"]),
        ("recorded", about["recorded_at"]),
        ("scene cuts", ", ".join(seconds(time) for time in (about.get("cuts_s") or ())[:40] if time > 0)),
    ]
    return [(name, str(value)) for name, value in shown if value]


def _picture(about: Mapping[str, Any]) -> str:
    size = f"{about['width']} x {about['height']} px" if about["width"] else ""
    rate = f"{about['fps']:.4g} frames/s" if about["fps"] else ""
    turned = f"turned by {about['rotation']} degrees" if about["rotation"] else ""
    return ", ".join(filter(None, (size, rate, about["codec"], turned)))


def _sound(about: Mapping[str, Any]) -> str:
    rate = f"{about['sampling_rate'] / 1000:g} kHz" if about["sampling_rate"] else ""
    channels = _many(about["channels"], "channel") if about["channels"] else ""
    loudness = f"{about['loudness']:.1f} LUFS" if about["loudness"] is not None else ""
    return ", ".join(filter(None, (about["audio_codec"], rate, channels, loudness)))


def study(clip: "pd.Series[Any]") -> list[Fact]:
    """Return the columns of a study: participant, condition, and whatever else the user's file had."""
    own = {column.name for column in (*TABLES["clips"],)}
    names = [column.name for column in OPTIONAL["clips"] if column.name in clip.index]
    names += [str(name) for name in clip.index if name not in own and name not in names]
    return [(name, str(clip[name])) for name in names if str(clip[name]) not in ("<NA>", "nan", "NaT", "None")]


def origin(clip: "pd.Series[Any]", summary: Mapping[str, Any]) -> list[Fact]:
    """Return by what, when and from what the results were made."""
    made = summary.get("tables") or {}
    took = summary.get("elapsed_s")
    shown = [
        ("vidfer", clip["vidfer"]),
        ("analysed at", summary.get("analyzed_at")),
        ("time taken", None if took is None else f"{took:.1f} s, without what the store had already"),
        ("BLAKE3 of the file", clip["source_blake3"]),
        ("bundle of models", summary.get("bundle")),
        ("preset", summary.get("preset")),
        ("table of seconds", f"a row each {made['grid']:g} s" if made.get("grid") else None),
        ("shortest segment", f"{made['min_segment']:g} s" if made.get("min_segment") is not None else None),
        ("baseline", json.dumps(made["baseline"]) if made.get("baseline") else None),
    ]
    return [(name, str(value)) for name, value in shown if isinstance(value, str) and value]


def settings(summary: Mapping[str, Any]) -> list[Fact]:
    """Return the settings by which predictions were made."""
    return [(name, _plain(value)) for name, value in (summary["settings"] or {}).items()]


def models(summary: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return kind, weights, network and digest of each model."""
    found = summary.get("models") or {}
    return [
        (kind, *(_plain(one.get(part)) for part in ("weights", "network", "digest")))
        for kind, one in found.items()
        if one
    ]


def stages(summary: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Return name, version, parameters, tools and key in the store of each stage."""
    found = (summary["provenance"] or {}).get("stages") or {}
    return [
        (name, _plain(one["version"]), _listed(one["params"]), _listed(one["tools"]), one["key"])
        for name, one in found.items()
    ]


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in values.items() if value is not None)


def _plain(value: object) -> str:
    if value is None or value == [] or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def segments(rows: "pd.DataFrame", labels: Mapping[str, str]) -> list[Sequence[str]]:
    """Return the cells of the table of segments, in the order of time; of more than `LISTED` the longest."""
    longest = (rows["start_s"] - rows["end_s"]).argsort(kind="stable").to_numpy()[:LISTED]
    ordered = rows.iloc[longest].sort_values(["start_s", "person_id"], kind="stable")
    columns = (ordered[name] for name in ("person_id", "expression", "start_s", "end_s", "mean_probability"))
    return [
        (
            labels.get(str(person), str(person)),
            str(name),
            f"{start:.1f}",
            f"{end:.1f}",
            f"{end - start:.1f}",
            number(mean),
        )
        for person, name, start, end, mean in zip(*columns, strict=True)
    ]


def _many(count: float, word: str, words: str = "") -> str:
    return f"{int(count)} {word if count == 1 else words or word + 's'}"
