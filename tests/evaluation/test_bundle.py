import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from vidfer import api
from vidfer.cli.main import main
from vidfer.datamodules.denoise import DenoiseDataModule
from vidfer.datasets.fer2013 import read_images
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.evaluation.bundle import evaluate_bundle, measure_bundle
from vidfer.evaluation.figures import clip_figures, persons_interval
from vidfer.evaluation.paired import PairedOptions, evaluate_paired
from vidfer.inference.denoiser import Denoiser
from vidfer.inference.models import ImageModel
from vidfer.models.classifiers import build_classifier
from vidfer.models.generator import Generator
from vidfer.types import EMOTIONS
from vidfer.weights.bundles import SHIPPED_BUNDLE
from vidfer.weights.files import save_weights


@pytest.fixture
def make_bundle(tmp_path, image_weights):
    """Write a bundle with an image model and others by kind, of which `linear` is an untrained classifier of sound."""

    def make(*kinds):
        folder = tmp_path / "bundle"
        folder.mkdir()
        for suffix in (".safetensors", ".json"):
            shutil.copy(image_weights.with_suffix(suffix), folder / f"image{suffix}")
        torch.manual_seed(0)
        if "audio" in kinds:
            card = {"kind": "audio", "arch": "linear", "arguments": {}, "preprocessing": {}}
            card["data"] = {"source": "them", "people": {"train": ["carl"], "val": [], "test": []}}
            save_weights(folder / "audio.safetensors", build_classifier("linear").state_dict(), card)
        if "denoise" in kinds:
            arguments = {"preset": "tiny", "norm": "none"}
            card = {"kind": "denoise", "arch": "generator", "arguments": arguments, "preprocessing": {}}
            save_weights(folder / "denoise.safetensors", Generator(**arguments).state_dict(), card)
        models = {kind: f"{kind}.safetensors" for kind in ("image", *kinds)}
        content = {"format": 1, "name": "mine", "models": models, "settings": {"voice": "off", "denoise": "off"}}
        (folder / "bundle.json").write_text(json.dumps(content))
        return folder

    return make


@pytest.fixture
def manifest(tmp_path, sounds_root):
    """A video of Ann, sounds of Bob, and one of Carl, whom the classifier of sound was trained on."""
    write_demo_clip(tmp_path / "clips" / "ann.mp4", seconds=1.0)
    sounds = sorted(sounds_root.rglob("*.wav"))
    names = [("ann.mp4", "happy", "ann", "test")]
    for at, (person, split) in enumerate((("bob", "test"), ("bob", "test"), ("carl", "test"), ("dora", "train"))):
        shutil.copy(sounds[at], tmp_path / "clips" / f"{at}.wav")
        names.append((f"{at}.wav", "sad", person, split))
    rows = ["path,label,person,split", *(",".join(row) for row in names)]
    (tmp_path / "clips" / "manifest.csv").write_text("\n".join(rows))
    return tmp_path / "clips" / "manifest.csv"


def of_clips(manifest):
    return {
        "class_path": "vidfer.datamodules.clips.ClipDataModule",
        "init_args": {"data": "manifest", "root": str(manifest), "voice": False},
    }


def test_test_clips_go_through_the_chain_of_analyze_but_for_people_who_were_trained_on(make_bundle, manifest):
    folder = make_bundle("audio")
    found = measure_bundle(folder, {"audio": of_clips(manifest)})
    (group,) = found["clips"]
    assert group["persons"] == ["ann", "bob"]
    assert any("carl" in note for note in group["notes"])
    rows = {row["clip"]: row for row in group["predictions"]}
    assert set(rows) == {"ann.mp4", "0.wav", "1.wav"}
    for name, row in rows.items():
        summary = api.analyze(manifest.parent / name, models=folder).summary
        for part in ("fused", "sound"):
            assert row[part] == summary[part]["predominant"]
            assert row[f"{part}_p"] == [summary[part]["distribution"][each] for each in EMOTIONS]
        if name == "ann.mp4":
            assert row["vote"] == summary["faces"]["vote"]["predominant"]
            assert row["faces_p"] == [summary["faces"]["distribution"][each] for each in EMOTIONS]
            assert row["late_p"] == row["fused_p"]
        else:
            assert "faces" not in row
    assert (group["parts"]["faces"]["n"], group["parts"]["sound"]["n"], group["parts"]["fused"]["n"]) == (1, 3, 3)
    assert found["image"]["missing"].startswith("it was not trained")
    assert found["denoise"]["missing"] == "the bundle has no denoise model"


