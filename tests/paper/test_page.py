import csv
import io
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import cv2
import pytest

from tests.paper import fake
from vidfer.paper.cells import Cell, Result, list_cells
from vidfer.paper.page import escape_latex, format_value, versions, write_rerun
from vidfer.paper.tables import LABEL, MODELS, TABLES, Rerun, equal_tables, reported_tables

SIZES = {"classify": (50, 300), "classify faces": (50, 300), "denoise": (100, 600)}
ALL = (*TABLES, *equal_tables("faces"))
ONE = {table.number: [table] for table in ALL}
PRINTED = {value for row in reported_tables().values() for value in row.values()}


@pytest.fixture(scope="module")
def rerun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fake")
    made = fake.experiments(folder)
    results = []
    models = {task: list(experiment.about) for task, experiment in made.items()}
    for cell in list_cells(SIZES, models, 3):
        if cell == Cell("classify", "lstm", 50, 1):
            results.append(Result(cell, reason="its worker died", status="crashed"))
        elif cell.model == "dbn" and cell.size == 300:
            results.append(Result(cell, reason="there are only 250 samples & no more", status="unavailable"))
        else:
            metrics = made[cell.task].compute(cell.model, cell.size, cell.seed)
            results.append(Result(cell, metrics | {"processor": "Test_CPU"}, key="0" * 64))
    return Rerun(
        ALL,
        tuple(MODELS),
        SIZES,
        3,
        results,
        {task: experiment.source for task, experiment in made.items()},
        {task: experiment.about for task, experiment in made.items()},
        "vidfer tables --data made-up --out DIR",
        {task: experiment.left_out for task, experiment in made.items()},
    )


