import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from vidfer.evaluation.plots import draw_coverage, draw_reliability, draw_robustness
from vidfer.metrics.calibration import coverage_curve
from vidfer.metrics.classification import reliability, wilson_interval


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(7, 0.4), 200)
    return probabilities, np.where(rng.random(200) < 0.6, probabilities.argmax(1), 0)


def words(place):
    """The texts of a drawing, in its order."""
    root = ET.fromstring(place.with_suffix(".svg").read_text())
    assert cv2.imread(str(place.with_suffix(".png"))).std() > 5
    return ["".join(each.itertext()).strip() for each in root.iter("{http://www.w3.org/2000/svg}text")]


def row(corruption, severity, right, *, denoised=False):
    low, high = wilson_interval(right, 50)
    share = right / 50
    case = {"corruption": corruption, "severity": severity, "denoised": denoised}
    return {**case, "n": 50, "accuracy": share, "low": low, "high": high}


def test_the_fullest_bin_of_any_diagram_fits_under_its_number(predictions, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("vidfer.evaluation.plots.save_figure", lambda figure, _: drawn.append(figure))
    sure = reliability(np.eye(7)[predictions[1]], predictions[1])
    draw_reliability({"before": reliability(*predictions), "after": sure}, tmp_path / "r")
    assert all(axes.get_ylim()[1] > 1.1 * 200 for axes in drawn[0].axes[2:])


def test_the_counts_of_the_bins_can_be_read(predictions, tmp_path):
    found = reliability(*predictions)
    draw_reliability({"before": found, "after": found}, tmp_path / "r")
    drawn = words(tmp_path / "r")
    assert all(str(count) in drawn for count in found.count if count)
    assert f"before: ECE {100 * found.ece:.1f} %, n = 200" in drawn


def test_coverage_names_its_thresholds_and_is_the_same_again(predictions, tmp_path):
    curve = coverage_curve(*predictions)
    for name in ("a", "b"):
        draw_coverage(curve, tmp_path / name, "title")
    assert "0.9" in words(tmp_path / "a")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_robustness_has_a_panel_for_each_corruption(tmp_path):
    rows = [row("clean", None, 40), row("noise", 5, 30), row("noise", 5, 35, denoised=True), row("jpeg", 80, 0)]
    draw_robustness(rows, tmp_path / "x", "title")
    drawn = words(tmp_path / "x")
    for text in ("gray noise", "JPEG", "sigma on 0-255", "quality", "the same, denoised", "clean"):
        assert text in drawn
    draw_robustness([rows[0], rows[3]], tmp_path / "y", "title")
    assert "denoised" not in words(tmp_path / "y")
