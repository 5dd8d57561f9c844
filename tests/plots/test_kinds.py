"""Figures of a run: what they say, that an XML parser reads it in the SVG, and that nothing is cut off, whatever the run is."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix
from statsmodels.stats.proportion import proportion_confint

from tests.plots.clips_made import clip
from tests.plots.svg import NAME, drawn, spilled, texts
from vidfer.plots.agreement import BINS, confusion, plot_confusion, plot_reliability
from vidfer.plots.distribution import plot_distribution
from vidfer.plots.embedding import plot_embedding
from vidfer.plots.figure import one_line, save_figure
from vidfer.plots.timeline import plot_timeline
from vidfer.results.distribution import Distribution, distribution
from vidfer.results.truth import Judged
from vidfer.types import EMOTIONS, VidferError

STRANGE = [
    "$x$ and $y_2$",
    "a\nb\tc",
    "<&>\"'",
    "żółć Ёж עברית",
    "x" * 300,
    "\\frac{1}{2}",
    "日本語のとても長い名前" * 9,
    "",
]


def judged(n=60, seed=0, uncertain=0, only=None):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 6, n) if only is None else np.full(n, only)
    probabilities = rng.dirichlet(np.full(7, 0.4), n)
    probabilities[np.arange(n), target] += 0.3
    probabilities /= probabilities.sum(1, keepdims=True)
    answers = [EMOTIONS[at] for at in probabilities.argmax(1)]
    answers[:uncertain] = ["uncertain"] * uncertain
    return Judged(target, tuple(answers), probabilities, 2, {"joy": 3}, 4)


def groups(n, seed=0, labels=STRANGE):
    rows = pd.DataFrame(np.random.default_rng(seed).dirichlet(np.full(7, 0.4), n), columns=list(EMOTIONS))
    return rows.assign(label=[f"{labels[at % len(labels)]}{at}" for at in range(n)], n=range(1, n + 1))


def test_the_confusion_is_that_of_scikit_learn():
    given = judged(uncertain=5)
    truth = [EMOTIONS[at] for at in given.target]
    expected = confusion_matrix(truth, given.answers, labels=[*EMOTIONS, "uncertain"])[:7]
    assert confusion(given).tolist() == expected.tolist()
    for width in ("single", "double"):
        said = texts(drawn(plot_confusion(given, "title", width=width)))
        shown = [int(text.split("\n")[0]) for text in said if text.isdecimal()]
        assert sum(shown) == 60 if width == "single" else sum(shown) >= 60
        low, high = proportion_confint(sum(np.array(truth) == given.answers), 60, method="wilson")
        right = accuracy_score(truth, given.answers)
        whole = " ".join(said)
        assert f"accuracy {right:.2f} (95 % interval {low:.2f}-{high:.2f}), n = 60 clips" in whole
        assert "left out: 2 without a label, 3 with an unknown label, 4 without a prediction" in whole
        assert {f"happy ({truth.count('happy')})", "neutral (0)", "no clip", "uncertain"} <= set(said)


def test_the_calibration_error_is_the_one_counted_by_hand():
    given = judged(uncertain=5)
    top, right = given.probabilities.max(1), given.probabilities.argmax(1) == given.target
    error = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (top > low) & (top <= low + 1 / BINS)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    said = " ".join(texts(drawn(plot_reliability(given, "title"))))
    assert f"ECE {100 * error:.1f} % (10 bins)" in said
    assert f"accuracy {right.mean():.2f}" in said  # uncertain counts as the most probable expression


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("width", ["single", pytest.param("double", marks=pytest.mark.slow)])
def test_nothing_is_cut_off_or_read_as_mathematics(width):
    dollars, new_line, markup, scripts, long, slashes, wide, _ = STRANGE
    people = dict(enumerate((dollars, new_line, long, wide, slashes, markup), 1))
    bars = Distribution("x", "participant", groups(8))
    images = np.eye(8, dtype=np.float32), [*EMOTIONS, "uncertain"], 8, "pca"
    figures = [
        plot_timeline(clip(2, people=6, names=people, sound=True), long, width=width, cuts=(1.0,)),
        plot_distribution(bars, title=wide, width=width),
        plot_confusion(judged(20, uncertain=1), dollars, width=width),
        plot_reliability(judged(20), scripts, width=width),
        plot_embedding(*images, long, width=width),
    ]
    said = []
    for figure in figures:
        assert figure.get_size_inches()[0] == {"single": 3.5, "double": 7.2}[width]
        assert not spilled(figure)
        root = drawn(figure)
        said += texts(root)
        assert not list(root.iter(f"{NAME}image"))
    assert {dollars, "a b c", markup, "\\frac{1}{2}"} <= set(said)
    assert any(text.startswith(scripts) for text in said)


def test_a_timeline_names_people_sound_and_what_is_most_probable():
    tables = clip(4, people=8, names={2: "Ada <b>"}, sound=True)
    said = texts(drawn(plot_timeline(tables, "a.mp4", cuts=(1.0,))))
    assert {"person 1", "Ada <b>", "person 6", "sound", "scene cut", "time in s", *EMOTIONS} <= set(said)
    assert "person 7" not in said
    assert "a.mp4 (6 of 8 people, seen most)" in said


def test_a_person_joined_from_two_tracks_is_one_band():
    tables = clip(2, people=2)
    for name in ("frames", "people", "seconds"):
        tables[name]["person_id"] = tables[name]["person_id"].replace("a.mp4#2", "a.mp4#1")
    assert [axes.get_title("left") for axes in plot_timeline(tables).axes] == ["person 1"]


def test_two_hours_fit_a_page_and_their_means_are_kept(tmp_path):
    tables = clip(7200, people=1, fps=1)
    figure = plot_timeline(tables, "long.mp4")
    (png, svg) = save_figure(figure, tmp_path / "long")
    assert svg.stat().st_size < 1_500_000
    assert png.stat().st_size < 1_500_000
    assert "time in min; each column is the mean of 7.2 s" in texts(drawn(figure))
    shares = tables["frames"][[f"smooth_{name}" for name in EMOTIONS]].mean()
    areas = {}
    for name, band in zip(
        ("neutral", "happy", "surprise", "angry", "disgust", "fear", "sad"), figure.axes[0].collections, strict=True
    ):
        areas[name] = sum(_area(path.vertices) for path in band.get_paths()) / 7200
    assert areas == pytest.approx({name: shares[f"smooth_{name}"] for name in areas}, abs=0.01)


def _area(corners):
    x, y = corners.T
    return abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2


def test_time_of_which_most_is_unknown_is_hatched():
    known = plot_timeline(clip(7200, people=1, fps=1, shown=0.25)).axes[0].collections
    assert sum(len(path.vertices) > 3 for band in known for path in band.get_paths()) == 0


@pytest.mark.parametrize("tables", [clip(2, people=0), clip(0, people=0)], ids=["no face", "no frame"])
def test_a_clip_without_a_face_has_a_timeline_and_no_distribution(tables):
    assert "nobody" in texts(drawn(plot_timeline(tables, "a.mp4")))
    with pytest.raises(VidferError, match="no face of the run was read"):
        distribution(tables, "clip")


def run_of(*clips):
    return {
        name: pd.concat([each[name] for each in clips], ignore_index=True) for name in ("seconds", "clips", "people")
    }


def test_distributions_weigh_seconds_persons_and_clips_as_they_say():
    tables = run_of(clip(2, 2, "a", seed=1), clip(6, 1, "b", seed=2), clip(2, 0, "c"))
    tables["clips"]["film"] = ["x", "x", "y"]
    seconds = tables["seconds"].dropna(subset=["happy"])
    of = {who: rows["happy"].mean() for who, rows in seconds.groupby("person_id")}
    found = distribution(tables, "clip")
    assert found.groups["label"].tolist() == ["a", "b"]
    assert found.groups["happy"].tolist() == pytest.approx([(of["a#1"] + of["a#2"]) / 2, of["b#1"]])
    assert found.notes == ("1 clip left out: nothing was measured",)
    assert found.groups["n"].tolist() == [2, 1]
    by_person = distribution(tables, "person").groups.set_index("label")
    assert by_person["happy"].to_dict() == pytest.approx(of)
    (row,) = distribution(tables, "film").groups.to_dict("records")
    assert (row["label"], row["n"]) == ("x", 3)
    assert row["happy"] == pytest.approx(np.mean(list(of.values())))


def test_people_of_one_name_keep_apart():
    tables = run_of(clip(2, 3, "a", names={1: "Jo", 2: "Jo", 3: "Al"}))
    assert distribution(tables, "person").groups["label"].tolist() == ["Jo (a#1)", "Jo (a#2)", "Al"]


@pytest.mark.parametrize(("n", "bars"), [(1, 1), (75, 61)])
def test_bars_of_any_number_fit_a_page(n, bars):
    figure = plot_distribution(Distribution("x", "participant", groups(n, labels=["bar "])), title="by x")
    assert figure.get_size_inches()[1] < 9.7
    assert len(figure.axes[0].get_yticklabels()) == bars
    assert ("by x (60 of 75)" in texts(drawn(figure))) == (n == 75)


def test_one_class_and_one_clip_are_drawn():
    assert "n = 1 clip" in " ".join(texts(drawn(plot_confusion(judged(1)))))
    assert "n = 5 clips" in " ".join(texts(drawn(plot_reliability(judged(5, only=3)))))


@pytest.mark.parametrize("projection", ["pca", pytest.param("tsne", marks=pytest.mark.slow)])
def test_an_embedding_keeps_groups_apart_and_is_the_same_again(projection, tmp_path):
    rng = np.random.default_rng(0)
    vectors = np.repeat(10 * np.eye(2, 128), 20, 0).astype(np.float32) + rng.normal(0, 0.1, (40, 128)).astype(
        np.float32
    )
    names = ["happy"] * 20 + ["uncertain"] * 20
    for place in ("a", "b"):
        save_figure(plot_embedding(vectors, names, 400, projection, "run"), tmp_path / place)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    figure = plot_embedding(vectors, names, 400, projection, "run")
    first, second = (np.asarray(marks.get_offsets()) for marks in figure.axes[0].collections)
    within = max(np.linalg.norm(each - each.mean(0), axis=1).max() for each in (first, second))
    assert np.linalg.norm(first.mean(0) - second.mean(0)) > 2 * within
    assert {"happy (20)", "uncertain (20)", "Embeddings of 40 of 400 face images"} <= set(texts(drawn(figure)))


def test_too_few_images_have_no_projection():
    with pytest.raises(VidferError, match="1 face image: it takes at least 3"):
        plot_embedding(np.zeros((1, 8), np.float32), ["sad"], 1)
    plot_embedding(np.zeros((3, 8), np.float32), ["sad"] * 3, 3)


def test_png_and_svg_are_for_print(tmp_path):
    png, svg = save_figure(plot_confusion(judged(), "title"), tmp_path / "c")
    assert cv2.imread(str(png)).shape[1] == 1050
    assert (cv2.imread(str(png))[[0, -1]] == 255).all()
    text = svg.read_text()
    assert "<text" in text
    assert "font" in text
    assert not any(word in text for word in ("/usr/", str(Path.cwd()), ".ttf", "<dc:date"))


def test_signs_without_a_font_are_named_once(tmp_path, caplog):
    save_figure(plot_confusion(judged(), "𓀀𓀁"), tmp_path / "c")
    (record,) = caplog.records
    assert record.message.startswith(f"{tmp_path / 'c.png'}: no installed font has some signs of the names")
    assert "𓀀𓀁" in (tmp_path / "c.svg").read_text()


@pytest.mark.parametrize(("text", "columns", "line"), [
    ("abc", 3, "abc"), ("abcdef", 5, "ab…ef"), ("日本語", 4, "日…"), ("a\n b", 9, "a b"), ("abcd", 1, "…"),
])  # fmt: skip
def test_long_names_are_shortened_in_their_middle(text, columns, line):
    assert one_line(text, columns) == line
