"""The example of docs/how-to/study.md, run as it stands; and what is said of a study's files before anything is computed."""

import contextlib

import numpy as np
import pandas as pd
import pytest

from tests.docs.blocks import Page
from vidfer.cli.main import main
from vidfer.datasets.photos import read_sample
from vidfer.media.record import record_frames
from vidfer.results.run import load_run
from vidfer.types import EMOTIONS


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A folder with the page's clips, each 1 s of a face that drifts."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "clips").mkdir()
    photo = read_sample("astronaut")
    rng = np.random.default_rng(0)
    for name in ("anna_film", "anna_rest", "ben_film", "ben_rest", "cleo_film", "cleo_rest"):
        x, y = rng.integers(0, 40, 2)
        views = [photo[y + step : y + step + 160, x + 120 : x + 280] for step in range(5)]
        record_frames(np.stack(views), folder / "clips" / f"{name}.mkv", fps=5)
    return folder


@pytest.fixture(scope="module")
def printed(example):
    """Write the page's files and run its commands; return what each printed, by its words."""
    return Page("docs/how-to/study.md", example).run()


def test_the_example_of_the_page_works(example, printed):
    analysed, compared, shares = printed.values()
    assert "clips/participants.csv is used for 6 clips" in analysed
    assert "passed over" not in analysed
    assert "film minus rest (n = 3)" in compared
    assert "not what is felt" in compared
    assert max(map(len, compared.splitlines()[:-1])) <= 80
    assert "Share of the seconds" in shares
    names = {path.name for path in (example / "run" / "compare").iterdir()}
    stems = ("compare_condition", "compare_condition_share-of-time")
    assert names == {f"{stem}{end}" for stem in stems for end in (".csv", "_differences.csv", ".md", ".png", ".svg")}


def test_every_table_of_the_run_has_the_columns_of_the_study(example, printed):
    run = load_run(example / "run")
    for table in ("frames", "seconds", "segments", "people", "windows", "clips"):
        rows = getattr(run, table)
        assert [str(rows[name].dtype) for name in ("participant", "condition", "stimulus", "age")] == [
            *["string"] * 3,
            "Int64",
        ]
        assert rows["age"].notna().all()
    film = run.frames[run.frames["clip_id"].str.endswith("ben_film.mkv")]
    assert film["participant"].eq("02").all()
    assert film["marker"].tolist() == ["baseline", "baseline", pd.NA, pd.NA, "exclude: cough"]
    assert film["excluded"].tolist() == [False] * 4 + [True]
    people = run.people.set_index(["participant", "condition"])
    assert people.loc[("02", "film"), "n_faces"] == 4
    assert people["n_baseline"].eq(2).all()
    for rows in (run.frames, run.people):
        sums = rows[[f"baseline_{name}" for name in EMOTIONS]].sum(axis=1)
        np.testing.assert_allclose(sums, 1, atol=1e-9)
    assert run.clips["n_faces"].tolist() == [5, 5, 4, 5, 4, 5]


def test_the_means_are_those_of_the_seconds(example, printed):
    run = load_run(example / "run")
    means = pd.read_csv(example / "run" / "compare" / "compare_condition.csv")
    seconds = run.seconds[run.seconds["happy"].notna()]
    by_clip = seconds.groupby(["condition", "clip_id"])["happy"].mean().groupby("condition").mean()
    happy = means[means["expression"] == "happy"].set_index("condition")["mean"]
    np.testing.assert_allclose(happy[by_clip.index], by_clip.astype(float), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--participants", "none.csv"], "none.csv cannot be read: No such file or directory"),
        (["--markers", "markers.csv", "--baseline", "marker:laughter"], "no marker laughter for --baseline, but"),
        (["--baseline", "happy"], "give neutral, first:SECONDS or marker:NAME"),
        (["--baseline", "marker:laugh"], "--markers has to name the file with that marker"),
        (["--participants", "other.csv"], "none of its rows does"),
    ],
)
def test_a_wrong_file_is_named_before_anything_is_computed(
    example, printed, capsys, monkeypatch, tmp_path, words, says
):
    monkeypatch.chdir(example)
    (example / "other.csv").write_text("clip,group\ndora.mkv,1\n")
    with (
        pytest.raises(SystemExit) if "--baseline" in words[:1] else contextlib.nullcontext()
    ):  # options end the process
        assert main(["analyze", "clips", *words, "--out", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("summary.json"))


def test_a_run_without_that_column_says_which_it_has(example, printed, capsys):
    assert main(["compare", str(example / "run"), "--by", "group"]) == 2
    assert "no column group; those of the study are: participant, condition, stimulus, age" in capsys.readouterr().err
