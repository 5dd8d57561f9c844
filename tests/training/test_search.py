"""Searches on this machine: what is run, once; what is run again; and what is found."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import yaml

from tests.training.sweep_trials import fake_trials, ran
from vidfer.cli.main import main
from vidfer.training.search import Search
from vidfer.training.sweep import read_sweep
from vidfer.training.sweep_results import write_results
from vidfer.types import UsageError, VidferError

Make = Callable[..., Search]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a sweep file over lr and momentum, of which 0.5 fails and 0.6 has no score."""
    return sweep_file(tmp_path, [0.9, 0.8])


def sweep_file(folder: Path, momenta: list[float], **changed: Any) -> Path:
    content = yaml.safe_load(Path("configs/sweeps/classify.yaml").read_text())
    content["parameters"] = {
        "classify.model.lr": {"distribution": "log_uniform_values", "min": 0.01, "max": 0.1},
        "classify.model.momentum": {"values": momenta},
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content | {"method": "random"} | changed, sort_keys=False))
    return path


@pytest.fixture
def make(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make searches in one folder."""
    fake_trials(monkeypatch, tmp_path)

    def make(*arguments: Any, method: Any = None, **options: Any) -> Search:
        return Search(read_sweep(file, method), tmp_path / "out", *arguments, **options)

    return make


def test_trials_are_run_once_and_ranked_by_their_last_figure(make: Make, tmp_path: Path) -> None:
    """Going on adds what is missing: the values are those of a sweep that was not interrupted."""
    make(2).run()
    first = ran(tmp_path)
    assert len(first) == 2
    search = make(4)
    search.run()
    search.run()
    assert ran(tmp_path)[:2] == first
    assert len(ran(tmp_path)) == 4
    trials = search.trials()
    scores = [each.score for each in trials]
    assert scores == sorted(scores, reverse=True)
    for each in trials:
        assert each.score == pytest.approx(1 - (float(each.values["classify.model.lr"]) - 0.05) ** 2)
        assert ran(tmp_path)[each.number] == each.values
    whole = Search(search.sweep, tmp_path / "whole", 4)
    whole.run()
    assert ran(tmp_path)[4:] == ran(tmp_path)[:4]


@pytest.mark.slow
def test_less_is_better_where_the_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_trials(monkeypatch, tmp_path)
    file = sweep_file(tmp_path, [0.9], metric={"name": "val_uar"})  # minimize, as at Weights & Biases
    search = Search(read_sweep(file), tmp_path / "out", 3)
    search.run()
    scores = [each.score for each in search.trials()]
    assert scores == sorted(scores)  # type: ignore[type-var]


@pytest.mark.slow
def test_a_grid_is_tried_whole_and_each_point_once(make: Make, tmp_path: Path) -> None:
    search = make(method="grid", jobs=3)
    assert search.count == 10
    search.run()
    assert len({str(each) for each in ran(tmp_path)}) == len(ran(tmp_path)) == 10
    assert len({each["classify.model.lr"] for each in ran(tmp_path)}) == 5


@pytest.mark.slow
def test_bayes_goes_where_it_was_good(make: Make, tmp_path: Path) -> None:
    """After ten random trials, most lie nearer to the optimum than most of the first."""
    search = make(30, jobs=4, method="bayes")
    search.run()
    by_number = sorted(search.trials(), key=lambda each: each.number)
    off = [abs(float(each.values["classify.model.lr"]) - 0.05) for each in by_number]
    assert sorted(off[20:])[5] < sorted(off[:10])[5] / 2
    shares = search.importances()  # the formula knows no momentum
    assert shares["classify.model.lr"] > 0.9
    assert write_results(search) == []
    assert matplotlib.image.imread(tmp_path / "out" / "importance.png").std() > 0.05


def test_failures_are_named_and_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that is no number is one. A grid goes on with its other points."""
    fake_trials(monkeypatch, tmp_path)
    said: list[str] = []
    sweep = read_sweep(sweep_file(tmp_path, [0.5, 0.6, 0.9]), "grid", overrides=["classify.model.lr=0.05"])
    search = Search(sweep, tmp_path / "out", tell=said.append)
    search.run()
    found = {each.values["classify.model.momentum"]: (each.score, each.reason) for each in search.trials()}
    assert found == {
        0.5: (None, "classify: the training failed: too little momentum"),
        0.6: (None, "val_uar is nan"),
        0.9: (1.0, ""),
    }
    assert sum("failed (lr 0.05, momentum 0.5): classify: the training failed" in line for line in said) == 1
    assert len(ran(tmp_path)) == 3
    write_results(search)
    rows = list(csv.DictReader((tmp_path / "out" / "trials.csv").open()))
    assert [(row["rank"], row["state"]) for row in rows] == [("1", "finished"), ("", "failed"), ("", "failed")]


def test_a_search_ends_where_all_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_trials(monkeypatch, tmp_path)
    search = Search(read_sweep(sweep_file(tmp_path, [0.5])), tmp_path / "out")
    with pytest.raises(VidferError, match=r"3 trials failed in a row, .*too little momentum \(see .*0002/log.txt\)"):
        search.run()
    assert len(ran(tmp_path)) == 3
    with pytest.raises(VidferError, match="there is no best one"):
        write_results(search)


def test_a_metric_that_no_trial_has_ends_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_trials(monkeypatch, tmp_path)
    file = sweep_file(tmp_path, [0.9], metric={"name": "val_psnr"})
    with pytest.raises(UsageError, match=r"mine\.yaml: the metric 'val_psnr' is not among a trial's figures: val_uar"):
        Search(read_sweep(file), tmp_path / "out").run()
    assert len(ran(tmp_path)) == 1


def test_another_sweep_in_the_folder_is_left_alone(make: Make, tmp_path: Path) -> None:
    make(1).run()
    with pytest.raises(UsageError, match="out holds a sweep of another method and parameters than"):
        make(method="grid")
    other = read_sweep(tmp_path / "mine.yaml", overrides=["classify.trainer.max_epochs=3"])
    with pytest.raises(UsageError, match="holds a sweep of another command"):
        Search(other, tmp_path / "out")
    (kept,) = (tmp_path / "out").glob("*.yaml")
    for damaged in (b"\xff", b"[", b"x", b"!!python/object/apply:os.getcwd []", b"method: [1"):
        kept.write_bytes(damaged)
        with pytest.raises(UsageError, match=str(kept)):
            make()


def test_what_the_pipeline_does_not_take_is_found_before_the_first_trial(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="clasify"):
        Search(read_sweep(file, overrides=["clasify.trainer.max_epochs=3"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def drive(file: Path, count: int, jobs: int, seconds: float) -> "subprocess.Popen[bytes]":
    """Start a search in a process of its own, at the head of a group of processes."""
    words = [sys.executable, "-m", "tests.training.sweep_trials", file, file.parent / "out", count, jobs, seconds]
    return subprocess.Popen([*map(str, words)], start_new_session=True)


def wait_for_trials(folder: Path, count: int) -> None:
    last = time.monotonic() + 60
    while not (folder / "ran.txt").is_file() or len(ran(folder)) < count:
        assert time.monotonic() < last
        time.sleep(0.05)


def test_a_killed_trial_is_run_again_and_a_finished_one_never(file: Path, make: Make, tmp_path: Path) -> None:
    """After kill -9 of the search with all that it started, in the middle of its trials."""
    make(1).run()
    process = drive(file, count=4, jobs=2, seconds=600)
    wait_for_trials(tmp_path, 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    cut = ran(tmp_path)[1:]
    search = make(4)
    assert [each.score is None for each in search.trials()] == [False, True, True]
    search.run()
    begun = ran(tmp_path)
    assert sorted(map(str, begun[3:5])) == sorted(map(str, cut))
    assert len(begun) == 6
    trials = sorted(search.trials(), key=lambda each: each.number)
    assert [each.number for each in trials if each.score is not None] == [0, 1, 2, 3]
    assert len({str(each.values) for each in trials}) == 4


@pytest.mark.slow
def test_two_at_once_share_the_trials(file: Path, make: Make, tmp_path: Path) -> None:
    """Each is run once, and both end with all of them."""
    both = [drive(file, count=8, jobs=1, seconds=0.5) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(ran(tmp_path)) == 8
    trials = make(8).trials()
    assert len({str(each.values) for each in trials}) == len(trials) == 8


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_search_that_is_ended_ends_its_trials(file: Path, tmp_path: Path, number: int) -> None:
    """As by Ctrl-C; the same command goes on with them."""
    process = drive(file, count=2, jobs=2, seconds=600)
    wait_for_trials(tmp_path, 2)
    os.kill(process.pid, number)
    process.wait(timeout=60)
    try:
        with pytest.raises(ProcessLookupError):  # none of the group is left
            os.killpg(process.pid, 0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_the_command_prints_the_trials_by_rank(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_trials(monkeypatch, tmp_path)
    out = tmp_path / "out"
    assert main(["sweep", str(file), "--local", "--trials", "3", "--jobs", "3", "--out", str(out)]) == 0
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[0] == ["rank", "trial", "val_uar", "lr", "momentum", "time"]
    assert [row[0] for row in rows[2:]] == ["1", "2", "3"]
    assert [float(row[2]) for row in rows[2:]] == sorted((float(row[2]) for row in rows[2:]), reverse=True)
    assert max(map(len, shown.out.splitlines())) <= 80
    plain = " ".join(shown.err.split())
    for said in (
        "never on test data",
        "importance.png is left out: it needs 10 finished trials, and there are 3",
        "best.yaml, which says how",
    ):
        assert said in plain
    best = (out / "best.yaml").read_text()
    assert "# The best of 3 trials of mine.yaml: val_uar" in best
    assert list(yaml.safe_load(best)["model"]["init_args"]) == ["lr", "momentum"]
    assert matplotlib.image.imread(out / "history.png").std() > 0.05
    assert not (out / "importance.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "give --local"), (["--local", "--print"], "give --local"), (["--local", "--jobs", "0"], "--jobs has to be")],
)
def test_what_the_command_is_not_to_do(
    file: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(file), *words])
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_file_is_printed_for_wandb(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(file), "classify.trainer.max_epochs=3", "--print", "--method", "grid"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed == read_sweep(file, "grid", overrides=["classify.trainer.max_epochs=3"]).content
    assert printed["method"] == "grid"
