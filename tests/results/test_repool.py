"""Pooling from the rows of the tables: what the stage `classify` pooled from logits, and without excluded rows."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from vidfer.inference import decision
from vidfer.inference.decision import Rules
from vidfer.results.repool import repool
from vidfer.results.schema import typed
from vidfer.types import EMOTIONS

N, W = 40, 6
CLIP = "a.mp4"


def settings(rules, **more):
    return {
        **{"faces": rules.answer, "pool": rules.pool, "abstain": rules.abstain, "sound": "pool", "fusion": "late"},
        **{name: getattr(rules, name) for name in ("pooled_temperature", "face_weight", "sound_weight")},
        **more,
    }


def made(seed=0, people=3, windows=W):
    """Logits of a clip's faces and windows, the persons, times and weights; made up."""
    rng = np.random.default_rng(seed)
    person = rng.permutation(np.arange(N) % max(people, 1))
    return {
        "faces": rng.normal(0, 2, (N, 7))[: N if people else 0],
        "person": person,
        "times": np.sort(rng.choice(100, N, replace=False)) / 5,
        "weights": rng.uniform(0.05, 1, N),
        "windows": rng.normal(0, 1, (windows, 7)),
    }


def predicted(clip, rules, sequential=False):
    """Predict as the stage does, from logits."""
    faces = sound = None
    if len(clip["faces"]):
        faces = decision.predict_faces(clip["faces"], clip["person"], clip["times"], clip["weights"], rules)
    if len(clip["windows"]):
        sound = decision.predict_sound(clip["windows"], rules, sequential=sequential)
    return faces, sound, decision.fuse_modalities(faces, sound, None, rules)


def tables(clip, faces, sound):
    """Tables of the clip with gaps, and with nothing in `people` and `clips` that could be copied."""
    frames = [
        {"clip_id": CLIP, "time_s": t, "person_id": f"{CLIP}#{p + 1}", "weight": w, **decision.by_name(row)}
        for row, p, t, w in zip(
            faces.probabilities if faces else (), clip["person"], clip["times"], clip["weights"], strict=False
        )
    ]
    gaps = [{"clip_id": CLIP, "time_s": t, "status": "no_face"} for t in np.arange(5) + 0.1]
    windows = [
        {"clip_id": CLIP, "start_s": float(at), "end_s": at + 2.0, "status": "ok", **decision.by_name(row)}
        for at, row in enumerate(sound.probabilities if sound else ())
    ]
    windows.append({"clip_id": CLIP, "start_s": 99.0, "end_s": 101.0, "status": "silent"})
    return {
        "frames": typed("frames", pd.DataFrame(frames + gaps)),
        "windows": typed("windows", pd.DataFrame(windows)),
        "people": typed("people", pd.DataFrame()),
        "clips": typed("clips", pd.DataFrame({"clip_id": [CLIP], "status": ["ok"]})),
    }


def values(rows, prefix=""):
    return rows[[f"{prefix}{name}" for name in EMOTIONS]].to_numpy(float, na_value=np.nan)


FAMILY = [
    dict(zip(("answer", "pool", "abstain", "people", "windows", "sequential"), each, strict=True))
    for each in product(("pool", "vote"), ("peaks", "mean"), (None, 0.6), (0, 1, 3), (0, W), (False, True))
]


@pytest.mark.parametrize("case", FAMILY, ids=lambda case: "-".join(map(str, case.values())))
def test_all_rows_pool_to_what_the_stage_pooled(case):
    rules = Rules(
        **{name: case[name] for name in ("answer", "pool", "abstain")},
        **{"face_calibration": (1.4, 0.1), "sound_calibration": (2.0, 0.0), "class_shares": (0.1,) * 6 + (0.4,)},
        **{"pooled_temperature": 0.7, "face_weight": 0.5, "sound_weight": 0.8},
    )
    clip = made(people=case["people"], windows=case["windows"])
    faces, sound, fused = predicted(clip, rules, case["sequential"])
    how = settings(rules, sound="sequence" if case["sequential"] else "pool")
    found, _ = repool(tables(clip, faces, sound), how)
    people, row = found["people"].sort_values("person_id"), found["clips"]
    assert len(people) == case["people"] == row["n_people"].iloc[0]
    if faces:
        np.testing.assert_allclose(values(people), faces.of_people, atol=1e-9)
        np.testing.assert_allclose(values(row, "faces_")[0], faces.distribution, atol=1e-9)
    if sound:
        np.testing.assert_allclose(values(row, "sound_")[0], sound.distribution, atol=1e-9)
    if fused:
        np.testing.assert_allclose(values(row)[0], fused.distribution, atol=1e-9)
        name, margin = decision.predominant(fused.distribution, rules.abstain)
        assert (row["predominant"].iloc[0], row["margin"].iloc[0]) == (name, pytest.approx(margin))
        assert row["modalities"].iloc[0] == "+".join(fused.weights)
    else:
        assert row[["predominant", "margin", "modalities", *EMOTIONS]].isna().all(axis=None)


