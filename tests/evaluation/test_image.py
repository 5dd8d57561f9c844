import csv
import json
import shutil
from typing import get_args, get_type_hints

import numpy as np
import pytest
from scipy.special import softmax
from torchmetrics.functional.classification import multiclass_calibration_error

from vidfer.cli.main import main
from vidfer.datamodules.fer2013 import BatchedImages
from vidfer.datasets.fer2013 import read_images, read_logits
from vidfer.datasets.fer2013_csv import VOTES
from vidfer.evaluation.image import ImageOptions, image_metrics
from vidfer.evaluation.robustness import CORRUPTIONS
from vidfer.inference.models import TTA, ImageModel
from vidfer.types import EMOTIONS
from vidfer.weights.files import find_weights, weights_digest


@pytest.fixture
def evaluate(faces_root, image_weights, capsys):
    """Run the command and return its status, its last line read as JSON, the lines before and the error stream."""

    def run(*options, split="public_test", model=image_weights):
        command = ["evaluate", "image", "--root", str(faces_root), "--split", split, "--image-model", str(model)]
        status = main([*command, *map(str, options)])
        out, err = capsys.readouterr()
        *lines, last = out.strip().splitlines() or [""]
        return status, json.loads(last) if last else None, lines, err

    return run


def test_images_end_with_one_line_of_json(evaluate, faces_root):
    (faces_root / "public_test/happy/broken.png").write_bytes(b"nothing")
    status, found, lines, err = evaluate("--tta", "none")
    assert status == 0
    assert found["n"] == 14
    assert [sum(row) for row in found["confusion"]] == [2] * 7
    assert found["accuracy"] == pytest.approx(np.trace(found["confusion"]) / 14)
    assert found["recurring"] == 0
    assert found["without_recurring"]["accuracy"] == found["accuracy"]
    assert f"{found['accuracy']:.3f}" in lines[0]
    assert "happy/broken.png" in err


@pytest.mark.parametrize("tta", TTA)
def test_every_augmentation_is_the_models_own(evaluate, faces_root, image_weights, tta):
    assert set(get_args(get_type_hints(ImageOptions)["tta"])) == set(TTA)
    data = read_images(faces_root, "public_test")
    logits = ImageModel(image_weights).of_gray(data.image, tta=tta)[1]
    found = evaluate("--tta", tta)[1]
    assert found["accuracy"] == (logits.argmax(1) == data.target).mean()
    assert found["nll"] == pytest.approx(-np.log(softmax(logits, 1)[np.arange(14), data.target]).mean(), rel=1e-5)
    assert image_metrics(BatchedImages(data), image_weights, tta=tta)["accuracy"] == found["accuracy"]


def test_images_that_recur_in_training_are_scored_apart(evaluate, faces_root):
    for path in list((faces_root / "public_test").glob("*/*"))[:5]:
        shutil.copy(path, faces_root / "train" / path.parent.name / f"again_{path.name}")
    found = evaluate()[1]
    assert (found["n"], found["recurring"], found["without_recurring"]["n"]) == (14, 5, 9)
    shutil.move(faces_root / "train", faces_root / "other")
    status, found, lines, _ = evaluate()
    assert status == 0
    assert found["recurring"] is None
    assert "not known which images recur" in lines[-2]
    assert evaluate("--train-split", "other")[1]["recurring"] == 5
    assert evaluate("--train-split", "none")[0] == 1


def test_training_images_have_no_accuracy(evaluate):
    status, found, lines, _ = evaluate(split="train")
    assert status == 0
    assert list(found) == ["about", "on", "head", "n", "training_labels_reproduced"]
    assert "no accuracy" in lines[0]


def test_logits_are_kept_for_another_model(evaluate, faces_root, image_weights, tmp_path):
    assert evaluate("--save-logits", tmp_path / "new/l.safetensors", split="train")[0] == 0
    data = read_images(faces_root, "train")
    expected = ImageModel(image_weights).of_gray(data.image, tta="flip")[1]
    np.testing.assert_array_equal(read_logits(tmp_path / "new/l.safetensors", data.digest), expected)
    assert evaluate("--save-logits", tmp_path / "l.npz")[0] == 1


