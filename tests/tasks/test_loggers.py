import csv

import cv2
from lightning.pytorch.loggers import CSVLogger

from vidfer.tasks.loggers import CurveLogger, draw_curves


def steps(path):
    with path.open() as file:
        return [(int(row["step"]), row) for row in csv.DictReader(file)]


def test_a_second_logger_goes_on_with_the_firsts_rows_and_new_columns(tmp_path):
    first = CurveLogger(str(tmp_path), "stage", "run")
    for step in range(4):
        first.log_metrics({"train_loss": 1.0 / (step + 1)}, step)
    second = CurveLogger(str(tmp_path), "stage", "run")
    second.drop_from(2)
    second.log_metrics({"train_loss": 9.0, "val_psnr": 30.0}, 2)
    found = steps(tmp_path / "stage/run/metrics.csv")
    assert [step for step, _ in found] == [0, 1, 2]
    assert [row["train_loss"] for _, row in found] == ["1.0", "0.5", "9.0"]
    assert [row["val_psnr"] for _, row in found] == ["", "", "30.0"]


def test_rows_are_on_disk_at_once(tmp_path):
    CurveLogger(str(tmp_path), "stage", "run").log_metrics({"train_loss": 1.0}, 0)
    assert len(steps(tmp_path / "stage/run/metrics.csv")) == 1


def test_curves_are_drawn_a_panel_a_measure(tmp_path):
    logger = CurveLogger(str(tmp_path), "stage", "run")
    for step in range(3):
        logger.log_metrics({"train_loss": 1.0 + step, "epoch": 0}, step)
    one = tmp_path / "one.png"
    draw_curves(tmp_path / "stage/run/metrics.csv", one)
    logger.log_metrics({"val_loss": 2.0, "val_psnr": 30.0, "test_psnr": 1.0, "epoch": 1}, 3)
    logger.finalize("success")
    both = cv2.imread(str(tmp_path / "stage/run/curves.png"))
    assert both.shape[1] == 2 * cv2.imread(str(one)).shape[1]


def test_nothing_logged_nothing_drawn(tmp_path):
    draw_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_a_row_that_was_cut_off_is_left_out(tmp_path):
    logger = CurveLogger(str(tmp_path), "stage", "run")
    logger.log_metrics({"a": 1.0, "b": 2.0}, 0)
    with (tmp_path / "stage/run/metrics.csv").open("a") as file:
        file.write("1.0")
    CurveLogger(str(tmp_path), "stage", "run").drop_from(9)
    assert [step for step, _ in steps(tmp_path / "stage/run/metrics.csv")] == [0]


def test_runs_without_a_name_that_start_at_once_have_folders_of_their_own(tmp_path, monkeypatch):
    """The second one has looked before the first one has made anything."""
    first, second = (CurveLogger(str(tmp_path), "stage") for _ in range(2))
    monkeypatch.setattr(CSVLogger, "_get_next_version", lambda self: 0)
    assert [first.version, second.version, first.version] == [0, 1, 0]
    closed = CurveLogger(str(tmp_path), "stage")
    closed.closed = True
    assert closed.version == 0
    assert len(list((tmp_path / "stage").iterdir())) == 2
