"""`vidfer optimizers`: what it writes, the same in every run, and what it refuses."""

import csv

import pytest

from vidfer.cli.main import main

SMALL = ["--surfaces", "saddle", "--steps", "30", "--starts", "4", "--data", "none"]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("optimizers")
    assert main(["optimizers", "--out", str(folder), *SMALL]) == 0
    return folder


def test_surfaces_are_compared_drawn_and_tabled(written):
    table = rows(written / "surfaces.csv")
    assert len(table) == 5 * 2
    assert {row["optimizer"] for row in table} == {"sgd", "sgdma", "adagrad", "rmsprop", "adam"}
    assert all(0 <= float(row["low"]) <= int(row["global_minimum"]) / 4 <= float(row["high"]) <= 1 for row in table)
    for plot in ("paths_tuned", "paths_common", "descent"):
        assert (written / f"{plot}.png").stat().st_size > 10_000
        assert "<svg" in (written / f"{plot}.svg").read_text()[:1000]
    assert "within 0.001 of its least value in 30 steps" in (written / "surfaces.md").read_text()
    assert not list(written.glob("training*"))


def test_another_run_prints_and_writes_the_same(written, tmp_path, capsys):
    assert main(["optimizers", "--out", str(tmp_path), *SMALL]) == 0
    assert (written / "surfaces.md").read_text() in capsys.readouterr().out
    for first in sorted(written.iterdir()):
        assert first.read_bytes() == (tmp_path / first.name).read_bytes(), first.name


@pytest.mark.slow
def test_a_classifier_is_trained_on_the_sample(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["--surfaces", "none", "--data", "sample", "--seeds", "2", "--epochs", "2", "--store", str(tmp_path / "s")]
    assert main(["optimizers", "--out", str(tmp_path / "out"), *given]) == 0
    table = rows(tmp_path / "out" / "training.csv")
    assert len(table) == 5
    assert all(row["clips"] == "32" for row in table)
    assert len(rows(tmp_path / "out" / "training_curves.csv")) == 5 * 2 * 2
    assert (tmp_path / "out" / "training.png").exists()
    assert "sample (synthesised voices: no people)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--surfaces", "everest"], "no surface 'everest': there are rosenbrock"),
        (["--steps", "0"], "0 is not a whole number from 1 on"),
        (["--rate", "-1"], "above zero"),
        (["--surfaces", "none,beale"], "stands alone"),
    ],
)
def test_senseless_options(tmp_path, capsys, given, said):
    with pytest.raises(SystemExit) as stopped:
        main(["optimizers", "--out", str(tmp_path), *given])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_nothing_to_compare_and_nowhere_to_write(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["optimizers", "--out", str(tmp_path), "--surfaces", "none", "--data", "none"])
    assert stopped.value.code == 2
    assert "nothing is left" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["optimizers", "--out", str(tmp_path / "file" / "x"), *SMALL]) == 1
    assert "give another folder by --out" in capsys.readouterr().err


def test_a_folder_without_recordings(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    given = ["--surfaces", "none", "--data", str(tmp_path / "empty"), "--store", str(tmp_path / "s")]
    assert main(["optimizers", "--out", str(tmp_path / "out"), *given]) == 1
    assert "empty" in capsys.readouterr().err
