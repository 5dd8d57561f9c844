"""`vidfer analyze --identify`: with weights that are here, and without."""

import pandas as pd
import pytest
from torch import nn

from vidfer.cli.main import main
from vidfer.inference import torch_networks
from vidfer.weights.files import save_weights
from vidfer.weights.published import _CARD


@pytest.fixture
def analyze(tmp_path, monkeypatch):
    """Analyse two pictures of one person into a run."""
    import cv2
    from skimage.data import astronaut

    monkeypatch.setenv("VIDFER_WEIGHTS", str(tmp_path / "weights"))
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), astronaut()[:300, 60:400, ::-1])

    def run(*words, clips=("a.png", "b.png")):
        paths = [str(tmp_path / name) for name in clips]
        status = main(["analyze", *paths, "--out", str(tmp_path / "run"), "--store", str(tmp_path / "store"), *words])
        return status, pd.read_parquet(tmp_path / "run/people.parquet")

    return run


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A network that tells colours apart, in the place of the published one."""
    monkeypatch.setitem(
        torch_networks.IDENTITY_NETWORKS, "tiny", lambda: nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    )
    save_weights(tmp_path / "weights/identity.safetensors", {}, {**_CARD, "arch": "tiny"})


def test_without_weights_it_says_that_nobody_is_linked_and_goes_on(analyze, capsys):
    status, people = analyze("--identify", clips=("a.png",))
    said = capsys.readouterr().err
    assert "--identify links nobody" in said
    assert "vidfer weights pull identity" in said
    assert status == 0
    assert people["linked_to"].isna().all()


def test_persons_are_linked_and_stay_so(analyze, weights, tmp_path, capsys):
    status, people = analyze("--identify", clips=("a.png",))
    assert (status, people["linked_to"].tolist()) == (0, [pd.NA])
    status, people = analyze("--identify", clips=("b.png",))  # the other clip's person is found in the store
    assert status == 0
    for _ in range(2):
        assert people["person_id"].tolist() == ["a.png#1", "a.png#1"]
        assert people["linked_to"].tolist() == [pd.NA, "a.png#1"]
        _, people = analyze(clips=("b.png",))
    assert (tmp_path / "run/b.png/person-1.jpg").is_file()
    capsys.readouterr()
    assert main(["purge", "--clip", str(tmp_path / "a.png"), "--store", str(tmp_path / "store")]) == 0
    assert "identify\t" in capsys.readouterr().out  # embeddings go with all else


def test_pictures_are_blurred_unless_it_is_said_otherwise(analyze, tmp_path):
    picture = tmp_path / "run/a.png/person-1.jpg"
    sizes = []
    for words in ((), ("--show-faces",), ()):
        _, people = analyze(*words, clips=("a.png",))
        sizes.append(picture.stat().st_size)
    assert people["thumbnail"].tolist() == ["a.png/person-1.jpg"]
    assert sizes[0] == sizes[2] < sizes[1] / 2  # no detail, few bytes


@pytest.mark.parametrize("threshold", ["0", "2.5", "-1"])
def test_a_threshold_that_is_no_distance_is_refused(threshold, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["analyze", "a.mp4", "--identify", "--identify-threshold", threshold])
    assert "--identify-threshold has to be above 0 and below 2" in capsys.readouterr().err
