import math

import pytest

from vidfer.paper.tables import TABLES, Rerun, reported_tables

SUMS = {
    "1": (411.20, 432.06, 453.16, 481.28, 514.58, 554.45),
    "2": (427.05, 446.09, 485.03, 500.88, 527.19, 561.07),
    "3": (411.435, 429.050, 451.069, 471.478, 481.975, 500.712),
    "4": (439.40, 456.03, 470.93, 493.97, 531.05, 569.19),
    "5": (57.240, 52.379, 44.829, 35.344, 30.806, 19.403),
    "6": (300.191, 277.650, 253.034, 227.079, 201.040, 187.727),
}
"""Sums of the paper's columns, added up by a script from its text."""


def rows_of(number):
    return {size: row for (table, size), row in reported_tables().items() if table == number}


def test_every_column_adds_up_to_the_papers():
    assert {number for number, _ in reported_tables()} == set(SUMS)
    for number, sums in SUMS.items():
        for model, total in zip(rows_of(number)[next(iter(rows_of(number)))], sums, strict=True):
            assert sum(float(row[model]) for row in rows_of(number).values()) == pytest.approx(total, abs=1e-6)


def test_sizes_are_the_papers():
    for number in SUMS:
        factor = 2 if number == "3" else 1
        assert list(rows_of(number)) == [factor * size for size in (50, 100, 150, 200, 250, 300)]


def test_figures_are_as_printed_and_the_companion_has_none():
    def paper(number, size, model):
        table = next(table for table in TABLES if table.number == number)
        rerun = Rerun([table], [model], {table.task: [size]}, 1, [], {}, {table.task: {model: ""}}, "")
        return rerun.places(table)["paper"].item()

    assert paper("3", 600, "gan") == "85.732"
    assert paper("5", 200, "dbn") == "5.132"
    assert paper("4", 300, "cnn") == "74.91"
    assert paper("3b", 600, "gan") == paper("1", 75, "gan") == ""


def test_the_papers_psnr_is_beyond_what_eight_bits_allow():
    limit = 20 * math.log10(255 * math.sqrt(12))  # rounding alone: a uniform error of one level's width
    assert limit == pytest.approx(58.92, abs=0.01)
    assert all(float(value) > limit for row in rows_of("3").values() for value in row.values())


def test_tables_and_figures_are_numbered_as_in_the_paper():
    numbered = {table.number: (table.figure, table.key) for table in TABLES if table.number.isdigit()}
    assert numbered == {
        "1": ("5", "precision"),
        "2": ("6", "recall"),
        "3": ("7", "psnr"),
        "4": ("8", "accuracy"),
        "5": ("9", "seconds"),
        "6": ("10", "rmse"),
    }
