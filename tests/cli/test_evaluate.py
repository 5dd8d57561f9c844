import argparse
import json

import pytest
import torch

from vidfer.cli.evaluate import evaluate_sound, parse_actors
from vidfer.cli.main import main
from vidfer.models.classifiers.build import build_classifier
from vidfer.store import Store
from vidfer.weights.registry import save_weights


def last_line(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_sound_is_pooled_over_windows_and_silence_is_left_out(sounds_root, tmp_path, capsys):
    import shutil
    import wave

    root = tmp_path / "r"
    shutil.copytree(sounds_root / "Actor_02", root)
    with wave.open(str(root / "03-01-08-01-01-01-02.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(16000))
    torch.manual_seed(0)
    network = build_classifier("linear", num_features=1582)
    path = tmp_path / "s.safetensors"
    card = {"kind": "audio", "arch": "linear", "arguments": {"num_features": 1582}, "preprocessing": {}}
    save_weights(path, network.state_dict(), card)
    command = ["evaluate", "audio", "--root", str(root), "--actors", "2", "--audio-model", str(path)]
    assert main([*command, "--store", str(tmp_path / "store")]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out.strip().splitlines()[-1])
    assert found["n"] == 15
    assert "03-01-08-01-01-01-02.wav: silent" in err
    again = evaluate_sound(root, {2}, path, Store(tmp_path / "store"))
    assert again.confusion == found["confusion"]


def test_actors():
    assert parse_actors("2-4,7") == {2, 3, 4, 7}
    for wrong in ("", "a", "3-", "5-2"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_actors(wrong)


@pytest.mark.slow
def test_the_shipped_sound_model_holds_its_bar(data_dir, tmp_path, capsys):
    command = ["evaluate", "audio", "--root", str(data_dir / "ravdess_speech"), "--actors", "17-20"]
    assert main([*command, "--store", str(tmp_path)]) == 0
    found = last_line(capsys)
    assert found["n"] == 240
    assert found["accuracy"] >= 0.60
