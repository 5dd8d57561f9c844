import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from vidfer.evaluation.figures import clip_figures, persons_interval, pool_folds, summarise
from vidfer.types import EMOTIONS, VidferError


def make_rows(count, people, seed=0, parts=("faces",)):
    rng, rows = np.random.default_rng(seed), []
    for at in range(count):
        row = {"clip": f"{seed}-{at}.mp4", "person": people[at % len(people)], "truth": EMOTIONS[rng.integers(7)]}
        for part in parts:
            distribution = rng.dirichlet(np.ones(7))
            row |= {part: EMOTIONS[int(distribution.argmax())], f"{part}_p": distribution.tolist()}
        rows.append(row)
    return rows


def test_figures_of_clips_are_those_of_scikit_learn_and_of_a_sum_by_hand():
    rows = make_rows(120, ["a", "b", "c"])
    found = clip_figures(rows, "faces")
    truth, preds = [row["truth"] for row in rows], [row["faces"] for row in rows]
    assert found["n"] == 120
    assert found["accuracy"] == accuracy_score(truth, preds)
    assert found["uar"] == pytest.approx(balanced_accuracy_score(truth, preds))
    right = {name: sum(r["faces"] == r["truth"] for r in rows if r["person"] == name) for name in "abc"}
    assert found["persons"] == {name: [right[name], 40] for name in "abc"}
    confidence = [max(row["faces_p"]) for row in rows]
    ece = 0.0
    for low in np.arange(0, 1, 0.1):
        inside = [at for at, each in enumerate(confidence) if low < each <= low + 0.1]
        if inside:
            hits = np.mean([truth[at] == preds[at] for at in inside])
            ece += len(inside) / 120 * abs(hits - np.mean([confidence[at] for at in inside]))
    assert found["calibration"]["ece"] == pytest.approx(ece, abs=1e-6)
    assert sum(found["calibration"]["count"]) == found["calibration"]["n"] == 120


def test_with_equal_numbers_the_interval_over_persons_is_students_over_their_accuracies():
    right = [9, 6, 7, 10]
    share = np.array(right) / 12
    expected = stats.t.interval(0.95, 3, share.mean(), stats.sem(share))
    assert persons_interval([(each, 12) for each in right]) == pytest.approx(expected)
    assert persons_interval([(9, 12)]) is None
    assert persons_interval([(3, 12), (4, 16)]) is None  # not an interval of no width
    assert persons_interval([(12, 12), (3, 12)]) == (0, 1)  # 0.625 more or less than half


def test_the_interval_over_persons_covers_where_persons_differ_and_that_over_clips_does_not():
    rng, hits = np.random.default_rng(0), {"persons": 0, "clips": 0}
    for _ in range(300):
        skill = rng.beta(4, 2, 6)  # mean 2/3
        people = [[name, int(rng.binomial(40, share))] for name, share in zip("abcdef", skill, strict=True)]
        rows = [
            {"person": name, "truth": "sad", "faces": "sad" if at < right else "fear"}
            for name, right in people
            for at in range(40)
        ]
        found = clip_figures(rows, "faces")
        for name, interval in (("persons", found["persons_ci95"]), ("clips", found["accuracy_ci95"])):
            hits[name] += interval[0] <= 2 / 3 <= interval[1]
    assert hits["persons"] > 0.9 * 300
    assert hits["clips"] < 0.7 * 300


def test_a_part_that_a_clip_cannot_have_is_not_counted_and_a_missing_face_is_wrong():
    sound = {"clip": "a.flac", "person": "a", "truth": "sad", "sound": "sad", "sound_p": [0, 0, 0, 0, 1, 0, 0]}
    video = {
        "clip": "b.mp4",
        "person": "b",
        "truth": "sad",
        "sound": None,
        "sound_p": None,
        "faces": None,
        "faces_p": None,
    }
    found = summarise([sound, video])
    assert list(found["parts"]) == ["faces", "sound"]
    assert (found["parts"]["faces"]["n"], found["parts"]["faces"]["accuracy"]) == (1, 0)
    assert (found["parts"]["sound"]["n"], found["parts"]["sound"]["missing"]) == (1, 1)
    assert found["parts"]["faces"]["calibration"] is None


def test_persons_that_are_not_known_give_no_interval_over_persons():
    found = summarise(make_rows(20, ["a", None]))
    assert found["unknown_persons"] == 10
    assert found["parts"]["faces"]["persons_ci95"] is None
    assert list(found["parts"]["faces"]["persons"]) == ["a"]


def test_folds_are_pooled_over_the_persons_left_out():
    parts = ("faces", "sound")
    folds = [make_rows(30, people, seed, parts) for seed, people in enumerate((["a", "b"], ["c"], ["d", "e"]))]
    other = [{"on": "other", **summarise(make_rows(5, "cde"[at], at))} for at in range(3)]
    pooled = pool_folds(
        [{"clips": [{"on": "mine", **summarise(rows)}, more]} for rows, more in zip(folds, other, strict=True)]
    )
    assert (list(pooled), pooled["other"]["n"]) == (["mine", "other"], 15)
    found = pooled["mine"]
    every = [row for rows in folds for row in rows]
    assert (found["n"], found["folds"], found["persons"]) == (90, 3, list("abcde"))
    for part in parts:
        assert found["parts"][part]["accuracy"] == np.mean([row[part] == row["truth"] for row in every])
        counts = found["parts"][part]["persons"]
        assert found["parts"][part]["persons_ci95"] == persons_interval([tuple(each) for each in counts.values()])
    assert found["predictions"] == every


def test_folds_that_test_a_person_twice_are_refused():
    folds = [
        {"clips": [{"on": "x", **summarise(make_rows(9, people, seed))}]} for seed, people in enumerate(("ab", "bc"))
    ]
    with pytest.raises(VidferError, match="b of x is tested in two"):
        pool_folds(folds)
    with pytest.raises(VidferError, match="at least two"):
        pool_folds(folds[:1])
