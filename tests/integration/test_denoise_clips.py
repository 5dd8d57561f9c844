"""Denoising inside the chain, on a clip made here and its noisy copy."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from vidfer import analyze
from vidfer.cli.main import main
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.evaluation.noise import write_noisy
from vidfer.models.generator import Generator
from vidfer.pipeline.runner import finished, plan
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.weights.files import save_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("denoise")


@pytest.fixture(scope="module")
def clip(folder):
    write_demo_clip(folder / "clips" / "clean.mp4", seconds=0.5)
    return folder / "clips" / "clean.mp4"


@pytest.fixture(scope="module")
def noisy(folder, clip):
    copy = clip.with_name("noisy.nut")
    assert write_noisy(clip, copy, sigma=25, fps=5.0) == [0, 5, 10]
    return copy


@pytest.fixture(scope="module")
def store(folder):
    return folder / "store"


@pytest.fixture(scope="module")
def identity(folder):
    """A denoiser that gives back what it gets."""
    network = Generator("tiny", norm="none", scale=2)
    for weight in network.tail.parameters():
        weight.data.zero_()
    card = {"kind": "denoise", "arch": "generator", "arguments": {"preset": "tiny", "norm": "none", "scale": 2}}
    save_weights(folder / "identity.safetensors", network.state_dict(), {**card, "preprocessing": {"range": [-1, 1]}})
    return str(folder / "identity.safetensors")


def states(clip, store, **options):
    steps = plan(build_chain(ChainOptions(**options)), "report", clip, Store(store))
    return {step.stage.name: step.state for step in steps}


def faces(clip, store, **options):
    with finished(build_chain(ChainOptions(**options)), "faces", clip, Store(store)) as artifact:
        return artifact.names(), artifact.arrays("crops-00000.safetensors")["crops"], artifact


def test_a_clean_clip_gets_the_same_answers_as_with_off(clip, store, identity):
    off = analyze(clip, denoise="off", store=store)
    auto = analyze(clip, denoise_model=identity, store=store)
    frame = analyze(clip, denoise_model=identity, denoise_scope="frame", store=store)
    for other in (auto, frame):
        for name in ("frames", "people", "windows", "seconds", "segments"):
            pd.testing.assert_frame_equal(other.tables[name], off.tables[name])
    told = {"scope": "face", "threshold": 10.0, "faces": 3, "denoised": 0, "mean_change": None, "answers_changed": 0}
    assert auto.summary["denoise"] == {"mode": "auto", **told}
    assert frame.summary["denoise"] == {"mode": "auto", **told, "scope": "frame"}
    assert off.summary["denoise"] == {"mode": "off", **told, "scope": None, "threshold": None}


def test_toggling_does_not_look_for_faces_again(clip, store, identity):
    analyze(clip, denoise="off", store=store)
    told = states(clip, store, denoise="on", denoise_model=identity)
    assert told["faces"] == told["audio"] == "hit"
    assert told["denoise"] == told["finetune"] == "miss"


def test_noisy_faces_are_found_noisy(noisy, store, identity, capsys, folder):
    command = ["analyze", str(noisy), "--denoise-model", identity, "--store", str(store), "--out", str(folder / "out")]
    assert main(command) == 0
    assert "Denoised 3 of 3 faces in 1 of 1 clips: 0 predictions changed." in capsys.readouterr().out
    rows = list(csv.DictReader((folder / "out/noisy.nut/frames.csv").open()))
    assert [row["denoised"] for row in rows] == ["TRUE"] * 3
    assert all(abs(float(row["noise_sigma"]) - 25) < 3 for row in rows)
    told = json.loads((folder / "out/noisy.nut/summary.json").read_text())["denoise"]
    assert (told["denoised"], told["answers_changed"]) == (3, 0)
    assert told["mean_change"] == 0  # the faces are shrunk, so nothing was resampled
    assert main([*command, "--denoise", "off"]) == 0
    assert "Denoised" not in capsys.readouterr().out


def test_frames_are_denoised_before_faces_are_looked_for(noisy, store, identity):
    names, crops, artifact = faces(noisy, store, denoise_scope="frame", denoise_model=identity)
    _, alone, plain = faces(noisy, store, denoise="off")
    np.testing.assert_array_equal(crops, alone)
    tables = ["faces.parquet", "poster.jpg", "times.parquet"]
    assert names == ["crops-00000.safetensors", "denoised-00000.safetensors", *tables]
    denoised = artifact.arrays("denoised-00000.safetensors")
    assert denoised["rows"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(denoised["crops"], crops)
    table = artifact.table("faces.parquet")
    assert "frame_sigma" not in plain.table("faces.parquet")
    np.testing.assert_allclose(table["frame_sigma"], 25, atol=4)


def test_raw_crops_stay_beside_those_of_denoised_frames(noisy, store, folder, identity):
    """A denoiser that darkens: the crops differ by that, the landmarks and the noise are those of one look."""
    state = Generator("tiny", norm="none").state_dict()
    state = {name: torch.zeros_like(value) for name, value in state.items()}
    state["tail.bias"] += -20 / 127.5
    card = {"kind": "denoise", "arch": "generator", "arguments": {"preset": "tiny", "norm": "none"}}
    save_weights(folder / "darker.safetensors", state, {**card, "preprocessing": {}})
    options = {"denoise_scope": "frame", "denoise_model": str(folder / "darker.safetensors")}
    _, crops, artifact = faces(noisy, store, **options)
    denoised = artifact.arrays("denoised-00000.safetensors")["crops"].astype(int)
    assert np.median(crops - denoised) == 20
    result = analyze(noisy, **options, store=store)
    told = result.summary["denoise"]
    assert told["mean_change"] == pytest.approx(np.abs(crops - denoised).mean(), abs=1e-5)
    assert result.frames["noise_sigma"].between(22, 28).all()


def test_weights_that_are_not_their_cards_are_one_sentence(noisy, store, folder, identity, capsys):
    for suffix in ("safetensors", "json"):
        shutil.copy(folder / f"identity.{suffix}", folder / f"harmed.{suffix}")
    data = bytearray((folder / "harmed.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "harmed.safetensors").write_bytes(data)
    harmed = str(folder / "harmed.safetensors")
    command = ["analyze", str(noisy), "--store", str(store), "--out", str(folder / "out")]
    assert main([*command, "--denoise-model", harmed]) == 1
    said = capsys.readouterr().err
    assert "harmed.safetensors is not the file that its card harmed.json describes" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_the_shipped_denoiser_gives_answers_back(data_dir, tmp_path, capsys):
    """On the demo's clip noise changes no answer to begin with: there is nothing to give back, and nothing may be lost."""
    write_demo_clip(tmp_path / "demo.mp4")
    clips = [
        data_dir / "clips/petercunha_dinner/dinner.mp4",
        data_dir / "clips/face_recognition_samples/short_hamilton_clip.mp4",
        data_dir / "clips/eamm_samples/fear.mp4",
        tmp_path / "demo.mp4",
    ]
    assert main(["evaluate", "clips", *map(str, clips), "--noise", "25", "--store", str(tmp_path / "store")]) == 0
    *real, demo = json.loads(capsys.readouterr().out.splitlines()[-1])["clips"]
    for told in real:
        assert told["same_auto"] > told["same_off"], told
    assert demo["same_auto"] >= demo["same_off"]
    for told in (*real, demo):
        assert told["changed"] < 0.01 * told["faces"], told
        assert told["noise"] == pytest.approx(25, abs=2.5)
