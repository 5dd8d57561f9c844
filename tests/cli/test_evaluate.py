import json
import shutil

import pytest
import torch

from vidfer.cli.main import main
from vidfer.datasets.clips import find_clips
from vidfer.evaluation.audio import predict_recording, predict_recordings
from vidfer.models.classifiers import build_classifier
from vidfer.pipeline.store import Store
from vidfer.types import ClipError
from vidfer.weights.files import save_weights


def last_line(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_sound_is_pooled_over_windows_and_silence_is_left_out(sounds_root, tmp_path, capsys):
    import wave

    root = tmp_path / "r"
    shutil.copytree(sounds_root / "Actor_02", root)
    with wave.open(str(root / "03-01-08-01-01-01-02.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(16000))
    torch.manual_seed(0)
    network = build_classifier("linear")
    path = tmp_path / "s.safetensors"
    card = {"kind": "audio", "arch": "linear", "arguments": {}, "preprocessing": {}}
    save_weights(path, network.state_dict(), card)
    command = ["evaluate", "audio", "--root", str(root), "--actors", "2", "--audio-model", str(path), "--voice", "off"]
    assert main([*command, "--store", str(tmp_path / "store")]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out.strip().splitlines()[-1])
    assert found["n"] == 15
    assert "03-01-08-01-01-01-02.wav: silent" in err
    clips, _ = find_clips("ravdess", root)
    again = predict_recordings(clips, str(path), Store(tmp_path / "store"), speech_only=False)
    assert sum(clip.target == told for clip, told in again) / len(again) == found["accuracy"]


FOLDS = ["evaluate", "audio", "--folds", "3", "--classifier", "linear", "--voice", "off"]


def test_each_person_is_tested_in_one_fold_and_not_trained_on_there(sounds_root, vectors_store, capsys):
    command = [*FOLDS, "--root", str(sounds_root), "--store", vectors_store, "--against", "svm"]
    assert main(command) == 0
    found = last_line(capsys)
    assert found["scores"]["n"] == sum(fold["n"] for fold in found["folds"]) == 48
    assert sorted(person for fold in found["folds"] for person in fold["people"]) == [
        "ravdess-1",
        "ravdess-2",
        "ravdess-3",
    ]
    assert len(found["svm"]) == 10
    assert all(machine["n"] == 48 for machine in found["svm"].values())


def test_some_people_only(sounds_root, vectors_store, capsys):
    command = [*FOLDS[:3], "2", *FOLDS[4:], "--root", str(sounds_root), "--store", vectors_store, "--actors", "1-2"]
    assert main(command) == 0
    assert last_line(capsys)["scores"]["n"] == 32


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--folds", "9"], "9 folds of 3 people"),
        (["--actors", "7"], "no clip is of '7'"),
        (["--classifier", "forest"], "unknown classifier 'forest'"),
        pytest.param(["--classifier", "fusion"], "nothing to learn from", marks=pytest.mark.slow),
        (["--seed", "3", "--folds", "9"], "9 folds"),
    ],
)
def test_unusable_folds_end_with_one_sentence(sounds_root, vectors_store, capsys, extra, message):
    assert main([*FOLDS, "--root", str(sounds_root), "--store", vectors_store, *extra]) in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--classifier=mlp", "--against=svm", "--standardise=speaker", "--seed=1"])
def test_options_of_folds_are_refused_without_them(sounds_root, capsys, option):
    assert main(["evaluate", "audio", "--root", str(sounds_root), option]) == 2
    assert "goes with --folds" in capsys.readouterr().err


def test_people_that_a_model_was_trained_on_are_left_out_or_refused(sounds_root, vectors_store, tmp_path, capsys):
    path = tmp_path / "s.safetensors"
    card = {"kind": "audio", "arch": "linear", "arguments": {}, "preprocessing": {}}
    trained = {"data": {"people": {"train": ["ravdess-1"], "val": ["ravdess-2"], "test": ["ravdess-3"]}}}
    save_weights(path, build_classifier("linear").state_dict(), {**card, **trained})
    command = ["evaluate", "audio", "--root", str(sounds_root), "--audio-model", str(path), "--voice", "off"]
    assert main([*command, "--store", vectors_store]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["n"] == 16
    assert "was trained on ravdess-1, ravdess-2" in err
    assert main([*command, "--store", vectors_store, "--actors", "1,3"]) == 2
    assert "was trained on ravdess-1: its accuracy on them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"preprocessing": {"standardise": "speaker"}}, "standardised by each speaker's other recordings"),
        ({"preprocessing": {"win_dur": 0.5}}, "windows of sound that cannot be, 0.5 s every 1.0 s"),
        ({"preprocessing": {"win_dur": "2"}}, "windows of sound that cannot be, '2' s every 1.0 s"),
        ({"preprocessing": []}, "for preprocessing: export the weights again"),
        ({"arguments": "abc"}, "for arguments: export the weights again"),
        ({"arguments": {"num_sound_features": 5}}, "other vectors of sound"),
        ({"arch": "fusion"}, "a network that reads frames, sound: no audio model"),
        ({"arch": "this.Zen"}, "if you trust its package, say so by VIDFER_CLASSIFIERS=this"),
    ],
)
def test_a_card_that_does_not_fit_ends_with_one_sentence(sounds_root, vectors_store, tmp_path, capsys, entry, message):
    path = tmp_path / "s.safetensors"
    card = {"kind": "audio", "arch": "linear", "arguments": {}, "preprocessing": {}}
    save_weights(path, build_classifier("linear").state_dict(), {**card, **entry})
    command = ["evaluate", "audio", "--root", str(sounds_root), "--audio-model", str(path), "--voice", "off"]
    assert main([*command, "--store", vectors_store]) in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_sound_model_holds_its_bar(data_dir, tmp_path, capsys):
    command = ["evaluate", "audio", "--root", str(data_dir / "ravdess_speech"), "--actors", "17-20"]
    assert main([*command, "--store", str(tmp_path)]) == 0
    found = last_line(capsys)
    assert found["n"] == 240
    assert found["accuracy"] >= 0.60


