"""What `summary.json` holds, by name and type: one that was changed by hand or by accident is damaged, and no fault of vidfer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from vidfer.results.schema import TABLES, Kind
from vidfer.types import Status

_Shape = Any
"""None or a type, a tuple of shapes of which one fits, a frozenset of values, a dict of fields, `_Each`, or `_List`."""


@dataclass(frozen=True)
class _Each:
    """A mapping from any names to one shape."""

    shape: _Shape


@dataclass(frozen=True)
class _List:
    """A list of one shape."""

    shape: _Shape


@dataclass(frozen=True)
class _Maybe:
    """A field that may be missing."""

    shape: _Shape


_STATUS: Final = frozenset(map(str, Status))
_NUMBER: Final = (int, float)
_ANSWER: Final = {
    "predominant": (str, None),
    "margin": (*_NUMBER, None),
    "distribution": (_Each(_NUMBER), None),
}
_PART: Final = {"status": _STATUS, "message": str, **_ANSWER}
_MEDIA: Final = {
    **dict.fromkeys(("duration_s", "fps", "width", "height", "rotation", "step_s"), (*_NUMBER, None)),
    **dict.fromkeys(("sampling_rate", "channels", "loudness"), (*_NUMBER, None)),
    **dict.fromkeys(("container", "codec", "audio_codec", "recorded_at"), (str, None)),
    "cuts_s": _Maybe(_List(_NUMBER)),
    "notes": _List(str),
}
_PERSON: Final = {"person": int, **_ANSWER, "n_faces": _Maybe(int), "strip_s": _Maybe(_List(_NUMBER))}
_SETTINGS: Final = {"abstain": (*_NUMBER, None), "face_weight": _NUMBER, "sound_weight": _NUMBER}
_MODEL: Final = {"weights": str, "digest": str, "network": (str, None)}
_DENOISED: Final = {"denoised": int, "faces": int, "mean_change": (*_NUMBER, None)}

_SUMMARY: Final = {
    "clip": str,
    "status": _STATUS,
    "message": str,
    "predominant": (str, None),
    "margin": (*_NUMBER, None),
    "modalities": _List(str),
    "faces": _PART,
    "sound": _PART,
    "fused": _PART,
    "people": _List(_PERSON),
    "media": _MEDIA,
    "settings": (_SETTINGS, None),
    "denoise": (_DENOISED, None),
    "provenance": ({"source_blake3": (str, None), "stages": _Each({"key": str})}, None),
    "models": _Maybe((_Each(_MODEL), None)),
    "bundle": _Maybe((str, None)),
    "preset": _Maybe((str, None)),
    "analyzed_at": str,
    "clip_id": str,
    "further_columns": _Each(_Each(frozenset(get_args(Kind)))),
    "files": _Each((str, None)),
    "overlay": _Maybe(({"status": _STATUS, "message": str}, None)),
    "video": _Maybe((str, None)),
}


def misshapen(summary: Mapping[str, Any]) -> str:
    """Return the name of the first part of a summary that is missing or of another type than it is written with, else nothing.

    Example:
        >>> misshapen({"clip": "a.mp4", "status": "fine"})
        'status'
    """
    wrong = _wrong(summary, _SUMMARY, "") or ""
    return wrong or "further_columns" * bool(summary["further_columns"].keys() - TABLES.keys())


def _wrong(value: Any, shape: _Shape, name: str) -> str | None:  # noqa: ANN401 - any JSON
    """Return the name of what does not fit in a value; None where all does."""
    if isinstance(shape, tuple):
        tried = [_wrong(value, each, name) for each in shape]
        return None if None in tried else max(filter(None, tried), key=len)
    if isinstance(shape, frozenset):
        fits = isinstance(value, str) and value in shape
    elif shape is None:
        fits = value is None
    elif isinstance(shape, type):
        fits = isinstance(value, shape) and isinstance(value, bool) <= (shape is bool)
    else:
        return _wrong_inside(value, shape, name)
    return None if fits else name


def _wrong_inside(value: Any, shape: _Shape, name: str) -> str | None:  # noqa: ANN401 - any JSON
    if isinstance(shape, _List):
        parts = (
            [(f"{name}[{at}]", one, shape.shape) for at, one in enumerate(value)] if isinstance(value, list) else None
        )
    elif not isinstance(value, dict):
        return name
    elif isinstance(shape, _Each):
        parts = [(f"{name}.{key}", one, shape.shape) for key, one in value.items()]
    else:
        parts = []
        for key, each in shape.items():
            place = f"{name}.{key}".lstrip(".")
            if key not in value:
                if not isinstance(each, _Maybe):
                    return place
            else:
                parts.append((place, value[key], each.shape if isinstance(each, _Maybe) else each))
    if parts is None:
        return name
    return next((wrong for place, one, inner in parts if (wrong := _wrong(one, inner, place)) is not None), None)
