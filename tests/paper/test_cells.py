from dataclasses import replace
from functools import partial

import pytest

from tests.paper import fake
from vidfer.paper.cells import Cell, list_cells, run_cells
from vidfer.pipeline.store import StoreError
from vidfer.types import VidferError

CELLS = list_cells(
    {"classify": (50, 100), "denoise": (100,)}, {"classify": ("cnn", "gan"), "denoise": ("cnn", "gan")}, 2
)


def compute(cells, experiments, store, jobs=1):
    return {result.cell: result for result in run_cells(cells, experiments, store, jobs)}


def test_a_finished_cell_is_never_done_again(tmp_path):
    experiments = fake.experiments(tmp_path)
    first = compute(CELLS[:7], experiments, tmp_path / "store")
    again = compute(CELLS, experiments, tmp_path / "store")
    assert sorted(fake.counted(tmp_path)) == sorted(f"{c.model} {c.size} {c.seed}" for c in CELLS)
    assert [again[cell].stored for cell in CELLS] == [True] * 7 + [False] * 5
    for cell, result in first.items():
        assert again[cell].metrics == result.metrics
        assert again[cell].key == result.key
        assert result.metrics["processor"]


def without_times(results):
    return {
        cell: {name: value for name, value in result.metrics.items() if name != "cpu_seconds"}
        for cell, result in results.items()
    }


def test_two_processes_find_what_one_finds(tmp_path):
    one = compute(CELLS, fake.experiments(tmp_path), tmp_path / "one")
    two = compute(CELLS, fake.experiments(tmp_path), tmp_path / "two", jobs=2)
    assert without_times(one) == without_times(two)
    assert {cell: result.key for cell, result in one.items()} == {cell: result.key for cell, result in two.items()}


def test_a_worker_that_dies_loses_only_its_cell(tmp_path):
    (tmp_path / "kill gan 100 0").touch()
    found = compute(CELLS, fake.experiments(tmp_path), tmp_path / "store", jobs=2)
    lost = [cell for cell, result in found.items() if result.metrics is None]
    assert lost == [Cell("classify", "gan", 100, 0), Cell("denoise", "gan", 100, 0)]
    for cell in lost:
        assert found[cell].status == "crashed"
        assert str(cell) in found[cell].reason
    (tmp_path / "kill gan 100 0").unlink()
    again = compute(CELLS, fake.experiments(tmp_path), tmp_path / "store")
    assert [cell for cell, result in again.items() if not result.stored] == lost
    assert all(result.metrics for result in again.values())


@pytest.mark.parametrize(
    "changes",
    [{"version": 2}, {"data": "1" * 64}, {"settings": {"cnn": {"epochs": 3}, "gan": {"epochs": 3}}}],
)
def test_whatever_decides_the_metrics_enters_the_key(tmp_path, changes):
    cell = CELLS[0]
    experiments = fake.experiments(tmp_path)
    compute([cell], experiments, tmp_path / "store")
    changed = {"classify": replace(experiments["classify"], **changes)}
    assert not next(run_cells([cell], changed, tmp_path / "store")).stored
    others = [replace(cell, model="gan"), replace(cell, size=51), replace(cell, seed=9)]
    assert len({experiments["classify"].recipe(each)["params"].__repr__() for each in (cell, *others)}) == 4


def test_another_models_settings_change_nothing(tmp_path):
    experiment = replace(fake.experiments(tmp_path)["classify"], settings={"cnn": {"epochs": 1}, "gan": {"epochs": 1}})
    other = replace(experiment, settings={"cnn": {"epochs": 1}, "gan": {"epochs": 2}})
    assert experiment.recipe(CELLS[0]) == other.recipe(CELLS[0])


def test_too_few_samples_are_said_without_any_work(tmp_path):
    experiments = {task: replace(experiment, limit=60) for task, experiment in fake.experiments(tmp_path).items()}
    first = [cell for cell in CELLS if cell.size == 100]
    found = compute(first, experiments, tmp_path / "store")
    assert {result.reason for result in found.values()} == {"there are only 60 samples to train on"}
    assert fake.counted(tmp_path) == []


def refuse(model, size, seed):
    raise VidferError("it lacks sound")


def diverge(model, size, seed):
    return {"psnr": float("nan"), "rmse": 3.0}


def overflow(model, size, seed):
    raise StoreError("the store is full")


@pytest.mark.parametrize(
    ("work", "reason"), [(refuse, "it lacks sound"), (diverge, "the training diverged: psnr is no finite number")]
)
def test_what_cannot_be_computed_has_a_reason_and_is_tried_again(tmp_path, work, reason):
    experiments = {"classify": replace(fake.experiments(tmp_path)["classify"], compute=work)}
    (result,) = run_cells(CELLS[:1], experiments, tmp_path / "store")
    assert (result.metrics, result.reason, result.status) == (None, reason, "unavailable")
    working = compute(CELLS[:1], fake.experiments(tmp_path), tmp_path / "store")
    assert not working[CELLS[0]].stored
    assert working[CELLS[0]].metrics


def test_a_full_store_stops_everything(tmp_path):
    experiments = {"classify": replace(fake.experiments(tmp_path)["classify"], compute=partial(overflow))}
    with pytest.raises(StoreError, match="full"):
        list(run_cells(CELLS[:2], experiments, tmp_path / "store"))


def test_cells_are_ordered_seed_by_seed():
    assert [cell.seed for cell in CELLS] == [0] * 6 + [1] * 6
    assert [str(cell) for cell in CELLS[:2]] == [f"classify: {model} on 50 clips, seed 0" for model in ("cnn", "gan")]
