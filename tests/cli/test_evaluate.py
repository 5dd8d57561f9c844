import argparse
import json

import numpy as np
import pytest
import torch

from vidfer.cli.evaluate import evaluate_sound, parse_actors
from vidfer.cli.main import main
from vidfer.models.classifiers.build import build_classifier
from vidfer.store import Store
from vidfer.weights.registry import save_weights


def last_line(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_images_end_with_one_line_of_json(faces_root, image_weights, capsys):
    (faces_root / "public_test/happy/broken.png").write_bytes(b"nothing")
    command = [
        "evaluate",
        "image",
        "--root",
        str(faces_root),
        "--split",
        "public_test",
        "--image-model",
        str(image_weights),
    ]
    assert main([*command, "--no-flip"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out.strip().splitlines()[-1])
    assert list(found) == ["n", "accuracy", "accuracy_ci95", "uar", "f1_macro", "confusion"]
    assert found["n"] == 14
    assert [sum(row) for row in found["confusion"]] == [2] * 7
    assert found["accuracy"] == pytest.approx(np.trace(found["confusion"]) / 14)
    assert "happy/broken.png" in err


@pytest.mark.parametrize(
    ("split", "model", "message"),
    [("none", None, "no split 'none'"), ("public_test", "inception_resnet_v2", "train it")],
)
def test_faults_end_with_one_sentence(faces_root, image_weights, capsys, split, model, message):
    command = ["evaluate", "image", "--root", str(faces_root), "--split", split]
    assert main([*command, "--image-model", model or str(image_weights)]) == 1
    assert message in capsys.readouterr().err


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
def test_the_shipped_image_model_holds_its_bar(data_dir, capsys):
    assert main(["evaluate", "image", "--root", str(data_dir / "fer2013"), "--split", "public_test"]) == 0
    found = last_line(capsys)
    assert found["n"] == 3589
    assert found["accuracy"] >= 0.64


@pytest.mark.slow
def test_the_shipped_sound_model_holds_its_bar(data_dir, tmp_path, capsys):
    command = ["evaluate", "audio", "--root", str(data_dir / "ravdess_speech"), "--actors", "17-20"]
    assert main([*command, "--store", str(tmp_path)]) == 0
    found = last_line(capsys)
    assert found["n"] == 240
    assert found["accuracy"] >= 0.60
