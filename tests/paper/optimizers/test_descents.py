import pytest
import torch

from vidfer.paper.optimizers.surfaces import RATES, SURFACES, TOLERANCE, arrivals, compare, descend, tune
from vidfer.tasks.optimizers import OPTIMIZERS

SADDLE = SURFACES["saddle"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_paths_taken_at_once_are_those_taken_one_by_one(optimizer):
    surface = SURFACES["camel"]
    starts = surface.draw_starts(3, seed=0)
    together = descend(surface, optimizer, (0.01, 0.1), starts, 12)
    assert together[0].shape == (13, 3, 2)
    for rate, paths in zip((0.01, 0.1), together, strict=True):
        for index in range(3):
            alone = descend(surface, optimizer, (rate,), starts[index : index + 1], 12)[0]
            torch.testing.assert_close(alone[:, 0], paths[:, index], rtol=0, atol=1e-12)


def test_the_first_steps_by_hand():
    start = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    (path,) = descend(SADDLE, "sgd", (0.1,), start, 2)
    x, y = 1.0, 0.5
    for step in range(3):
        assert path[step, 0].tolist() == pytest.approx([x, y])
        x, y = x - 0.1 * 2 * x, y - 0.1 * (-2 * y + 2 * y**3)


def test_a_start_that_diverges_leaves_the_others_alone():
    starts = torch.tensor([[0.1, 0.9], [0.1, 1e6]], dtype=torch.float64)
    (path,) = descend(SADDLE, "sgd", (0.1,), starts, 50)
    assert not torch.isfinite(path[-1, 1]).all()
    assert arrivals(SADDLE, path).tolist()[0] < 51
    assert arrivals(SADDLE, path).tolist()[1] == 51


def test_to_have_arrived_is_to_stay():
    far, there = (0.5, 1.0), (0.9 * TOLERANCE**0.5, 1.0)
    passing = [far, there, far, there, there]
    never = [far] * 5
    at_once = [there] * 5
    path = torch.tensor([passing, never, at_once], dtype=torch.float64).transpose(0, 1)
    assert arrivals(SADDLE, path).tolist() == [3, 5, 0]


def test_the_rate_that_is_tuned_beats_every_other_of_the_grid():
    surface = SURFACES["himmelblau"]
    best = tune(surface, "sgd", 60, 8)
    starts = surface.draw_starts(8, seed=1)
    scores = {}
    for rate in RATES:
        taken = arrivals(surface, descend(surface, "sgd", (rate,), starts, 60)[0])
        scores[rate] = (-int((taken <= 60).sum()), taken.double().mean().item())
    assert scores[best] == min(scores.values())
    assert scores[best][0] == -8
    assert 0.001 <= best <= 0.03


def test_outcomes_add_up_and_momentum_leaves_the_ridge_sooner_than_sgd():
    outcomes = {
        (each.row["optimizer"], each.row["rate"]): each for each in compare(SADDLE, steps=200, starts=8, common=0.01)
    }
    assert set(outcomes) == {(name, setting) for name in OPTIMIZERS for setting in ("tuned", "common")}
    for each in outcomes.values():
        assert each.row["global_minimum"] + each.row["local_minimum"] + each.row["diverged"] <= each.row["starts"] == 8
        assert each.path.shape == (201, 2)
        assert tuple(each.path[0].tolist()) == SADDLE.start
        assert (each.row["median_steps"] is None) == (each.row["global_minimum"] == 0)
    assert outcomes["sgd", "common"].row["global_minimum"] == 0  # still on its way
    assert outcomes["sgdma", "common"].row["global_minimum"] == 8
    assert outcomes["sgd", "tuned"].row["global_minimum"] == 8


def test_ends_in_local_minima_are_counted():
    outcomes = list(compare(SURFACES["styblinski_tang"], steps=60, starts=16, common=0.01))
    sgd = next(each for each in outcomes if (each.row["optimizer"], each.row["rate"]) == ("sgd", "common"))
    assert sgd.row["global_minimum"] > 0
    assert sgd.row["local_minimum"] > 0
    assert sgd.row["global_minimum"] + sgd.row["local_minimum"] == 16
