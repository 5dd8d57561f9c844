"""Statistics, tables and the check of ratios, on made-up measurements."""

import json

import pytest

from benchmarks.bench.check import compare
from benchmarks.bench.figures import Bar, Figure, Measurement, Results, digits
from benchmarks.bench.scaling import exponent, plot
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


def test_the_plot_is_shown_where_growth_was_measured():
    page = "<!-- bench: scaling -->\n<!-- end -->\n"
    assert "scaling.svg" in refresh(page, results(measured("scaling")))
    assert "scaling.svg" not in refresh(page, results(measured()))


def test_a_mark_without_an_end_is_an_error():
    with pytest.raises(ValueError, match="not followed"):
        refresh("<!-- bench: cold -->\n", results(measured()))


def test_a_group_without_figures_is_said_to_be_unmeasured():
    written = refresh("<!-- bench: live -->\nold\n<!-- end -->\n", results(measured()))
    assert written == "<!-- bench: live -->\n\nNot measured yet.\n\n<!-- end -->\n"


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


def test_a_page_shows_each_run_s_machine():
    page = "<!-- bench: machine -->\n<!-- end -->\n<!-- bench: cold -->\n<!-- end -->\n<!-- bench: peers -->\n<!-- end -->\n"
    other = Results({**MACHINE, "cpu": "6502"}, [measured("peers", "fer")])
    first, second = refresh(page, results(measured()), other).split("<!-- bench: peers -->")
    assert "Z80" in first
    assert "6502" not in first
    assert "6502" in second
    assert "| fer |" in second


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_law_that_made_the_costs(power):
    counts = [10, 20, 50, 100]
    assert exponent(counts, [0.3 * count**power for count in counts]) == pytest.approx(power)


def test_the_plot_has_each_count_that_was_measured(tmp_path):
    figures = {f"CPU s, {count}": Figure.of([count / 100]) for count in (10, 100)} | {"exponent": Figure.of([1.0])}
    plot([Measurement("scaling", "frames", figures)], tmp_path / "scaling.svg")
    assert "exponent 1.000" in (tmp_path / "scaling.svg").read_text()