def test_figures_can_be_recomputed_from_the_file_and_the_bytes_are_the_same_again(make_bundle, manifest):
    folder, data = make_bundle("audio"), {"audio": of_clips(manifest)}
    files = evaluate_bundle(folder, data)
    assert files == evaluate_bundle(folder, data)
    group = json.loads(files["evaluation.json"])["clips"][0]
    for part, each in group["parts"].items():
        assert json.loads(json.dumps(clip_figures(group["predictions"], part))) == each
    assert str(manifest.parent).encode() not in b"".join(files.values())


def test_the_command_measures_a_bundle_on_clips_of_ones_own(make_bundle, manifest, capsys):
    assert main(["evaluate", "bundle", str(make_bundle("audio")), "--data", str(manifest)]) == 0
    out, err = capsys.readouterr()
    assert "the audio model was trained on carl" in err
    assert "mine on manifest.csv: 4 clips, 3 known persons" in out
    found = json.loads(out.splitlines()[-1])
    assert found["parts"]["faces"]["n"] == 1
    assert main(["evaluate", "bundle", str(manifest.parent), "--data", str(manifest)]) == 1
    assert "is no bundle" in capsys.readouterr().err


def test_an_image_model_is_scored_on_its_test_images(make_bundle, faces_root):
    folder = make_bundle()
    data = {"class_path": "vidfer.datamodules.fer2013.Fer2013DataModule", "init_args": {"root": str(faces_root)}}
    found = measure_bundle(folder, {"image": data})["image"]
    images = read_images(faces_root, "public_test")
    preds = ImageModel(folder / "image.safetensors").of_gray(images.image, tta="flip")[1].argmax(1)
    assert found["n"] == 14
    assert found["accuracy"] == pytest.approx(accuracy_score(images.target, preds))
    assert found["uar"] == pytest.approx(balanced_accuracy_score(images.target, preds))
    assert found["f1_macro"] == pytest.approx(f1_score(images.target, preds, average="macro"))
    shutil.rmtree(faces_root / "public_test")
    assert "no split 'public_test' in faces" in measure_bundle(folder, {"image": data})["image"]["missing"]


def test_images_of_clips_are_counted_by_person(make_bundle, tmp_path):
    rows = ["path,label,person"]
    for at, (person, label) in enumerate((("ann", "happy"), ("bob", "sad"), ("carl", "happy"), ("dora", "fear"))):
        write_demo_clip(tmp_path / "faces" / f"{person}.mp4", seconds=0.6, noise_sigma=2.0 + at)
        rows.append(f"{person}.mp4,{label},{person}")
    (tmp_path / "faces" / "manifest.csv").write_text("\n".join(rows))
    init = {"data": str(tmp_path / "faces"), "train_people": "ann", "val_people": "bob", "test_people": "carl,dora"}
    data = {"class_path": "vidfer.datamodules.faces.ClipFacesDataModule", "init_args": init}
    found = measure_bundle(make_bundle(), {"image": data})["image"]
    assert set(found["persons"]) == {"carl", "dora"}
    assert sum(n for _, n in found["persons"].values()) == found["n"] > 2
    assert sum(right for right, _ in found["persons"].values()) == round(found["accuracy"] * found["n"])
    assert found["persons"]["carl"][0] == found["confusion"][EMOTIONS.index("happy")][EMOTIONS.index("happy")]
    assert found["persons_ci95"] == persons_interval([tuple(each) for each in found["persons"].values()])