def test_a_limit_takes_every_class_and_is_reported(evaluate):
    found, lines = evaluate("--limit", 7)[1:3]
    assert [sum(row) for row in found["confusion"]] == [1] * 7
    assert "7 of its 14 images only" in lines[0]


def test_the_card_gets_the_reported_calibration(evaluate, image_weights, faces_root, tmp_path):
    out = tmp_path / "new" / "out"
    digest, before = weights_digest("image", image_weights), find_weights("image", image_weights).card
    status, found, _, err = evaluate("--calibrate", "--write-card", "--out", out)
    assert status == 0
    assert weights_digest("image", image_weights) == digest
    entry = {name: value for name, value in found.items() if name not in ("about", "on", "head")}
    assert find_weights("image", image_weights).card == {**before, "calibration": entry}
    assert "mine.json" in err
    assert {path.name for path in out.iterdir()} == {
        f"{name}.{end}" for name in ("reliability", "coverage") for end in ("png", "svg")
    } | {"coverage.csv"}
    with (out / "coverage.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["coverage"]) for row in rows] == [share for _, share, _ in found["coverage"]]
    assert rows[0]["n"] == "7"
    assert evaluate()[1]["temperature"] == found["temperature"]
    assert evaluate("--tta", "none")[1]["temperature"] == 1


def test_no_calibration_error_on_images_that_the_temperature_was_fitted_on(evaluate, faces_root, image_weights):
    calibration = evaluate("--calibrate", "--write-card")[1]
    _, found, lines, _ = evaluate()
    assert (found["n"], found["n_calibration"]) == (14, 7)
    assert found["ece"] == pytest.approx(calibration["ece_after"], abs=1e-6)
    assert found["nll"] == pytest.approx(calibration["nll_after"], abs=1e-6)
    (line,) = [line for line in lines if "ECE" in line]
    assert "n = 7 (without the 7 images that the temperature was fitted on)" in line
    assert f"temperature {calibration['temperature']:.3f}, fitted on {calibration['fitted_on']}" in line
    _, found, lines, _ = evaluate("--limit", 7)  # takes the smallest digests of each class: the half fitted on
    assert (found["ece"], found["nll"], found["n_calibration"]) == (None, None, 0)
    assert any("no ECE and NLL: every image is among those" in line for line in lines)
    shutil.copytree(faces_root / "public_test", faces_root / "private_test")
    _, found, lines, _ = evaluate(split="private_test")
    assert found["n_calibration"] == 14  # another split: all of it, and where the temperature is from
    assert any(f"fitted on {calibration['fitted_on']}" in line for line in lines)
    next((faces_root / "public_test" / "happy").iterdir()).unlink()  # no longer the images of then
    _, found, lines, _ = evaluate()
    assert (found["n_calibration"], found["n_fitted_left_out"]) == (13, None)
    assert any("in another copy among those that the temperature was fitted on" in line for line in lines)
    _, found, lines, _ = evaluate("--tta", "none", split="private_test")
    assert (found["n_calibration"], found["temperature_fitted_on"]) == (14, None)
    assert any("the card has none for these views or this head" in line for line in lines)


def test_a_copy_of_the_images_elsewhere_is_known_again(evaluate, faces_root, image_weights, tmp_path):
    evaluate("--calibrate", "--write-card")
    shutil.copytree(faces_root, tmp_path / "copy")
    found = evaluate("--root", tmp_path / "copy")[1]
    assert (found["n_calibration"], found["n_fitted_left_out"]) == (7, 7)
    next((tmp_path / "copy" / "public_test" / "happy").iterdir()).unlink()
    assert evaluate("--root", tmp_path / "copy")[1]["n_calibration"] == 13  # other images for all that is known


def test_the_card_keeps_one_accuracy_for_each_way_of_measuring(evaluate, image_weights):
    digest = weights_digest("image", image_weights)
    for tta in ("none", "flip", "flip"):
        found = evaluate("--write-card", "--tta", tta)[1]
    card = find_weights("image", image_weights).card
    assert [each["on"] for each in card["metrics"]] == [
        "faces/public_test",
        "faces/public_test, averaged with the mirrored face",
    ]
    assert card["metrics"][1]["accuracy"] == found["accuracy"]
    assert weights_digest("image", image_weights) == digest


def test_pulled_weights_keep_their_card(evaluate, image_weights, monkeypatch):
    monkeypatch.setenv("VIDFER_WEIGHTS", str(image_weights.parent))
    before = image_weights.with_suffix(".json").read_bytes()
    status, _, _, err = evaluate("--calibrate", "--write-card")
    assert status == 2
    assert "copy it and its card" in err
    assert image_weights.with_suffix(".json").read_bytes() == before


def test_a_trainings_card_and_the_command_name_the_data_alike(evaluate, image_weights, faces_root):
    data = BatchedImages(read_images(faces_root, "public_test"))
    found = [image_metrics(data, image_weights, tta=tta) for tta in ("none", "flip")]
    evaluate("--write-card")
    assert find_weights("image", image_weights).card["metrics"] == [json.loads(json.dumps(found[1]))]


def test_calibration_is_measured_on_the_half_it_was_not_fitted_on(evaluate, image_weights, faces_root):
    import torch

    found = evaluate("--calibrate")[1]
    data = read_images(faces_root, "public_test")
    logits = ImageModel(image_weights).of_gray(data.image, tta="flip")[1]
    digests = np.array(data.digest)
    held = np.array(
        [digest == max(digests[data.target == label]) for digest, label in zip(digests, data.target, strict=True)]
    )
    assert (found["n_fitted"], found["n_measured"]) == (7, 7)
    for when, temperature in (("before", 1), ("after", found["temperature"])):
        probabilities = torch.from_numpy(logits[held] / temperature).softmax(1)
        truth = torch.from_numpy(data.target[held])
        ece = multiclass_calibration_error(probabilities, truth, 7, n_bins=15, norm="l1")
        assert found[f"ece_{when}"] == pytest.approx(float(ece), abs=1e-5)
        nll = float(torch.nn.functional.nll_loss(probabilities.log(), truth))
        assert found[f"nll_{when}"] == pytest.approx(nll, abs=1e-5)
    fitted = torch.from_numpy(logits[~held])
    loss = [
        float(
            torch.nn.functional.cross_entropy(
                fitted / (found["temperature"] * by), torch.from_numpy(data.target[~held])
            )
        )
        for by in (0.9, 1, 1.1)
    ]
    assert loss[1] <= min(loss) + 1e-6


@pytest.fixture
def votes(faces_root, tmp_path, image_weights):
    """The drawn faces as Kaggle's file, and votes for another class than the label's, a tie for the last of the test."""
    splits = (("Training", read_images(faces_root, "train")), ("PublicTest", read_images(faces_root, "public_test")))
    rows, voted = ["emotion,pixels,Usage"], [f"Usage,Image name,{','.join(VOTES)}"]
    columns = [name for name in VOTES.values() if name]
    for usage, data in splits:
        for target, image in zip(data.target, data.image, strict=True):
            rows.append(f"{target},{' '.join(map(str, image.ravel()))},{usage}")
            counts = [0] * len(VOTES)
            counts[columns.index(EMOTIONS[(target + 1) % 7])] = 7
            counts[-2:] = 2, 1
            voted.append(f"{usage},face.png,{','.join(map(str, counts))}")
    voted[-1] = f"PublicTest,face.png,5,5{',0' * (len(VOTES) - 2)}"
    folder = tmp_path / "kaggle"
    folder.mkdir()
    (folder / "fer2013.csv").write_text("\n".join(rows) + "\n")
    (folder / "fer2013new.csv").write_text("\n".join(voted) + "\n")
    return folder


@pytest.mark.parametrize(
    ("labels", "given", "head"),
    [
        ("fer2013", None, "fer2013"),
        ("ferplus", None, "ferplus"),
        ("ferplus", "video", "video"),
        ("fer2013", "ferplus", "ferplus"),
    ],
)
def test_the_head_of_the_labels_convention_is_measured(evaluate, votes, headed_weights, labels, given, head):
    options = ["--root", votes, "--labels", labels, *(["--head", given] if given else [])]
    status, found, lines, _ = evaluate(*options, model=headed_weights)
    data = read_images(votes, "public_test", labels=labels)
    logits = ImageModel(headed_weights, head=head).of_gray(data.image, tta="flip")[1]
    assert (status, found["head"], found["n"]) == (0, head, 13 if labels == "ferplus" else 14)
    confusion = np.zeros((7, 7), int)
    np.add.at(confusion, (data.target, logits.argmax(1)), 1)
    assert found["confusion"] == confusion.tolist()
    assert f"{', FER+ labels' if labels == 'ferplus' else ''}, head {head}, --tta flip: accuracy" in lines[0]


def test_a_network_with_one_head_is_measured_by_it_on_any_labels(evaluate, votes):
    for labels in ("fer2013", "ferplus"):
        status, found, lines, _ = evaluate("--root", votes, "--labels", labels)
        assert (status, found["head"]) == (0, "video")
        assert ", head " not in lines[0]
    status, _, _, err = evaluate("--root", votes, "--head", "ferplus")
    assert (status, "--head ferplus: the heads of" in err) == (2, True)


def test_only_the_head_that_predicts_clips_has_a_calibration_in_the_card(evaluate, votes, headed_weights):
    options = ["--root", votes, "--labels", "ferplus"]
    status, _, _, err = evaluate(*options, "--calibrate", "--write-card", model=headed_weights)
    assert (status, "give --head video" in err) == (2, True)
    status, found, _, _ = evaluate(*options, "--calibrate", model=headed_weights)
    assert (status, found["head"]) == (0, "ferplus")
    assert "calibration" not in find_weights("image", headed_weights).card
    found = evaluate(*options, "--calibrate", "--write-card", "--head", "video", model=headed_weights)[1]
    entry = find_weights("image", headed_weights).card["calibration"]
    assert entry["temperature"] == found["temperature"]
    assert "FER+ labels, head video" in entry["fitted_on"]
    assert entry["n_fitted"] + entry["n_measured"] == 13
    again = evaluate(*options, "--head", "video", model=headed_weights)[1]
    assert (again["temperature"], again["n_fitted_left_out"]) == (entry["temperature"], entry["n_fitted"])
    assert again["ece"] == pytest.approx(entry["ece_after"], abs=1e-6)
    again = evaluate("--root", votes, "--head", "video", model=headed_weights)[
        1
    ]  # by FER2013's labels: the same halves
    assert (again["temperature"], again["n_fitted_left_out"]) == (entry["temperature"], entry["n_fitted"])
    other, lines = evaluate(*options, model=headed_weights)[1:3]
    assert (other["temperature"], other["temperature_fitted_on"]) == (1, None)
    assert any("none for these views or this head" in line for line in lines)


def test_the_card_keeps_the_accuracies_of_all_heads(evaluate, votes, headed_weights):
    for labels, head in (("fer2013", "fer2013"), ("ferplus", "ferplus"), ("ferplus", "video")):
        assert (
            evaluate("--root", votes, "--labels", labels, "--head", head, "--write-card", model=headed_weights)[0] == 0
        )
    assert [each["on"] for each in find_weights("image", headed_weights).card["metrics"]] == [
        "kaggle/public_test, head fer2013, averaged with the mirrored face",
        "kaggle/public_test, FER+ labels, head ferplus, averaged with the mirrored face",
        "kaggle/public_test, FER+ labels, head video, averaged with the mirrored face",
    ]


def test_corruptions_are_tabled_and_drawn(evaluate, tmp_path):
    status, found, _, err = evaluate("--corrupt", "mouth,colour_noise", "--out", tmp_path / "r")
    assert status == 0
    with (tmp_path / "r/robustness.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["corruption", "severity", "unit", "denoised", "n", "accuracy", "low", "high", "uar"]
    assert [(row["corruption"], row["severity"], row["denoised"]) for row in rows[:6]] == [
        ("clean", "", "FALSE"),
        ("mouth", "10", "FALSE"),
        ("mouth", "20", "FALSE"),
        ("mouth", "30", "FALSE"),
        ("colour_noise", "5", "FALSE"),
        ("colour_noise", "5", "TRUE"),
    ]
    assert len(rows) == len(found["rows"]) == 1 + 3 + 2 * 5
    assert found["rows"][0]["accuracy"] == evaluate()[1]["accuracy"]
    assert found["denoiser"] == "small"
    assert (tmp_path / "r/robustness.png").stat().st_size > 10_000
    assert (tmp_path / "r/robustness.svg").is_file()
    assert "13/13" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--write-card", "--corrupt", "blur", "--out", "x"), "not trained on"),
        (("--calibrate", "--write-card", "--tta", "none"), "--tta flip"),
        (("--calibrate", "--write-card", "--limit", "5"), "whole split"),
        (("--corrupt", "blur"), "--out DIR"),
        (("--out", "x"), "--calibrate or --corrupt"),
    ],
)
def test_options_that_make_no_sense_together(evaluate, options, message):
    status, found, _, err = evaluate(*options)
    assert (status, found) == (2, None)
    assert message in err


