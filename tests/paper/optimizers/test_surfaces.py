import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.func import hessian, jacfwd

from vidfer.paper.optimizers.surfaces import SURFACES


def at(surface, point):
    """Value, gradient and curvatures."""

    def value(x):
        return surface.value(x[0], x[1])

    x = torch.tensor(point, dtype=torch.float64)
    return value(x).item(), jacfwd(value)(x), torch.linalg.eigvalsh(hessian(value)(x))


@pytest.fixture(params=SURFACES.values(), ids=SURFACES)
def surface(request):
    return request.param


def test_what_is_called_a_minimum_or_a_saddle_is_one(surface):
    least = at(surface, surface.minima[0])[0]
    for point in surface.minima:
        value, slope, curvature = at(surface, point)
        assert value == pytest.approx(least, abs=1e-9)
        assert slope.abs().max() < 1e-5
        assert curvature.min() > 0
    for point in surface.local:
        value, slope, curvature = at(surface, point)
        assert value > least + 0.5
        assert slope.abs().max() < 1e-5
        assert curvature.min() > 0
    for point in surface.saddles:
        _, slope, curvature = at(surface, point)
        assert slope.abs().max() < 1e-5
        assert curvature.min() < 0 < curvature.max()


def test_no_minimum_of_the_window_is_left_out(surface):
    """scipy's quasi-Newton method, from a grid of starts, ends in listed minima alone (or leaves, or stops on a flat)."""
    x0, x1, y0, y1 = surface.window
    listed = np.array(surface.minima + surface.local)
    found = set()
    for x in np.linspace(x0, x1, 6):
        for y in np.linspace(y0, y1, 6):
            end = minimize(lambda p: surface.value(*p), (x, y), tol=1e-10)
            inside = x0 <= end.x[0] <= x1 and y0 <= end.x[1] <= y1
            _, slope, curvature = at(surface, end.x)
            if inside and slope.abs().max() < 1e-3 and curvature.min() > 1e-3:
                near = np.abs(listed - end.x).max(axis=1)
                assert near.min() < 1e-3, end.x
                found.add(int(near.argmin()))
    assert found == set(range(len(listed)))


def test_starts_fill_the_box_and_are_the_same_every_time(surface):
    x0, x1, y0, y1 = surface.box or surface.window
    starts = surface.draw_starts(64, seed=3)
    assert torch.equal(starts, surface.draw_starts(64, seed=3))
    assert not torch.equal(starts, surface.draw_starts(64, seed=4))
    x, y = starts.T
    assert x0 <= x.min() < x0 + 0.1 * (x1 - x0) < x1 - 0.1 * (x1 - x0) < x.max() <= x1
    assert y0 <= y.min() < y0 + 0.1 * (y1 - y0) < y1 - 0.1 * (y1 - y0) < y.max() <= y1
    assert starts.dtype == torch.float64
