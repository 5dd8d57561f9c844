"""A clip's face images as a CSV that py-feat reads: `feat.utils.io.read_feat`, of its release 2.1.5."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from vidfer.exchange.spans import names_of
from vidfer.pipeline.columns import to_csv

if TYPE_CHECKING:
    import pandas as pd

EMOTION_COLUMNS: Final = {
    **{"anger": "angry", "disgust": "disgust", "fear": "fear", "happiness": "happy"},
    **{"sadness": "sad", "surprise": "surprise", "neutral": "neutral"},
}
"""py-feat's names of the seven, in its order, and ours."""

BOX_COLUMNS: Final = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore")
POSE_COLUMNS: Final = ("Pitch", "Roll", "Yaw", "X", "Y", "Z")
LANDMARK_COLUMNS: Final = (*(f"x_{at}" for at in range(68)), *(f"y_{at}" for at in range(68)))


def pyfeat_file(tables: "Mapping[str, pd.DataFrame]") -> bytes:
    """Write a row for each face image, and one without a face for each frame that has none.

    Pose is in rad, positive upwards, and towards and on the side of the person's right, as py-feat has it. `X`, `Y`, `Z` and the
    68 landmarks, which vidfer does not measure, are empty; action units, gaze and identity vectors are left out.

    Args:
        tables: `frames`, `people` and `clips` of one clip.
    """
    import pandas as pd

    frames = tables["frames"]
    read = frames["x0"].notna()
    empty = ~frames["frame"].isin(frames["frame"][read]) & ~frames["frame"].duplicated()
    rows = frames[read | empty].sort_values(["frame", "x0"], kind="stable")
    who = rows["person_id"].where(rows["x0"].notna()).map(names_of(tables["people"]))
    clip = tables["clips"].iloc[0]
    box = (rows["x0"], rows["y0"], rows["x1"] - rows["x0"], rows["y1"] - rows["y0"], rows["score"])
    pose = [-np.radians(rows[name]) for name in ("pitch", "roll", "yaw")]
    columns = {
        **dict(zip(BOX_COLUMNS, box, strict=True)),
        **dict.fromkeys(LANDMARK_COLUMNS),
        **dict(zip(POSE_COLUMNS, [*pose, None, None, None], strict=True)),
        **{theirs: rows[ours] for theirs, ours in EMOTION_COLUMNS.items()},
        **{"FrameHeight": clip["height"], "FrameWidth": clip["width"], "input": clip["path"]},
        **{"frame": rows["frame"], "approx_time": rows["time_s"].map(_clock), "time_s": rows["time_s"]},
        "Identity": who,
    }
    cells = pd.DataFrame(columns, rows.index).astype(object)
    return to_csv({str(name): values.where(values.notna(), None).tolist() for name, values in cells.items()})


def _clock(time: float) -> str:
    """Write s as py-feat does: minutes and whole seconds."""
    return f"{int(time) // 60:02}:{int(time) % 60:02}"
