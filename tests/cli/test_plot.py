"""`vidfer plot` and `vidfer export`: what they write, what they say, and what they refuse."""

import csv

import pytest

from tests.plots.clips_made import write_run
from vidfer import ClipError, ClipResult, Status
from vidfer.cli.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of four clips, to whose clips.csv a user has added columns since."""
    folder = tmp_path_factory.mktemp("plot") / "run"
    people = {"seconds": 2.0, "people": 2}
    write_run(
        folder,
        a={**people, "answer": "sad"},
        b={**people, "answer": "happy"},
        c={"seconds": 1.0, "people": 0},
        d=people,
    )
    with (folder / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, label, film in zip(rows, ("Sad ", "joy", "", "happy"), ("x", "x", "", "y"), strict=True):
        row |= {"label": label, "film": film}
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def said(capsys, *words):
    """Run a command; return its status, what it printed, and what it told."""
    try:
        status = main([str(word) for word in words])
    except SystemExit as end:
        status = end.code
    out, told = capsys.readouterr()
    return status, out, told


def test_each_kind_lands_in_a_file_of_its_own(run, capsys, tmp_path):
    for words in (
        ("timeline", "--clip", "a.mp4"),
        ("distribution", "--by", "film", "--measure", "share-of-time"), ("distribution", "--clip", "a.mp4"),
        ("confusion", "--truth", "label"), ("reliability", "--truth", "label", "--modality", "clip", "--width", "double"),
    ):  # fmt: skip
        status, out, _ = said(capsys, "plot", run, "--kind", *words, "--out", tmp_path)
        assert status == 0
        assert out.endswith(".png and .svg\n")
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.svg")}
    assert names == {
        "timeline/a.mp4.svg", "distribution_film_share-of-time.svg", "distribution/a.mp4.svg",
        "confusion_label_clip.svg", "reliability_label_clip.svg",
    }  # fmt: skip
    confusion = (tmp_path / "confusion_label_clip.svg").read_text()
    assert "left out: 1 without a label, 1 with an unknown" in confusion
    assert "n = 1 clip" in confusion


def test_labels_that_are_none_of_the_seven_are_named(run, capsys, tmp_path):
    _, _, told = said(capsys, "plot", run, "--kind", "confusion", "--truth", "label", "--out", tmp_path)
    assert "label: 'joy' is none of the seven expressions, and left out (1 clip)" in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "missing: --kind timeline|distribution|"),
        (("--kind", "pie"), "'pie'"),
        (("--kind", "confusion"), "--kind confusion needs --truth"),
        (("--kind", "timeline", "--truth", "label"), "--truth is of confusion and reliability, not of timeline"),
        (("--kind", "confusion", "--truth", "nosuch"), "no column nosuch of their own (label, film)"),
        (("--kind", "confusion", "--truth", "predominant"), "no column predominant of their own"),
        (("--kind", "confusion", "--truth", "film"), "'x' is none of the seven expressions: angry"),
        (("--kind", "confusion", "--truth", "label", "--modality", "sound"), "a prediction of the sound"),
        (("--kind", "timeline", "--clip", "z.mp4"), "has no clip z.mp4"),
        (("--kind", "distribution", "--by", "film", "--clip", "a.mp4"), "leave out --clip"),
        (("--kind", "distribution", "--clip", "c.mp4"), "no face of the run was read"),
    ],
)
def test_what_cannot_be_is_one_sentence(run, capsys, words, sentence, tmp_path):
    status, out, told = said(capsys, "plot", run, *words, "--out", tmp_path)
    assert (status, out) == (2, "")
    assert sentence in " ".join(told.split())
    assert not list(tmp_path.iterdir())


def test_every_clip_is_exported_to_its_place(run, capsys, tmp_path):
    for program, suffix in (("elan", "eaf"), ("webvtt", "vtt"), ("py-feat", "csv")):
        status, out, _ = said(capsys, "export", run, "--format", program, "--out", tmp_path)
        assert status == 0
        assert out.splitlines() == [f"{tmp_path / clip}.mp4.{suffix}" for clip in "abcd"]
    assert len(list(tmp_path.iterdir())) == 12 + 1  # vidfer.txt says what is measured


def test_only_elan_names_the_clip_s_place(run, capsys, tmp_path):
    status, _, told = said(capsys, "export", run, "--format", "webvtt", "--absolute", "--out", tmp_path)
    assert status == 2
    assert "--absolute is of elan" in told


def test_names_that_were_applied_are_in_figures_and_exports(tmp_path, capsys):
    write_run(tmp_path, a={"seconds": 2.0, "people": 2})
    rows = (tmp_path / "people.csv").read_text().splitlines()
    at = rows[0].split(",").index("name")
    cells = rows[1].split(",")
    cells[at] = "Ada & Co"
    (tmp_path / "people.csv").write_text("\n".join([rows[0], ",".join(cells), *rows[2:]]) + "\n")
    assert said(capsys, "people", "apply", tmp_path)[0] == 0
    assert said(capsys, "plot", tmp_path, "--kind", "timeline")[0] == 0
    assert ">Ada &amp; Co<" in (tmp_path / "plots" / "timeline" / "a.mp4.svg").read_text()
    assert said(capsys, "export", tmp_path, "--format", "elan")[0] == 0
    assert 'TIER_ID="Ada &amp; Co"' in (tmp_path / "export" / "a.mp4.eaf").read_text()


def test_a_clip_of_which_nothing_was_read_has_no_timeline_and_is_named(tmp_path, capsys):
    write_run(tmp_path, a={"seconds": 2.0, "people": 1})
    gone = ClipResult.failed("b.mp4", ClipError(Status.CORRUPT, "nothing could be decoded"), "b.mp4")
    gone.save(tmp_path / "b.mp4")
    status, _, told = said(capsys, "plot", tmp_path, "--kind", "timeline")
    assert status == 0
    assert "b.mp4: no timeline, since nothing of it could be read" in told
    assert [place.name for place in sorted((tmp_path / "plots" / "timeline").glob("*.png"))] == ["a.mp4.png"]