def test_excluded_rows_leave_what_the_others_alone_pool_to():
    clip, rules = made(), Rules()
    faces, sound, _ = predicted(clip, rules)
    given = tables(clip, faces, sound)
    for name, begin in (("frames", "time_s"), ("windows", "start_s")):
        given[name]["excluded"] = (given[name][begin] >= 4).astype("boolean")
    found, notes = repool(given, settings(rules))
    kept = clip["times"] < 4
    part = {name: clip[name][kept] for name in ("faces", "person", "times", "weights")}
    faces, sound, fused = predicted({**part, "windows": clip["windows"][:4]}, rules)
    np.testing.assert_allclose(values(found["people"].sort_values("person_id")), faces.of_people, atol=1e-9)
    np.testing.assert_allclose(values(found["clips"])[0], fused.distribution, atol=1e-9)
    counts = found["clips"].iloc[0]
    assert (counts["n_faces"], counts["n_windows"], counts["n_frames"]) == (kept.sum(), 4, kept.sum() + 4)
    assert found["people"]["last_s"].max() < 4
    assert notes == []


def test_persons_of_one_id_are_pooled_as_one_and_keep_their_columns():
    clip, rules = made(), Rules()
    faces, sound, _ = predicted(clip, rules)
    given = tables(clip, faces, sound)
    one, two, three = (f"{CLIP}#{n}" for n in (1, 2, 3))
    given["frames"]["person_id"] = given["frames"]["person_id"].replace({three: one})
    known = {"clip_id": CLIP, "person_id": [one, two, three], "name": ["Ada", None, None], "person": [1, 2, 3]}
    given["people"] = typed("people", pd.DataFrame(known)).assign(age=pd.array([40, 50, 60], "Int64"))
    found, _ = repool(given, settings(rules))
    together, _, _ = predicted({**clip, "person": np.where(clip["person"] == 2, 0, clip["person"])}, rules)
    people = found["people"].sort_values("person_id")
    np.testing.assert_allclose(values(people), together.of_people, atol=1e-9)
    assert people[["person_id", "person", "age"]].to_numpy().tolist() == [[one, 1, 40], [two, 2, 50]]
    assert people["name"].tolist() == ["Ada", pd.NA]
    assert people.dtypes.equals(given["people"].dtypes)
    assert found["clips"]["n_people"].iloc[0] == 2


def test_one_person_is_the_clip_s_person():
    clip = made(people=1)
    faces, sound, _ = predicted(clip, Rules())
    found, _ = repool(tables(clip, faces, sound), settings(Rules()))
    assert found["clips"]["person_id"].tolist() == [f"{CLIP}#1"]


def test_agreement_names_whose_own_answer_the_clip_s_is():
    clip = made()
    for peaks, agreement in (((3, 3), "both"), ((3, 4), {"faces", "sound"})):
        for name, peak in zip(("faces", "windows"), peaks, strict=True):
            clip[name] = np.tile(np.eye(7)[peak] * 5, (len(clip[name]), 1)) + 0.1
        faces, sound, _ = predicted(clip, Rules())
        found, _ = repool(tables(clip, faces, sound), settings(Rules()))
        assert found["clips"]["agreement"].iloc[0] in agreement
    half = 2.0 * np.eye(7)
    clip["faces"] = np.tile(half[0] + 0.9 * half[1], (len(clip["faces"]), 1))
    clip["windows"] = np.tile(half[2] + 0.9 * half[1], (W, 1))
    faces, sound, fused = predicted(clip, Rules())
    assert decision.predominant(fused.distribution)[0] == "disgust"
    found, _ = repool(tables(clip, faces, sound), settings(Rules()))
    assert found["clips"]["agreement"].tolist() == ["neither"]


def test_where_trained_models_decided_the_notes_say_what_stands_in():
    clip, rules = made(), Rules()
    faces, sound, _ = predicted(clip, rules)
    how = settings(rules, faces="trained", fusion="trained", sound="sequence")
    _, notes = repool(tables(clip, faces, sound), how)
    assert [word in note for word, note in zip(("faces model", "fusion model", "sound model"), notes, strict=True)]
    _, notes = repool(tables(made(windows=0), faces, None), how)
    assert len(notes) == 1


def test_without_any_row_there_is_no_prediction_and_types_stay():
    clip = made(people=1)
    faces, sound, _ = predicted(clip, Rules())
    given = tables(clip, faces, sound)
    for name in ("frames", "windows"):
        given[name]["excluded"] = pd.array([True] * len(given[name]), "boolean")
    found, _ = repool(given, settings(Rules()))
    assert len(found["people"]) == 0
    assert found["clips"][["predominant", "faces_predominant", "sound_predominant"]].isna().all(axis=None)
    for name in ("people", "clips"):
        assert found[name].dtypes.equals(typed(name, pd.DataFrame()).dtypes)