def test_nothing_is_calibrated_on_training_images(evaluate):
    assert evaluate("--calibrate", split="train")[0] == 2
    assert evaluate("--calibrate", "--train-split", "public_test", split="train")[0] == 2


@pytest.mark.parametrize(
    ("split", "model", "message"),
    [("none", None, "no split 'none'"), ("public_test", "inception_resnet_v2", "train it")],
)
def test_faults_end_with_one_sentence(evaluate, image_weights, split, model, message):
    status, _, _, err = evaluate(split=split, model=model or image_weights)
    assert status == 1
    assert message in err


def test_too_few_images_and_a_place_that_cannot_be_written(evaluate, tmp_path):
    assert "two halves" in evaluate("--calibrate", "--limit", 1)[3]
    (tmp_path / "file").write_text("")
    status, _, _, err = evaluate("--calibrate", "--out", tmp_path / "file")
    assert status == 1
    assert "another folder by --out" in err


def test_a_card_with_nonsense_for_a_temperature(evaluate, image_weights):
    place = image_weights.with_suffix(".json")
    card = json.loads(place.read_text())
    place.write_text(json.dumps({**card, "calibration": {"tta": "flip", "temperature": "hot"}}))
    assert "calibrate it again" in evaluate()[3]


def test_help_names_every_corruption(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "image", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in CORRUPTIONS)


@pytest.mark.slow
def test_the_head_that_predicts_clips_is_calibrated_as_its_page_says(data_dir, capsys):
    """0.033 on the whole public test, to which nothing was fitted; the aim is 0.03."""
    command = [
        "evaluate",
        "image",
        "--root",
        str(data_dir / "fer2013"),
        "--split",
        "public_test",
        "--labels",
        "ferplus",
    ]
    assert main([*command, "--head", "video"]) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["n_calibration"], found["n_fitted_left_out"]) == (3372, 0)
    assert found["ece"] == pytest.approx(0.0327, abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "n", "recurring", "bar"), [("ferplus", 3372, 257, 0.80), ("fer2013", 3547, 267, 0.66)]
)
def test_each_head_holds_its_bar(data_dir, capsys, labels, n, recurring, bar):
    command = ["evaluate", "image", "--root", str(data_dir / "fer2013"), "--split", "public_test", "--labels", labels]
    assert main([*command, "--image-model", "compact"]) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["head"], found["n"], found["recurring"]) == (labels, n, recurring)
    assert found["accuracy"] >= bar
