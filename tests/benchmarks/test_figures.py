"""Statistics, tables and the check of ratios, on made-up measurements."""

import json

import pytest

from benchmarks.bench.check import compare
from benchmarks.bench.figures import Bar, Figure, Measurement, Results, digits
from benchmarks.bench.table import refresh, tables

MACHINE = {"measured": "2026-01-02", "cpu": "Z80", "cores": 2, "memory_gb": 0.1, "system": "CP/M", "python": "3.11.7"}


def measured(group="cold", name="help", ratio=1.5, **more):
    ratios = {"CPU / floor": Figure.of([ratio])}
    figures = {"CPU s": Figure.of([0.25, 0.21, 0.35])}
    return Measurement(group, name, figures, {"bare imports": Figure.of([0.1])}, ratios, **more)


def results(*measurements):
    return Results(MACHINE, measurements)


def test_a_figure_is_the_median_with_its_range():
    figure = Figure.of([3.0, 1.0, 2.0, 10.0])
    assert figure == Figure(2.5, 1.0, 10.0, 4)
    assert str(figure) == "2.50 (1.00 to 10.0, n=4)"
    assert str(Figure.of([700.4])) == "700"
    with pytest.raises(ValueError, match="nothing was measured"):
        Figure.of([])


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1234"), (99.94, "99.9"), (5.678, "5.68"), (0.5, "0.500"), (0.04321, "0.0432")]
)
def test_numbers_have_about_three_digits(value, text):
    assert digits(value) == text


def test_bars_are_held_against_medians_of_figures_and_ratios():
    bars = [Bar("CPU s", 0.3), Bar("CPU s", 0.3, least=True), Bar("CPU / floor", 1.15)]
    assert [met for _, _, met in measured(bars=bars).verdicts()] == [True, False, False]


def test_results_are_the_same_after_writing_and_reading(tmp_path):
    whole = results(
        measured(bars=[Bar("CPU s", 0.3)], facts={"frames": 250, "preset": "paper"}), measured("live", bars=[])
    )
    whole.write(tmp_path / "bench.json")
    read = Results.read(tmp_path / "bench.json")
    assert read == Results(whole.machine, list(whole.measurements))
    assert json.loads((tmp_path / "bench.json").read_text())["measurements"][0]["figures"]["CPU s"]["median"] == 0.25


def test_a_newer_run_replaces_the_groups_that_it_measured_and_no_others():
    old, new = results(measured("cold", "a"), measured("cold", "b"), measured("live")), results(measured("cold", "c"))
    assert [each.name for each in old.replaced(new).measurements] == ["help", "c"]


def test_the_table_names_cost_floor_ratio_and_what_was_missed():
    text = tables(results(measured(bars=[Bar("CPU s", 0.3), Bar("CPU / floor", 1.15)], facts={"frames": 250})))
    row = text.splitlines()[-1]
    assert row.startswith(
        "| help (250 frames) | CPU s 0.250 (0.210 to 0.350, n=3) | bare imports 0.100 | CPU / floor 1.50 |"
    )
    assert "at most 0.3 CPU s: met" in row
    assert "at most 1.15 CPU / floor: **missed** (1.50)" in row
    assert "Z80, 2 cores" in text


def test_a_page_gets_its_tables_between_the_marks_and_keeps_the_rest():
    page = (
        "# Title\n<!-- bench: machine -->\n<!-- end -->\nby hand\n<!-- bench: cold -->\nold table\n<!-- end -->\nmore\n"
    )
    whole = results(measured())
    written = refresh(page, whole)
    assert "old table" not in written
    assert all(part in written for part in ("# Title", "by hand", "more", "| help |", "Z80"))
    assert refresh(written, whole) == written


@pytest.mark.parametrize(
    ("page", "fault"),
    [("<!-- bench: cold -->\n", "not followed"), ("<!-- bench: live -->\n<!-- end -->\n", "not measured")],
)
def test_a_mark_without_end_or_without_figures_is_an_error(page, fault):
    with pytest.raises(ValueError, match=fault):
        refresh(page, results(measured()))


def test_only_ratios_that_grew_by_more_than_15_percent_fail():
    before = results(measured("a", ratio=1.0), measured("b", ratio=2.0), measured("c", ratio=4.0), measured("d"))
    now = results(measured("a", ratio=1.14), measured("b", ratio=2.4), measured("c", ratio=3.0), measured("new"))
    verdict = compare(before, now)
    assert [each.measurement.group for each in verdict.slower] == ["b"]
    assert [each.measurement.group for each in verdict.faster] == ["c"]
    assert len(verdict.compared) == 3
    assert "SLOWER b: help: CPU / floor 2.40, was 2.00 (+20%)" in str(verdict)


def test_a_baseline_with_nothing_in_common_is_an_error():
    with pytest.raises(ValueError, match="none of the ratios"):
        compare(results(measured("a")), results(measured("b")))