def test_a_denoisers_gain_is_the_mean_over_photographs_held_out(make_bundle, tmp_path):
    (tmp_path / "photos").mkdir()
    for at in range(4):
        pixels = cv2.GaussianBlur(np.random.default_rng(at).integers(0, 256, (40, 60, 3), np.uint8), (0, 0), 3)
        cv2.imwrite(str(tmp_path / "photos" / f"{at}.png"), pixels)
    init = {"root": str(tmp_path / "photos"), "crop": 32, "sigmas": [15.0, 50.0], "val_share": 0.75}
    data = {"class_path": "vidfer.datamodules.denoise.DenoiseDataModule", "init_args": init}
    folder = make_bundle("denoise")
    found = measure_bundle(folder, {"denoise": data})["denoise"]
    assert (found["split"], found["n"]) == ("val", 3)
    module = DenoiseDataModule(**init)
    module.setup("fit")
    crops, denoiser, gains = module.data["val"], Denoiser(folder / "denoise.safetensors"), {}
    for number in range(len(crops)):
        noisy, clean = (
            np.rint((crops[number][name].numpy().transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)
            for name in ("noisy", "clean")
        )
        photo = number // (len(crops) // 3)  # photographs of one size have as many crops
        values = [peak_signal_noise_ratio(clean, each) for each in (noisy, denoiser(noisy[None])[0])]
        gains.setdefault(photo, []).append(values[1] - values[0])
    means = [np.mean(each) for each in gains.values()]
    assert found["psnr_gain"] == pytest.approx(np.mean(means), abs=1e-3)
    expected = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert found["psnr_gain_ci95"] == pytest.approx(expected, abs=1e-3)
    level = np.mean([np.mean(each[::2]) for each in gains.values()])
    assert found["sigmas"]["15"]["psnr_gain"] == pytest.approx(level, abs=1e-3)
    init["test_root"] = init["root"]
    assert "photographs of the training" in measure_bundle(folder, {"denoise": data})["denoise"]["missing"]


@pytest.fixture
def with_fusion(tmp_path):
    """The shipped bundle, with the fusion model that ships beside it."""
    folder = tmp_path / "fused"
    folder.mkdir()
    manifest = json.loads((SHIPPED_BUNDLE / "bundle.json").read_text())
    manifest["models"] |= {"fusion": "fusion.safetensors"}
    for name in manifest["models"].values():
        for suffix in (".safetensors", ".json"):
            shutil.copy((SHIPPED_BUNDLE / name).with_suffix(suffix), folder)
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def test_paired_clips_are_predicted_as_by_evaluate_paired(
    sounds_root, faces_root, vectors_store, with_fusion, monkeypatch
):
    monkeypatch.setattr("vidfer.datamodules.features.SPEECH_SHARE", 0.0)  # nobody speaks in synthesised voices
    init = {"root": str(sounds_root), "faces_root": str(faces_root), "store": vectors_store}
    init |= {"train_people": "2", "test_people": "1"}
    data = {"class_path": "vidfer.datamodules.paired.PairedDataModule", "init_args": init}
    (group,) = measure_bundle(with_fusion, {"fusion": data})["clips"]
    assert group["persons"] == ["ravdess-1"]
    expected = evaluate_paired(
        PairedOptions(sounds_root, faces_root, "1", fusion_model="fusion", store=Path(vectors_store))
    )
    expected["fused"] = expected["as analyze answers"]
    assert set(group["parts"]) == {"fused", "faces", "vote", "sound", "late", "trained"}
    for part, each in group["parts"].items():
        assert (each["n"], each["accuracy"]) == (16, expected[part]["accuracy"])
        assert [row[:7] for row in each["confusion"]] == expected[part]["confusion"]
    init["test_people"] = "1,3"  # the shipped weights were trained on 2 to 16
    (group,) = measure_bundle(with_fusion, {"fusion": data})["clips"]
    assert group["persons"] == ["ravdess-1"]
    assert any("ravdess-3" in note for note in group["notes"])


def test_people_who_are_not_held_out_are_said(make_bundle, sounds_root, vectors_store):
    init = {"data": "ravdess", "root": str(sounds_root), "train_people": "1-3", "store": vectors_store}
    data = {"class_path": "vidfer.datamodules.clips.ClipDataModule", "init_args": init}
    found = measure_bundle(make_bundle("audio"), {"audio": data})
    assert found["missing"] == {"audio": "nobody of ravdess is held out as test people"}
    assert found["clips"] == []


def test_further_clips_are_measured_beside_those_of_the_trainings(make_bundle, manifest):
    data = of_clips(manifest)
    data["init_args"]["test_people"] = "dora"
    nobody = {**data, "init_args": {**data["init_args"], "test_people": "carl"}}
    found = measure_bundle(make_bundle("audio"), {"audio": of_clips(manifest)}, [data, nobody])
    assert [group["persons"] for group in found["clips"]] == [["ann", "bob"], ["dora"]]
    assert "whom the models were not trained on" in found["missing"]["further test clips 2"]
