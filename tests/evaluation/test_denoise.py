import argparse
import json
import math
import sys

import cv2
import numpy as np
import pytest
import torch

from vidfer.cli.main import main
from vidfer.evaluation.denoise import evaluate_denoiser, make_noisy, parse_references, parse_sigmas
from vidfer.models.generator import Generator
from vidfer.weights.files import save_weights


def save(path, network, **changes):
    arguments = {"preset": "tiny", "norm": "none", "output": "residual"}
    card = {"kind": "denoise", "arch": "generator", "arguments": arguments, "preprocessing": {}}
    save_weights(path, network.state_dict(), {**card, **changes})
    return path


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A denoiser that changes nothing: a residual generator whose last convolution is zero."""
    network = Generator("tiny", "none", "residual")
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    return save(tmp_path_factory.mktemp("weights") / "identity.safetensors", network)


def write(folder, name, image):
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), image[..., ::-1])


@pytest.fixture
def root(tmp_path):
    """Two photographs."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        write(tmp_path / "photos", name, np.kron(rng.integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8))
    return tmp_path / "photos"


def test_noisy_figures_are_the_closed_form(tmp_path, identity):
    ramp = np.linspace(110, 145, 192).round()[None, :, None]
    write(tmp_path / "gray", "middle.png", np.broadcast_to(ramp, (192, 192, 3)).astype(np.uint8))
    found = evaluate_denoiser(str(tmp_path / "gray"), (15.0, 25.0), identity, ("noisy",))["references"]["noisy"]
    for level, sigma in (("15", 15), ("25", 25)):
        assert found["unclipped"][level]["psnr"] == pytest.approx(20 * math.log10(255 / sigma), abs=0.05)
        assert found["unclipped"][level]["rmse"] == pytest.approx(sigma, rel=0.01)
        rounded = math.sqrt(sigma**2 + 1 / 12)  # nothing is clipped this far from black and white
        assert found["clipped"][level]["psnr"] == pytest.approx(20 * math.log10(255 / rounded), abs=0.05)


def test_a_denoiser_that_changes_nothing_has_the_noisy_figures(root, identity):
    found = evaluate_denoiser(str(root), (25.0, 50.0), identity, ("noisy",))
    noisy = found["references"]["noisy"]
    assert found["clipped"] == noisy["clipped"]
    for level in ("25", "50"):  # its answers are 8-bit images, so that it meets the noise as a file would hold it
        assert found["unclipped"][level] == pytest.approx(noisy["clipped"][level], rel=1e-3)
        assert noisy["unclipped"][level]["psnr"] < noisy["clipped"][level]["psnr"]


def test_noise_depends_on_the_image_and_the_level_alone(root, identity):
    def figures(*sigmas):
        return evaluate_denoiser(str(root), sigmas, identity)["clipped"]

    both = figures(15.0, 25.0)
    assert figures(25.0, 15.0) == both
    assert figures(25.0) == {"25": both["25"]}
    (root / "a.png").rename(root / "z.png")
    assert figures(15.0, 25.0) == both
    clean = np.full((40, 50, 3), 128, np.uint8)
    noise = make_noisy(clean, 25.0, clip=False)
    assert noise.dtype == np.float32
    assert (make_noisy(clean, 25.0, clip=True) == noise.round().clip(0, 255)).all()
    assert np.corrcoef(noise.ravel(), make_noisy(clean, 15.0, clip=False).ravel())[0, 1] < 0.1


def test_output_ends_with_one_line_of_json(root, identity, capsys):
    (root / "broken.png").write_bytes(b"nothing")
    write(root, "gray.png", np.full((32, 32, 3), 90, np.uint8))
    command = ["evaluate", "denoise", "--root", str(root), "--sigma", "15,7.5", "--weights", str(identity)]
    assert main([*command, "--against", "noisy,bilateral"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    found = json.loads(lines[-1])
    assert list(found)[:4] == ["n", "clipped", "unclipped", "references"]
    assert found["n"] == 3
    assert list(found["clipped"]) == ["15", "7.5"]
    assert set(found["unclipped"]["15"]) == {"psnr", "ssim", "rmse"}
    assert list(found["references"]) == ["noisy", "bilateral"]
    assert list(found["references"]["bilateral"]["unclipped"]["7.5"]) == ["psnr", "ssim", "rmse"]
    assert f"{found['references']['bilateral']['clipped']['15']['psnr']:.2f}" in out
    assert "3 images" in lines[0]
    assert max(map(len, lines[:-1])) <= 80
    assert "broken.png" in err
    assert "gray.png" in err


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--root", "nowhere"], 1, "nowhere"),
        (["--root", "."], 1, "no image"),
        (["--weights", "large"], 1, "shipped are small"),
        (["--weights", "image.safetensors"], 1, "of kind 'image', not 'denoise'"),
        (["--against", "noisy,bm3d"], 1, "pip install bm3d"),
        (["--device", "cuda:99"], 2, "--device cuda:99"),
    ],
)
def test_faults_end_with_one_sentence(tmp_path, identity, root, monkeypatch, capsys, options, status, message):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    save(tmp_path / "empty/image.safetensors", Generator("tiny", "none"), kind="image")
    command = ["evaluate", "denoise", "--root", str(root), "--sigma", "15", "--weights", str(identity)]
    assert main([*command, *options]) == status
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_lists():
    assert parse_sigmas("15,7.5") == (15.0, 7.5)
    for wrong in ("", "a", "0", "-5", "15,,25", "nan", "inf", "300", "15,15.0"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_sigmas(wrong)
    assert parse_references("nlm,noisy") == ("nlm", "noisy")
    for wrong in ("", "bm4d", "noisy,", "nlm,nlm"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_references(wrong)


def test_help_names_every_reference(capsys):
    from vidfer.evaluation.reference_denoisers import REFERENCES

    with pytest.raises(SystemExit):
        main(["evaluate", "denoise", "--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in REFERENCES)
