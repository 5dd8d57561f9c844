"""Tables for py-feat: its names, taken from its release 2.1.5, and its own reader where it is installed."""

import io

import numpy as np
import pandas as pd
import pytest

from tests.exchange.made import NAMES, clip_with
from vidfer.exchange.pyfeat import pyfeat_file
from vidfer.exchange.spans import legal
from vidfer.types import EMOTIONS

FACEBOX = ["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore"]
FACEPOSE = ["Pitch", "Roll", "Yaw", "X", "Y", "Z"]
EMOTION = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
LANDMARK = [f"x_{i}" for i in range(68)] + [f"y_{i}" for i in range(68)]
"""`FEAT_FACEBOX_COLUMNS`, `FEAT_FACEPOSE_COLUMNS_6D`, `FEAT_EMOTION_COLUMNS`, `openface_2d_landmark_columns` of py-feat."""


@pytest.fixture
def tables():
    """Two people in 20 frames, of which the first has no face of anybody, and the second one of a person alone."""
    tables, _ = clip_with(["Anna", None], [], path="clips/a.mp4")
    frames = tables["frames"]
    none = (frames["frame"] == 0) | ((frames["frame"] == 5) & (frames["person_id"] == "a.mp4#2"))
    face = ["x0", "y0", "x1", "y1", "score", "yaw", "pitch", "roll", *EMOTIONS]
    frames[["score", "yaw", "pitch", "roll"]] = [0.9, 90.0, 45.0, -30.0]
    frames.loc[none, face] = np.nan
    frames.loc[none, "status"] = "no_face"
    return tables


def read(tables):
    return pd.read_csv(io.BytesIO(pyfeat_file(tables)))


def test_the_names_are_those_that_its_reader_asks_for(tables):
    names = list(read(tables))
    assert {*FACEBOX, *FACEPOSE, *EMOTION, *LANDMARK, "frame", "input", "approx_time", "Identity"} <= set(names)
    assert [name for name in names if name in EMOTION] == EMOTION
    assert not [name for name in names if "AU" in name or name in ("valence", "arousal") or name.startswith("mesh")]


def test_a_row_is_a_face_or_a_frame_without_any(tables):
    rows = read(tables)
    assert len(rows) == 1 + 1 + 18 * 2
    assert rows.loc[0, [*FACEBOX, *FACEPOSE, *EMOTION, "Identity"]].isna().all()
    assert rows["Identity"].tolist()[1:5] == ["Anna", "Anna", "person 2", "Anna"]
    assert rows["frame"].tolist()[:4] == [0, 5, 10, 10]
    assert rows["approx_time"].tolist()[-1] == "00:03"
    assert set(rows["input"]) == {"clips/a.mp4"}
    assert rows[["X", "Y", "Z", *LANDMARK]].isna().all(axis=None)


def test_values_are_ours_in_its_units_and_directions(tables):
    rows = read(tables).dropna(subset="FaceScore")
    ours = tables["frames"].dropna(subset="x0")
    assert rows["happiness"].to_numpy() == pytest.approx(ours["happy"].to_numpy(), abs=1e-6)
    assert rows["anger"].to_numpy() == pytest.approx(ours["angry"].to_numpy(), abs=1e-6)
    assert rows[EMOTION].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    assert rows.iloc[0][FACEBOX].tolist() == [300, 100, 100, 100, 0.9]
    # up, to the person's right, and to the person's right shoulder are positive there
    assert rows.iloc[0][["Pitch", "Yaw", "Roll"]].tolist() == pytest.approx(
        [-np.pi / 4, -np.pi / 2, np.pi / 6], abs=1e-6
    )


def test_names_of_any_kind_come_back():
    rows = read(clip_with(NAMES, [])[0])
    back = rows.drop_duplicates("Identity")["Identity"].tolist()
    assert back == [{"=1+1": "'=1+1"}.get(name, legal(name).strip() or "person 9") for name in NAMES]


def test_a_clip_without_faces_has_a_row_for_each_frame():
    rows = read(clip_with([], [], seconds=1.0)[0])
    assert len(rows) == 5
    assert rows["FaceScore"].isna().all()
    assert read(clip_with([], [], seconds=0.0)[0]).empty


def test_py_feat_reads_it(tables, tmp_path):
    feat = pytest.importorskip("feat.utils.io", reason="py-feat is not installed")
    (tmp_path / "a.csv").write_bytes(pyfeat_file(tables))
    fex = feat.read_feat(str(tmp_path / "a.csv"))
    assert fex.emotions.shape == (38, 7)
    assert (fex.poses.shape, fex.faceboxes.shape, fex.landmarks.shape) == ((38, 6), (38, 5), (38, 136))
    assert fex.inputs.iloc[0] == "clips/a.mp4"
    assert fex.groupby("Identity").size().to_dict() == {"Anna": 19, "person 2": 18}
