import json
import shutil

import numpy as np
import pytest

from vidfer.cli.main import main
from vidfer.datasets.clips import find_clips
from vidfer.evaluation import corpora
from vidfer.evaluation.corpora import Predicted, bootstrap, leave_corpora_out
from vidfer.evaluation.folds import FoldOptions
from vidfer.tasks.fit import Recipe
from vidfer.types import UsageError, VidferError


@pytest.fixture(scope="module")
def places(sounds_root, tmp_path_factory):
    """Three data sets, each with the voices of another speaker under two names; the second has no surprise."""
    root = tmp_path_factory.mktemp("corpora")
    for at, clip in enumerate(find_clips("ravdess", sounds_root)[0]):
        name = str(clip.person).replace("ravdess-", "set")
        if (name, clip.label) != ("set2", "surprise"):
            folder = root / name / str(clip.label) / "ab"[at // 2 % 2]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip.path, folder / f"{at}{clip.path.suffix}")
    return ",".join(str(root / f"set{number}") for number in (1, 2, 3))


def test_each_corpus_is_predicted_by_a_network_that_never_met_it(places, vectors_store, capsys):
    command = [
        "evaluate",
        "audio",
        "--data",
        places,
        "--voice",
        "off",
        "--store",
        vectors_store,
        "--classifier",
        "linear",
    ]
    assert main([*command, "--leave-corpus-out"]) == 0
    out = capsys.readouterr()
    lines = out.out.splitlines()
    assert lines[0].startswith("linear on set1 and set2 and set3, all people, trained without")
    assert "set2: n = 14, 2 people, without surprise; 95 % intervals over people" in lines
    assert "calibrated without set3" in out.out + out.err


@pytest.fixture
def faked(monkeypatch):
    """Record who is trained and tested on; every corpus is predicted with its own confidence, right in its own share."""
    asked = []

    def run(sharpness):
        def predict(_recipe, _source, people, _settings, corpus_of, _notify):
            train, test = ({corpus_of[name] for name in names.split(",")} for names in people)
            asked.append((train, test))
            rng = np.random.default_rng(len(train))
            found = {}
            for corpus in test:
                target = np.arange(70) % 7
                right = np.where(rng.random(70) < 0.5, target, (target + 1) % 7)
                logits = [sharpness[corpus] * np.eye(7)[each][None] for each in right]
                found[corpus] = Predicted(logits, target.tolist(), [f"{corpus}-{at % 5}" for at in range(70)])
            return found

        monkeypatch.setattr(corpora, "predict_without", predict)

    return asked, run


def evaluate(places, people=None, **options):
    return leave_corpora_out(
        Recipe("linear"), (places, None), people, FoldOptions(**options), {"store": None}, lambda _: None
    )


def test_a_temperature_never_sees_the_corpus_that_it_is_for(places, faked):
    asked, run = faked
    run({"set1": 3.0, "set2": 3.0, "set3": 3.0})
    before = evaluate(places)
    assert [(train, test) for train, test in asked if len(test) == 1] == [
        ({"set2", "set3"}, {"set1"}), ({"set1", "set3"}, {"set2"}), ({"set1", "set2"}, {"set3"}),
    ]  # fmt: skip
    assert sorted(min(train) for train, test in asked if len(test) == 2) == ["set1", "set2", "set3"]
    assert all(not train & test for train, test in asked)
    run({"set1": 30.0, "set2": 3.0, "set3": 3.0})
    after = evaluate(places)
    temperature = [[row["temperature"] for row in found["corpora"]] for found in (before, after)]
    assert temperature[1][0] == temperature[0][0]  # set1 itself may be as confident as it likes
    assert temperature[1][1] != temperature[0][1]
    assert after["corpora"][0]["ece_after"] > 0.3  # and it is measured as it is


def test_figures_of_a_corpus_by_hand(places, faked):
    _, run = faked
    run({"set1": 3.0, "set2": 3.0, "set3": 3.0})
    found = evaluate(places)
    row = found["corpora"][0]
    right = row["accuracy"]
    confidence = np.exp(3) / (np.exp(3) + 6)
    assert row["ece_before"] == pytest.approx(abs(confidence - right))
    assert row["uar"] == pytest.approx(np.mean(np.diag(row["confusion"]) / np.sum(row["confusion"], 1)))
    low, high = row["accuracy_people_ci95"]
    assert low < right < high
    assert found["calibration"]["ece_after"] == pytest.approx(
        np.mean([each["ece_after"] for each in found["corpora"]]), abs=1e-6
    )
    json.dumps(found)


def test_a_class_that_a_corpus_lacks_has_no_part_in_its_recall():
    predicted = Predicted([np.eye(7)[at][None] for at in (0, 5, 3, 3)], [0, 0, 3, 3], ["a", "a", "b", "b"])
    row = corpora._measure("x", predicted, {"temperature": 1.0, "smoothing": 0.0}, None)
    assert (row["uar"], row["accuracy"]) == (0.75, 0.75)
    assert row["missing"] == ["disgust", "fear", "sad", "surprise", "neutral"]


def test_intervals_draw_whole_persons():
    """Ten persons, all of whose recordings are right or wrong together: the interval is that of ten draws, not of a thousand."""
    right = np.repeat([1.0, 0.0] * 5, 100)
    low, high = bootstrap([str(at) for at in np.repeat(range(10), 100)], lambda at: float(right[at].mean()))
    assert (low, high) == (pytest.approx(0.2, abs=0.1), pytest.approx(0.8, abs=0.1))


def test_what_cannot_be_left_out_is_said(places, tmp_path, sounds_root, capsys):
    with pytest.raises(UsageError, match="people of several data sets"):
        evaluate(places, people="set1")
    one = find_clips("ravdess", sounds_root)[0]
    for name in ("x", "y"):
        lines = [f"{clip.path},{clip.label},anna" for clip in one[:2]]
        (tmp_path / f"{name}.csv").write_text("\n".join(["path,label,person", *lines]))
    with pytest.raises(VidferError, match="anna in x and y"):
        evaluate(f"{tmp_path / 'x.csv'},{tmp_path / 'y.csv'}")
    assert main(["evaluate", "audio", "--leave-corpus-out", "--folds", "3"]) == 2
    assert "neither with --folds" in capsys.readouterr().err
