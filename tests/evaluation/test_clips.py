import json

import pytest

from vidfer import api as analysis
from vidfer.cli.main import main
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.evaluation.clips import tally
from vidfer.metrics.classification import score
from vidfer.stages.chain import ChainOptions
from vidfer.types import EMOTIONS, ClipError, Status


def rows(*predictions):
    return [{"truth": truth, "faces": faces, "sound": sound} for truth, faces, sound in predictions]


def status_of(command):
    try:
        return main(command)
    except SystemExit as ended:
        return ended.code


def test_a_missing_face_is_wrong_and_a_missing_sound_is_left_out():
    clips = rows(("happy", "happy", None), ("sad", None, "sad"), ("sad", "uncertain", "fear"), ("fear", "sad", None))
    faces, sound = tally(clips, "faces"), tally(clips, "sound")
    assert (faces["n"], faces["right"], faces["missing"], faces["uncertain"]) == (4, 1, 1, 1)
    assert faces["uar"] == pytest.approx(1 / 3)  # happy 1, sad 0, fear 0
    assert (sound["n"], sound["right"], sound["missing"]) == (2, 1, 2)
    assert faces["confusion"][EMOTIONS.index("sad")] == [0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert tally(clips[:1], "sound")["accuracy"] is None


def test_figures_are_those_of_the_metrics():
    import numpy as np

    rng = np.random.default_rng(0)
    target, preds = rng.integers(0, 7, 50), rng.integers(0, 7, 50)
    found = tally(rows(*((EMOTIONS[t], EMOTIONS[p], None) for t, p in zip(target, preds, strict=True))), "faces")
    expected = score(target, preds)
    assert found["accuracy"] == pytest.approx(expected.accuracy)
    assert found["accuracy_ci95"] == pytest.approx(expected.accuracy_ci95)
    assert found["uar"] == pytest.approx(expected.uar)
    assert [row[:7] for row in found["confusion"]] == expected.confusion


def test_a_smiling_clip_is_predicted_as_by_analyze(tmp_path, capsys):
    write_demo_clip(tmp_path / "clips" / "happy.mp4", seconds=1.2)
    (tmp_path / "clips" / "angry.mp4").write_text("no video")
    (tmp_path / "clips" / "other.mp4").write_text("no label")
    command = ["evaluate", "clip", str(tmp_path / "clips"), "--labels", "name", "--denoise", "off"]
    assert main([*command, "--store", str(tmp_path / "store")]) == 0
    out, err = capsys.readouterr()
    assert "other.mp4: no label" in err
    assert "angry.mp4: unsupported" in err
    found = json.loads(out.splitlines()[-1])
    assert (found["faces"]["n"], found["faces"]["right"]) == (1, 1)
    (clip,) = found["clips"]
    assert (clip["truth"], clip["faces"], clip["fused"]) == ("happy", "happy", "happy")
    assert f"happy {clip['faces_p']:.2f}" in out
    options = ChainOptions(denoise="off")
    summary = analysis.analyze_clip(tmp_path / "clips" / "happy.mp4", options, store=tmp_path / "store").summary
    for part in ("faces", "sound", "fused"):  # the predictions of analyze, not others made again
        assert clip[part] == summary[part]["predominant"]
        assert clip[f"{part}_p"] == max(summary[part]["distribution"].values())
    assert found["settings"]["pool"] == "peaks"
    words = ["--pool", "mean", "--prior", "training", "--abstain", "0.9999"]
    assert main([*command, "--store", str(tmp_path / "store"), *words]) == 0
    out = capsys.readouterr().out
    found = json.loads(out.splitlines()[-1])
    assert (found["faces"]["right"], found["faces"]["uncertain"], found["settings"]["pool"]) == (0, 1, "mean")
    assert "1 uncertain counted as wrong: 0 of the 0 named are right" in out


def test_a_clip_without_a_face_counts_as_wrong(tmp_path, capsys, monkeypatch):
    for name in ("sad", "fear"):
        (tmp_path / f"{name}.mp4").write_bytes(b"any")

    def analyze(clip, *_, **__):
        status = Status.NO_FACE if clip.stem == "sad" else Status.TIMEOUT
        return analysis.ClipResult.failed(clip, ClipError(status, "why"))

    monkeypatch.setattr(analysis, "analyze_clip", analyze)
    assert main(["evaluate", "clip", str(tmp_path), "--labels", "name"]) == 0
    out, err = capsys.readouterr()
    assert "fear.mp4: timeout" in err
    assert "n = 1), 1 without a prediction counted as wrong" in out
    assert "sound: no clip with a prediction" in out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--labels", "ravdess"], 1, "no file there has a label by --labels ravdess"),
        (["--labels", "name", "--image-model", "nonsense"], 2, "no image weights 'nonsense'"),
        (["--labels", "name"], 1, "no labelled clip could be read"),
    ],
)
def test_faults_end_with_one_sentence(tmp_path, capsys, words, status, said):
    (tmp_path / "sad.mp4").write_text("no video")
    assert status_of(["evaluate", "clip", str(tmp_path), *words]) == status
    err = capsys.readouterr().err
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words", [["--abstain", "1"], ["--abstain", "0"], ["--abstain", "-0.5"], ["--abstain", "nan"], ["--prior", "flat"]]
)
def test_wrong_options_end_with_2(words, capsys):
    for verb in (["analyze", "x"], ["evaluate", "clip", "x", "--labels", "name"]):
        with pytest.raises(SystemExit) as ended:
            main([*verb, *words])
        assert ended.value.code == 2
        assert words[0].removeprefix("--") in capsys.readouterr().err
