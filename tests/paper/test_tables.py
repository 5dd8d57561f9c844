import numpy as np
import pytest
from scipy.stats import sem, t

from tests.paper import fake
from vidfer.paper.cells import Cell, Result
from vidfer.paper.page import format_interval
from vidfer.paper.tables import TABLES, Rerun
from vidfer.types import VidferError

ACCURACY = next(table for table in TABLES if table.name == "accuracy")
TIME = next(table for table in TABLES if table.name == "time")


def fill_table(table, results, models, sizes):
    about = {table.task: dict.fromkeys(models, "")}
    return list(Rerun([table], models, {table.task: sizes}, 3, results, {}, about, "").places(table).itertuples())


def results(tmp_path, seeds=3, size=50, **metrics):
    cells = [Cell("classify", "gan", size, seed) for seed in range(seeds)]
    return [Result(cell, fake.classify(cell.model, cell.size, cell.seed, folder=tmp_path) | metrics) for cell in cells]


def test_a_place_holds_its_seeds_and_nothing_else(tmp_path):
    other = [Result(Cell("denoise", "gan", 50, 0), {}), Result(Cell("classify", "gan", 100, 0), {"accuracy": 1.0})]
    (entry,) = fill_table(ACCURACY, [*results(tmp_path), *other], ["gan"], [50])
    expected = [100 * (0.6 + 0.015 + 0.02 * seed + 0.0625) for seed in range(3)]
    assert entry.seeds == 3
    assert entry.mean == pytest.approx(np.mean(expected))
    assert (entry.low, entry.high) == pytest.approx(t.interval(0.95, 2, np.mean(expected), sem(expected)))
    assert (entry.n_test, entry.data, entry.paper) == ("240", "made-up clips, tested on nobody", "92.33")


def test_shares_are_cut_off_only_where_they_are_shown(tmp_path):
    found = [
        Result(each.cell, {**each.metrics, "accuracy": value, "seconds": value / 100})
        for each, value in zip(results(tmp_path), (1.0, 1.0, 0.8), strict=True)
    ]
    (entry,) = fill_table(ACCURACY, found, ["gan"], [50])
    assert entry.high > 100
    assert format_interval(entry, ACCURACY) == f"{entry.low:.1f} to 100.0"
    spread = [Result(each.cell, {**each.metrics, "seconds": 0.001 + each.cell.seed}) for each in found]
    (entry,) = fill_table(TIME, spread, ["gan"], [50])
    assert entry.low < 0
    assert format_interval(entry, TIME) == f"0.00 to {entry.high:.2f}"


def test_what_is_missing_says_why(tmp_path):
    found = results(tmp_path)
    found[1] = Result(found[1].cell, reason="too few", status="unavailable")
    (entry,) = fill_table(ACCURACY, found, ["gan"], [50])
    assert entry.seeds == 2
    assert entry.reasons == ("too few",)
    (empty,) = fill_table(ACCURACY, found, ["cnn"], [50])
    assert np.isnan([empty.mean, empty.low, empty.high]).all()
    assert (format_interval(empty, ACCURACY), empty.paper) == ("", "70.32")


def test_differing_counts_of_test_samples_are_shown(tmp_path):
    found = [*results(tmp_path, seeds=1), *results(tmp_path, seeds=2, n_test=236)[1:]]
    assert fill_table(ACCURACY, found, ["gan"], [50])[0].n_test == "236 to 240"


def test_a_cell_without_the_figure_is_no_silent_gap(tmp_path):
    with pytest.raises(VidferError, match="no accuracy"):
        fill_table(ACCURACY, [Result(Cell("classify", "gan", 50, 0), {"n_test": 1})], ["gan"], [50])