@pytest.fixture(scope="module")
def out(rerun, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert {path.name for path in write_rerun(rerun, out)} == {path.name for path in out.iterdir()}
    return out


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_every_table_and_figure_is_there(out):
    for number, figure, name in (
        ("1", "5", "precision"),
        ("2", "6", "recall"),
        ("3", "7", "psnr"),
        ("3b", "7b", "pixel_rmse"),
        ("4", "8", "accuracy"),
        ("5", "9", "time"),
        ("5b", "9b", "time_from_files"),
        ("4-faces", "8-faces", "accuracy"),
        ("5b-faces", "9b-faces", "time_from_files"),
        ("6", "10", "rmse"),
    ):
        assert all((out / f"table{number}_{name}.{end}").is_file() for end in ("csv", "md", "tex"))
        ET.fromstring((out / f"figure{figure}_{name}.svg").read_text())
        assert cv2.imread(str(out / f"figure{figure}_{name}.png")).std() > 10


def test_the_csv_has_a_line_for_each_place_with_unit_interval_and_data(out):
    found = rows(out / "table4_accuracy.csv")
    assert len(found) == 12
    place = next(row for row in found if (row["model"], row["size"]) == ("gan", "50"))
    values = [100 * (0.6 + 0.015 + 0.02 * seed + 0.0625) for seed in range(3)]
    assert float(place["mean"]) == pytest.approx(sum(values) / 3, abs=1e-6)
    assert float(place["high"]) - float(place["low"]) == pytest.approx(2 * 4.302653 * 2 / 3**0.5, abs=1e-4)
    assert (place["unit"], place["seeds"], place["n_test"]) == ("%", "3", "240")
    assert place["data"] == "made-up clips, tested on nobody"
    assert place[LABEL] == "92.33"
    gone = next(row for row in found if (row["model"], row["size"]) == ("dbn", "300"))
    assert (gone["mean"], gone["low"], gone["seeds"]) == ("", "", "0")
    assert gone["missing"] == "there are only 250 samples & no more"


def test_every_cell_is_in_cells_csv(out, rerun):
    found = rows(out / "cells.csv")
    assert len(found) == len(rerun.results) == 90
    assert LABEL not in found[0]
    assert {row["status"] for row in found} == {"ok", "crashed", "unavailable"}
    one = next(row for row in found if (row["task"], row["model"], row["size"]) == ("denoise", "cnn", "100"))
    assert (one["psnr_by_sigma 15"], one["rmse"], one["accuracy"]) == ("30.0", "11.45", "")


def test_the_papers_figures_stand_in_the_papers_columns_only(out):
    for path in sorted(out.glob("table*.csv")):
        for row in rows(path):
            paper = row.pop(LABEL)
            assert (paper == "") == ("b_" in path.name or "-faces" in path.name)
            assert not PRINTED & set(row.values()), path
    for path in sorted(out.glob("table?_*.md")):
        lines = [line.split("|")[1:-1] for line in path.read_text().splitlines() if line.startswith("|")]
        for row in lines[2:]:
            ours, papers = [[cell.strip() for cell in half] for half in (row[1:7], row[7:])]
            assert not PRINTED & {word for cell in ours for word in re.findall(r"[\d.]+", cell)}
            assert all(re.fullmatch(r"\*[\d.]+\*", cell) and cell.strip("*") in PRINTED for cell in papers)
        assert all(cell.strip().startswith("paper: ") for cell in lines[0][7:])
        assert f"Columns headed *paper*: {LABEL}." in path.read_text()
    assert not PRINTED & set(re.findall(r"[\d.]+", (out / "table3b_pixel_rmse.md").read_text()))
    assert not PRINTED & set(re.findall(r"\d[\d.]*", (out / "cells.csv").read_text()))


def test_gaps_are_marked_and_explained(out):
    text = (out / "table1_precision.md").read_text()
    assert "| - (b) |" in text
    assert "(a) 2 of 3 seeds: its worker died" in text
    assert "(b) there are only 250 samples & no more" in text
    assert re.search(r"\| 50 \|.* 45\.5 \(.*\) \(a\) \|", text)
    page = (out / "tables.md").read_text()
    assert "4 of 90 cells are missing" in page
    latex = (out / "table1_precision.tex").read_text()
    assert r"--\textsuperscript{b}" in latex
    assert r"b: there are only 250 samples \& no more" in latex


def test_the_page_names_data_seeds_command_and_versions(out):
    page = (out / "tables.md").read_text()
    assert "    vidfer tables --data made-up --out DIR" in page
    for text in ("made-up clips, tested on nobody, n = 240", "made-up photographs, n = 57", "over 3 seeds", "Test_CPU"):
        assert text in page
    assert all(f"{name} {version}" in page for name, version in versions().items())
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert (out / link).is_file()


def test_one_seed_says_that_there_is_no_interval(rerun, tmp_path):
    one = [result for result in rerun.results if result.cell.seed == 0]
    alone = replace(rerun, tables=ONE["4"], seeds=1, results=one, sources={"classify": "made-up clips"})
    write_rerun(alone, tmp_path)
    assert "One seed only: there is no interval" in (tmp_path / "tables.md").read_text()
    assert " to " not in (tmp_path / "table4_accuracy.md").read_text()
    assert all(row["low"] == "" for row in rows(tmp_path / "table4_accuracy.csv"))
    assert not list(tmp_path.glob("*psnr*"))


def test_the_same_cells_give_the_same_bytes(rerun, out, tmp_path):
    for path in write_rerun(replace(rerun, tables=ONE["3"] + ONE["5"]), tmp_path):
        if path.stem != "tables":
            assert path.read_bytes() == (out / path.name).read_bytes()


def test_nothing_measured_is_still_a_table(rerun, tmp_path):
    none = [Result(result.cell, reason="no data", status="unavailable") for result in rerun.results]
    write_rerun(replace(rerun, tables=ONE["5"], results=none, sources={"classify": "nothing"}), tmp_path)
    assert "(a) no data" in (tmp_path / "tables.md").read_text()
    assert ">nothing could be measured</text>" in (tmp_path / "figure9_time.svg").read_text()


def test_figures_keep_the_paper_apart(out):
    svg = (out / "figure8_accuracy.svg").read_text()
    for text in (LABEL, "measured here: mean and 95 % interval over seeds", "Accuracy (%)", "number of training clips"):
        assert f">{text}</text>" in svg
    assert ">before denoising: 20.12 dB</text>" in (out / "figure7_psnr.svg").read_text()
    assert LABEL not in (out / "figure7b_pixel_rmse.svg").read_text()


def test_times_of_one_order_are_drawn_from_zero(out):
    assert ">0</text>" in (out / "figure9b-faces_time_from_files.svg").read_text()


@pytest.mark.parametrize("name", ["table4_accuracy", "table3_psnr", "table5_time", "table3b_pixel_rmse"])
def test_latex_is_balanced_and_every_row_has_every_column(out, name):
    text = (out / f"{name}.tex").read_text()
    bare = re.sub(r"\\[{}%&$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert re.findall(r"\\begin{(\w+)}", text) == ["table", "tabular"]
    body = bare[bare.index(r"\midrule") : bare.index(r"\bottomrule")]
    columns = 7 if "3b" in name else 13
    assert {line.count("&") for line in body.splitlines()[1:]} == {columns - 1}
    assert "%" not in bare


@pytest.mark.parametrize(
    ("number", "value", "text"),
    [("5", 0.0012345, "0.00123"), ("5", 123.4, "123"), ("5", 0.0, "0"), ("4", 41.25, "41.2"), ("3", float("nan"), "-")],
)
def test_values_have_the_tables_decimals_or_three_digits(number, value, text):
    assert format_value(value, ONE[number][0]) == text


def test_latex_escapes_what_it_would_misread():
    assert escape_latex(r"50% of_a & b\c~{x}^#$") == (
        r"50\% of\_a \& b\textbackslash{}c\textasciitilde{}\{x\}\textasciicircum{}\#\$"
    )


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex, which is not at hand")
def test_latex_compiles(out, tmp_path):
    shutil.copytree(out, tmp_path / "tex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    subprocess.run(command, cwd=tmp_path / "tex", check=True, capture_output=True)
    assert (tmp_path / "tex" / "tables.pdf").stat().st_size > 10_000


def test_where_all_read_the_same_the_paper_has_no_figures_and_who_is_left_out_is_said(out):
    page, alone = (out / "tables.md").read_text(), (out / "table4-faces_accuracy.md").read_text()
    assert "| classifiers; all read face embeddings | CNN | left out: it sees pixels | - | - |" in page
    assert "| classifiers; all read face embeddings | MLP | mlp's faces | 3,000 | 0.0225 |" in page
    assert "| training clips | LSTM | GAN-SGDMA | MLP |" in alone
    assert "MLP" not in (out / "table4_accuracy.md").read_text()
    assert "Accuracy; all read face embeddings" in (out / "figure8-faces_accuracy.svg").read_text()
    assert "mean of 16 test clips" in page
    time = next(row for row in rows(out / "table5b-faces_time_from_files.csv") if row["model"] == "mlp")
    assert (time["task"], time["size"], float(time["mean"])) == ("classify faces", "50", 50 * 0.0225)
