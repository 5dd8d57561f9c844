import json
import re

import numpy as np
import pytest

from tests.evaluation.test_figures import make_rows
from vidfer.evaluation.figures import calibration_record, summarise
from vidfer.evaluation.page import render_page
from vidfer.metrics.classification import reliability
from vidfer.weights.files import find_weights


@pytest.fixture
def cards():
    return {kind: find_weights(kind, name).card for kind, name in (("image", "compact"), ("audio", "voice"))}


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    probabilities, target = rng.dirichlet(np.ones(7), 40), rng.integers(0, 7, 40)
    gain = {"psnr_noisy": 20.0, "psnr": 30.5, "psnr_gain": 10.5, "psnr_gain_ci95": [9.75, 11.25]}
    gain |= {"ssim_noisy": 0.4, "ssim": 0.85, "ssim_gain": 0.45, "ssim_gain_ci95": None}
    gain |= {"n": 3, "n_crops": 27}
    rows = make_rows(24, ["a|b", "c", "d"], parts=("fused", "faces", "vote"))
    return {
        "bundle": "mine",
        "description": "Made by a <test>.",
        "denoise": {"on": "photos", "split": "val", **gain, "sigmas": {"25": gain}},
        "image": {
            **{"on": "faces, test images", "persons": {}, "n": 40, "accuracy": 0.525, "accuracy_ci95": [0.375, 0.671]},
            **{"persons_ci95": None, "uar": 0.511, "f1_macro": 0.498, "confusion": np.eye(7, dtype=int).tolist()},
            "calibration": calibration_record(reliability(probabilities, target, 10)),
        },
        "missing": {"fusion": "nobody of x is held out as test people"},
        "clips": [{"on": "mine, test clips", "left_out": {"timeout: slow": ["z.mp4"]}, "notes": ["a note"], **summarise(rows)}],
    }  # fmt: skip


def test_the_same_figures_give_the_same_bytes_also_from_a_file(found, cards):
    first, again = render_page(found, cards), render_page(json.loads(json.dumps(found)), cards)
    assert first == again
    assert set(first) == {"evaluation.md", "evaluation.html"}


def test_every_figure_has_its_number_and_interval(found, cards):
    text = render_page(found, cards)["evaluation.md"].decode()
    figures = found["clips"][0]["parts"]["fused"]
    low, high = figures["accuracy_ci95"]
    between = "{:.3f} to {:.3f}".format(*figures["persons_ci95"])
    row = f"| answer of vidfer analyze | 24 | **{figures['accuracy']:.3f}** | {low:.3f} to {high:.3f} | {between} |"
    assert row in text
    assert "accuracy **0.525** (0.375 to 0.671, Wilson's over images, n = 40)" in text
    assert (
        "| 25 | 20.00 | 30.50 | 10.50 (9.75 to 11.25) | 0.400 | 0.850 | 0.450 (one photograph: no interval) |" in text
    )
    assert "no test clips, since nobody of x is held out as test people" in text
    assert "left out 1: timeout: slow" in text
    assert "| a\\|b | " in text
    for name, (right, n) in figures["persons"].items():
        assert f"| {name.replace('|', chr(92) + '|')} | {right} | {n} | {right / n:.2f} |" in text


def test_unknown_persons_and_few_clips_are_in_the_first_lines(found, cards):
    lines = render_page(found, cards)["evaluation.md"].decode().split("\n\n")
    assert lines[2].startswith(
        "> **Persons are not known** in what was trained: the image model (FER2013 with FER+ votes,"
    )
    assert lines[3].startswith("> **Only 24 test clips** of mine")
    found["clips"][0] |= summarise(make_rows(40, ["a", None]))
    lines = render_page(found, cards)["evaluation.md"].decode().split("\n\n")
    assert lines[3].startswith("> **Persons are not known** in 20 of 40 test clips of mine")
    cards["image"] = {**cards["image"], "data": {**cards["image"]["data"], "people": {"train": ["a"], "test": ["b"]}}}
    found["clips"] = []
    assert not render_page(found, cards)["evaluation.md"].decode().split("\n\n")[2].startswith(">")


def test_cards_say_what_was_trained_and_how_it_is_calibrated(found, cards):
    cards["audio"] = {**cards["audio"], "calibration": {"temperature": 1.25, "fitted_on": "them", "n_fitted": 12}}
    cards["image"] = {
        **{k: v for k, v in cards["image"].items() if k != "calibration"},
        "not_calibrated": "nobody is held out",
    }
    text = render_page(found, cards)["evaluation.md"].decode()
    assert "| classifier of sound | mlp | ravdess,nemo,ased | 1673 clips | train 89; test 4 |" in text
    assert "**Classifier of sound**: temperature 1.250, fitted on them, n = 12 (few: a rough guess)." in text
    assert "**Image model**: not calibrated: nobody is held out." in text
    assert "**Prohibited**: Decisions about people" in text


def test_the_page_needs_no_other_file_and_runs_nothing(found, cards):
    page = render_page(found, cards)["evaluation.html"].decode()
    assert page.count("<svg") == 3
    assert not re.search(r"<script|<img|<link|\bsrc=|href=\"(?!#)|url\((?!#)", page.replace('xlink:href="#', ""))
    assert "Made by a &lt;test&gt;." in page
    assert "<dc:date>" not in page
    ids = re.findall(r'clip-path="url\(#(\w+)\)"', page)
    assert all(page.count(f'id="{each}"') >= 1 for each in ids)
