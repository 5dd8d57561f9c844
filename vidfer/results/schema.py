"""Columns of every table that users open: name, type, unit, range, meaning, and what a missing value stands for.

Everything else is generated from here: pandas and Parquet types, the data dictionary beside the results and in the docs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION: Final = 1
"""Raised whenever a column is added, removed, renamed, or gets another type or meaning."""

Kind = Literal["string", "int", "float", "bool", "time"]

DTYPES: Final[Mapping[Kind, str]] = {
    **{"string": "string", "int": "Int64", "float": "float64", "bool": "boolean"},
    "time": "datetime64[us, UTC]",
}
"""The pandas type of each kind; each has a missing value, so that a column's type never depends on its rows."""

SMOOTH: Final = "smooth_"
"""Prefix of the smoothed probabilities; those as predicted have none."""

PICTURE: Final = ("face", "no_face", "cut_by_edge", "too_dark")
"""Values of `status` in `frames`."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        unit: Such as `s`, `px`, `degrees`; empty for words, counts and shares.
        low: Least value, None where there is no bound.
        high: Greatest value.
        values: All values of a word, empty where any is possible.
        missing: What a missing value stands for; empty where none can be missing.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    missing: str = ""


def _words(name: str, meaning: str, missing: str = "", values: tuple[str, ...] = ()) -> Column:
    return Column(name, "string", meaning, values=values, missing=missing)


def _share(name: str, meaning: str, missing: str = "") -> Column:
    return Column(name, "float", meaning, low=0, high=1, missing=missing)


def _seconds(name: str, meaning: str, missing: str = "") -> Column:
    return Column(name, "float", meaning, unit="s", low=0, missing=missing)


def _pixels(name: str, meaning: str, missing: str) -> Column:
    return Column(name, "float", meaning, unit="px of the upright frame", missing=missing)


def _degrees(name: str, meaning: str) -> Column:
    return Column(name, "float", meaning, unit="degrees", low=-180, high=180, missing="no face")


def _count(name: str, meaning: str, missing: str = "") -> Column:
    return Column(name, "int", meaning, low=0, missing=missing)


def _probabilities(what: str, missing: str, prefix: str = "") -> tuple[Column, ...]:
    return tuple(_share(f"{prefix}{name}", f"probability of {name}, {what}", missing) for name in EMOTIONS)


_ANSWERS = (*EMOTIONS, "uncertain")
_CLIP = _words("clip_id", "the clip: its place below the run's folder, the same in every table")
_PERSON = _words("person_id", "the person: one id for one person in the whole run", "nobody, or nobody in particular")
_NAME = _words("person_name", "the person's name, from people.csv", "not named")
_MERGED = "counted in the clip's first row of this person_id"
_NO_FACE, _NO_SOUND = "no face", "no speech that was classified"
_POINTS = {
    **{"left_eye": "left eye", "right_eye": "right eye", "nose": "tip of the nose"},
    **{"mouth_left": "left corner of the mouth", "mouth_right": "right corner of the mouth"},
}
_NOT_SMOOTH = "no face, or no usable one within 0.9 s"

TABLES: Final[Mapping[str, tuple[Column, ...]]] = {
    "frames": (
        *(_CLIP, _PERSON, _NAME),
        _count("frame", "number of the frame in the video, from 0"),
        _seconds("time_s", "presentation time of the frame from the start of the clip"),
        _words("status", "whether a face was read, or why not", values=PICTURE),
        _words("expression", "most probable expression, or uncertain below --abstain", _NO_FACE, _ANSWERS),
        Column("uncertain", "bool", "whether no expression reaches the probability of --abstain", missing=_NO_FACE),
        *_probabilities("of this face image alone", _NO_FACE),
        _words("smooth_expression", "most probable expression of the smoothed probabilities", _NOT_SMOOTH, _ANSWERS),
        *_probabilities("smoothed over time", _NOT_SMOOTH, SMOOTH),
        *(
            _pixels(name, f"{what} of the face's box", _NO_FACE)
            for name, what in (("x0", "left edge"), ("y0", "top edge"))
        ),
        *(
            _pixels(name, f"{what} of the face's box", _NO_FACE)
            for name, what in (("x1", "right edge"), ("y1", "bottom edge"))
        ),
        *(
            _pixels(f"{point}_{axis}", f"{axis} of the {what}; left and right are the image's", _NO_FACE)
            for point, what in _POINTS.items()
            for axis in "xy"
        ),
        _share("score", "confidence of the face detector", _NO_FACE),
        _degrees("yaw", "turn of the head, positive towards the image's right"),
        _degrees("pitch", "nod of the head, positive downwards"),
        _degrees("roll", "tilt of the head, positive clockwise"),
        _share("blur", "0 sharp, 0.5 ordinary, 1 without any detail", _NO_FACE),
        _pixels("face_size", "geometric mean of the sides of the face's box", _NO_FACE),
        Column(
            "noise_sigma",
            "float",
            "standard deviation of the noise, 0-255",
            low=0,
            high=255,
            missing="no face, or below 3 px",
        ),
        Column("brightness", "float", "median gray level of the face, 0-255", low=0, high=255, missing=_NO_FACE),
        Column(
            "contrast",
            "float",
            "distance of the 5th and 95th percentile of its gray levels",
            low=0,
            high=255,
            missing=_NO_FACE,
        ),
        _share("overexposed", "share of the face at gray level 250 or above", _NO_FACE),
        _share("eyes_covered", "share of the eyes' region that something covers", _NO_FACE),
        _share("mouth_covered", "share of the mouth's region that something covers", _NO_FACE),
        _share("outside", "share of the face's crop beyond the frame", _NO_FACE),
        _share("weight", "weight of the face image in pooling, by its quality", _NO_FACE),
        _words("flaws", "what is wrong with the face image, the worst first; empty for a good one", _NO_FACE),
        Column("denoised", "bool", "whether the face was denoised before it was classified", missing=_NO_FACE),
    ),
    "seconds": (
        *(_CLIP, _PERSON, _NAME),
        _seconds("start_s", "start of the interval"),
        _seconds("end_s", "end of the interval"),
        _count("n_frames", "frames of the interval that were looked at"),
        _share("usable_share", "share of them with a face of this person that is usable", "no frame"),
        _words(
            "expression",
            "most probable expression of the mean, or uncertain below --abstain",
            "no usable face",
            _ANSWERS,
        ),
        *_probabilities("mean over the usable faces of the interval, weighted by quality", "no usable face"),
        _words(
            "sound_status",
            "what was heard: ok, silent, no_voice, no_model, no_audio, ...",
            "no window of sound there",
        ),
        _words("sound_expression", "most probable expression of the sound", _NO_SOUND, _ANSWERS),
        *_probabilities(
            "of the sound: mean over the windows, weighted by their overlap with the interval", _NO_SOUND, "sound_"
        ),
    ),
    "segments": (
        *(_CLIP, _PERSON, _NAME),
        _words("expression", "the expression that the smoothed probabilities show throughout", values=_ANSWERS),
        _seconds("start_s", "time of the first frame"),
        _seconds("end_s", "end of the last frame"),
        _seconds("duration_s", "end less start"),
        _count("n_frames", "frames in the segment"),
        _share("mean_probability", "mean smoothed probability of the expression"),
        _share("peak_probability", "highest smoothed probability of the expression"),
        _seconds("peak_s", "time of that peak"),
    ),
    "people": (
        *(_CLIP, _PERSON, _NAME),
        _words("name", "the person's name; may be edited, see `vidfer people apply`", "not named in this row"),
        _words("same_as", "person_id of which this is the same person, or nobody; may be edited", "nothing is said"),
        _words(
            "linked_to", "person_id of which --identify found this to be the same person", "nobody, or not looked for"
        ),
        _count("person", "number of the person in the clip, from 1 in order of appearance"),
        _seconds("first_s", "time of the first face image", _MERGED),
        _seconds("last_s", "time of the last face image", _MERGED),
        _count("n_faces", "face images", _MERGED),
        _count("n_unusable", "face images with a weight below 0.25", _MERGED),
        _count("n_uncertain", "face images of which no expression reaches --abstain", _MERGED),
        _words("predominant", "the person's predominant expression, or uncertain", _MERGED, _ANSWERS),
        _share("margin", "probability of the predominant expression less that of the second", _MERGED),
        *_probabilities("pooled over the person's face images", _MERGED),
        _words("vote", "most frequent expression of the face images", _MERGED, _ANSWERS),
        *(
            _share(f"vote_{name}", f"share of the face images that show {name}", f"no image votes, or {_MERGED}")
            for name in EMOTIONS
        ),
        _seconds("best_s", "time of the face image of best quality, of those of this row"),
        _words("thumbnail", "file of that face image beside the tables", "not written"),
    ),
    "windows": (
        *(_CLIP, _PERSON),
        _seconds("start_s", "start of the window of sound"),
        _seconds("end_s", "end of the window"),
        _words("status", "ok, silent, no_voice, or no_model"),
        _share("speech", "share of the window in which someone speaks"),
        _words("expression", "most probable expression, or uncertain below --abstain", _NO_SOUND, _ANSWERS),
        *_probabilities("of this window", _NO_SOUND),
    ),
    "clips": (
        _CLIP,
        Column(
            "person_id", "string", "the person, where the clip shows exactly one", missing="nobody, or several people"
        ),
        _NAME,
        _words("path", "file that was analysed, as it was named; control characters escaped"),
        _words("status", "what became of the clip, see statuses"),
        _words("predominant", "predominant displayed expression, or uncertain", "no prediction", _ANSWERS),
        _share("margin", "probability of the predominant expression less that of the second", "no prediction"),
        _words("modalities", "what the prediction rests on: faces, sound, or faces+sound", "no prediction"),
        *_probabilities("of the clip, faces and sound together", "no prediction"),
        _words("faces_status", "what became of the faces"),
        _words("faces_predominant", "predominant expression of the faces alone", "no prediction", _ANSWERS),
        *_probabilities("of the faces alone", "no prediction", "faces_"),
        _words("sound_status", "what became of the sound"),
        _words("sound_predominant", "predominant expression of the sound alone", "no prediction", _ANSWERS),
        *_probabilities("of the sound alone", "no prediction", "sound_"),
        Column(
            "agreement",
            "string",
            "how the answer relates to each modality's own",
            missing="fewer than two modalities",
            values=("both", "faces", "sound", "neither"),
        ),
        _count("n_people", "people"),
        _count("n_frames", "frames that were looked at"),
        _count("n_faces", "face images"),
        _count("n_unusable", "face images with a weight below 0.25"),
        _count("n_uncertain", "face images of which no expression reaches --abstain"),
        _count("n_windows", "windows of sound"),
        _seconds("duration_s", "length that the file names", "not known"),
        Column("fps", "float", "average frame rate", unit="Hz", low=0, missing="no video, or not known"),
        Column("width", "int", "width of the first upright frame", unit="px", low=1, missing="no frame was read"),
        Column("height", "int", "height of the first upright frame", unit="px", low=1, missing="no frame was read"),
        _words("container", "FFmpeg's name of the format", "not known"),
        _words("codec", "FFmpeg's name of the video codec", "no video"),
        Column(
            "rotation", "int", "rotation in the file's metadata, counter-clockwise", unit="degrees", missing="no video"
        ),
        _words("audio_codec", "FFmpeg's name of the sound's codec", "no sound"),
        Column("sampling_rate", "int", "sampling rate of the sound", unit="Hz", low=1, missing="no sound"),
        Column("channels", "int", "channels of the sound", low=1, missing="no sound"),
        Column("loudness", "float", "loudness of the recording", unit="LUFS", missing="no sound, or silent"),
        Column(
            "recorded_at", "time", "when the recording was made, by the file's metadata", missing="not in the metadata"
        ),
        Column("analyzed_at", "time", "when the clip was analysed"),
        _seconds(
            "elapsed_s",
            "time that the analysis took; little where results were stored",
            "the clip could not be analysed",
        ),
        _words("warnings", "what to know about this clip, in sentences", "nothing"),
        _words("source_blake3", "digest of the file's content", "the file could not be read"),
        _words("vidfer", "version of vidfer"),
    ),
}
"""The columns of each table, in order. Those of a study (participants, markers, baseline) come after them."""


_STUDY = tuple(
    _words(name, f"{what}, from the file of participants", "not named there")
    for name, what in (
        ("participant", "the participant of the clip"),
        ("condition", "the condition under which it was recorded"),
        ("stimulus", "what the participant saw or did"),
    )
)
_MARKER = _words("marker", "names of the markers that the row's time touches, divided by `; `", "none")
_EXCLUDED = Column("excluded", "bool", "whether a marker excludes the row: it counts nowhere else")
_BASELINE = _probabilities(
    "against the person's own reference: see --baseline", "no face, or no reference", "baseline_"
)

OPTIONAL: Final[Mapping[str, tuple[Column, ...]]] = {
    "frames": (_MARKER, _EXCLUDED, *_BASELINE, *_STUDY),
    "seconds": (_MARKER, *_BASELINE, *_STUDY),
    "segments": (_MARKER, *_STUDY),
    "people": (_count("n_baseline", "face images in the person's reference"), *_BASELINE, *_STUDY),
    "windows": (_MARKER, _EXCLUDED, *_STUDY),
    "clips": _STUDY,
}
"""Columns that --markers, --baseline and --participants add after those of `TABLES`; a file of participants may add others."""


def typed(table: str, rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return rows with exactly the types of a table's columns, in their order, further columns last and as they are.

    Columns that are not given are missing throughout.

    Raises:
        KeyError: There is no such table.
    """
    import pandas as pd

    columns = TABLES[table]
    dtypes: Mapping[Kind, Any] = {kind: pd.api.types.pandas_dtype(name) for kind, name in DTYPES.items()}
    known = {
        column.name: _of_type(rows[column.name], dtypes[column.kind])
        if column.name in rows
        else pd.Series(index=rows.index, dtype=dtypes[column.kind])
        for column in columns
    }
    return pd.DataFrame({**known, **{name: rows[name] for name in rows.columns if name not in known}}, index=rows.index)


def _of_type(values: "pd.Series", dtype: Any) -> "pd.Series":  # noqa: ANN401 - pandas'
    return values if values.dtype == dtype else values.astype(dtype)  # astype copies what has the type already
