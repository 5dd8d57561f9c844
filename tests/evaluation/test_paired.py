import json

import pytest

from vidfer.cli.main import main


@pytest.fixture
def evaluate(sounds_root, faces_root, vectors_store, capsys):
    def run(*extra):
        status = main(
            ["evaluate", "paired", "--root", str(sounds_root), "--faces-root", str(faces_root), "--people", "1",
             "--store", vectors_store, *extra]
        )  # fmt: skip
        return status, capsys.readouterr()

    return run


def test_each_way_of_predicting_is_measured_on_the_same_clips(evaluate, monkeypatch):
    monkeypatch.setattr("vidfer.datamodules.features.SPEECH_SHARE", 0.0)  # nobody speaks in synthesised voices
    status, (out, _) = evaluate()
    found = json.loads(out.splitlines()[-1])
    assert status == 0
    assert found["on"].startswith("paired (semi-synthetic)")
    assert found["left_out"] == 0
    ways = [
        "faces",
        "vote",
        "sound",
        "late",
        "trained",
        "trained, sound dropped",
        "trained, faces dropped",
        "as analyze answers",
    ]
    assert list(found)[3:] == ways
    assert all(found[way]["n"] == 16 for way in ways)


def test_weights_that_are_not_there_are_a_wrong_command(evaluate):
    status, (_, err) = evaluate("--fusion-model", "none")
    assert status == 2
    assert "no fusion weights 'none'" in err
