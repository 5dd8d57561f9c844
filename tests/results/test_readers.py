"""R and LibreOffice read the CSV files with the values that they were written with."""

import csv
import shutil
import subprocess
from xml.etree import ElementTree

import pandas as pd
import pytest

from vidfer.results.files import read_table, table_files
from vidfer.results.schema import typed

NAMES = ["=1+1", "Jürgen Groß", 'say "hi", twice', "two\nlines", "旅行", "plain", None]
SHOWN = ["'=1+1", *NAMES[1:]]


def clips():
    rows = {"clip_id": [f"{n}/ü.mp4" for n in range(7)], "warnings": NAMES, "width": [640, None, 1, 0, 7, 8, 9]}
    rows |= {"happy": [1 / 3, 25.0, None, 1e-7, 0.0, 1.0, 0.5], "recorded_at": ["2026-01-02T03:04:05Z", *[None] * 6]}
    return typed("clips", pd.DataFrame(rows)).assign(
        good=pd.array([True, False, None, True, True, True, True], "boolean")
    )


@pytest.fixture(params=[False, True], ids=["plain", "excel"])
def table(request, tmp_path):
    files = dict(table_files({"clips": clips()}, excel=request.param))
    (tmp_path / "clips.csv").write_bytes(files["clips.csv"])
    assert read_table(files["clips.parquet"])["warnings"].tolist()[:6] == NAMES[:6]
    return tmp_path / "clips.csv", request.param


def require(rows):
    """Hold rows of texts, numbers and truths, None where missing, against what was written."""
    written = clips()
    for name in ("width", "happy"):
        numbers = [None if value is None else float(value) for value in rows[name]]
        assert [None if pd.isna(value) else pytest.approx(value, abs=5e-7) for value in written[name]] == numbers
    assert rows["clip_id"] == written["clip_id"].tolist()
    assert rows["warnings"] == SHOWN
    assert rows["good"] == [None if pd.isna(value) else bool(value) for value in written["good"]]
    assert rows["recorded_at"][1:] == [None] * 6


def test_r_reads_the_same_values(table):
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("Rscript is not installed (Debian: r-base-core)")
    path, excel = table
    script = """
        given <- commandArgs(TRUE)
        rows <- read.csv(given[1], fileEncoding = given[2], na.strings = "")
        cat(paste(names(rows), sapply(rows, class)), sep = "\\n")
        write.csv(rows, paste0(given[1], ".r"), row.names = FALSE, na = "<missing>", fileEncoding = "UTF-8")
    """
    encoding = "UTF-8-BOM" if excel else "UTF-8"
    command = [program, "--vanilla", "-e", script, str(path), encoding]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}, check=True
    )
    kinds = dict(line.split() for line in done.stdout.splitlines())
    wanted = {
        "clip_id": "character",
        "width": "integer",
        "happy": "numeric",
        "good": "logical",
        "warnings": "character",
    }
    assert {name: kinds[name] for name in wanted} == wanted
    with path.with_name("clips.csv.r").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [None if row[name] == "<missing>" else row[name] for row in rows] for name in rows[0]}
    columns["good"] = [None if cell is None else {"TRUE": True, "FALSE": False}[cell] for cell in columns["good"]]
    assert columns["recorded_at"][0] == "2026-01-02T03:04:05Z"
    require(columns)


@pytest.mark.slow
def test_libreoffice_reads_the_same_values(table):
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice is not installed (Debian: libreoffice-calc-nogui)")
    path, _ = table
    home = path.parent / "home"
    command = [program, f"-env:UserInstallation=file://{home}", "--headless", "--convert-to", "fods"]
    command += ["--infilter=CSV:44,34,76", "--outdir", str(path.parent), str(path)]  # commas, double quotes, UTF-8
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    header, *rows = list(_cells(path.with_suffix(".fods")))
    columns = {name: [row[at] for row in rows[:7]] for at, name in enumerate(header)}
    assert str(columns["recorded_at"][0]).startswith("2026-01-02T03:04:05")
    require(columns)


def _cells(path):
    """Yield the rows of a spreadsheet's first table: texts, floats, truths, None for empty cells."""
    office, table, text = (
        f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("office", "table", "text")
    )
    for row in ElementTree.parse(path).getroot().iter(f"{table}table-row"):
        cells = []
        for cell in row.iter(f"{table}table-cell"):
            kind = cell.get(f"{office}value-type")
            lines = ["".join(line.itertext()) for line in cell.iter(f"{text}p")]
            value = "\n".join(lines) if lines else None
            if kind in ("float", "percentage"):
                value = float(cell.get(f"{office}value"))
            elif kind == "boolean":
                value = cell.get(f"{office}boolean-value") == "true"
            elif kind == "date":
                value = cell.get(f"{office}date-value")
            cells += [value] * min(int(cell.get(f"{table}number-columns-repeated", 1)), 200)
        yield cells