def audio_weights(path, **entries):
    card = {"kind": "audio", "arch": "linear", "arguments": {}, "preprocessing": {}}
    torch.manual_seed(0)
    save_weights(path, build_classifier("linear").state_dict(), {**card, **entries})
    return str(path)


def test_unknown_people_give_a_warning(sounds_root, vectors_store, tmp_path, capsys):
    for at, recording in enumerate(sorted((sounds_root / "Actor_01").glob("*.wav"))[:6]):
        folder = tmp_path / "d" / ("happy" if at % 2 else "sad")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(recording, folder / f"clip {at}.wav")
    model = audio_weights(tmp_path / "s.safetensors", data={"people": {"train": ["ravdess-1"]}})
    command = ["evaluate", "audio", "--data", str(tmp_path / "d"), "--audio-model", model, "--voice", "off"]
    status = main([*command, "--store", vectors_store])
    out, err = capsys.readouterr()
    assert status == 0, err
    assert "WARNING: it is not known who is in 6 of the 6 clips" in err
    assert json.loads(out.splitlines()[-1])["unknown_persons"] == 6
    assert main([*command, "--store", vectors_store, "--folds", "2", "--classifier", "linear"]) == 1
    assert "needs to know who is in each clip" in capsys.readouterr().err
    known = ["evaluate", "audio", "--root", str(sounds_root), "--actors", "2", *command[4:], "--store", vectors_store]
    assert main(known) == 0
    out, err = capsys.readouterr()
    assert "WARNING" not in err
    assert json.loads(out.splitlines()[-1])["unknown_persons"] == 0


@pytest.mark.parametrize("voice", ["off", "auto"])
def test_a_recording_gets_the_prediction_of_analyze(sounds_root, tmp_path, voice):
    from vidfer import analyze
    from vidfer.datasets.synthetic import write_demo_clip

    model = audio_weights(tmp_path / "s.safetensors", calibration={"temperature": 1.7, "smoothing": 0.1})
    write_demo_clip(tmp_path / "clip.mp4", seconds=2.5)
    for path in (tmp_path / "clip.mp4", *sorted(sounds_root.glob("*/*.wav"))[:2]):
        sound = analyze(path, audio_model=model, voice=voice, denoise="off", store=tmp_path / "store").summary["sound"]
        if sound["distribution"] is None:
            with pytest.raises(ClipError) as failed:
                predict_recording(path, model, Store(tmp_path / "store"), speech_only=voice == "auto")
            assert failed.value.status == sound["status"]
            continue
        found = predict_recording(path, model, Store(tmp_path / "store"), speech_only=voice == "auto")
        assert list(sound["distribution"].values()) == found.round(6).tolist()  # as the summary is written
