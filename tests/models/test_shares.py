"""Two processes, one after the other in this one: what each draws is its part of what a single one draws."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from vidfer.models import shares

ROWS = 3


@pytest.fixture
def both(monkeypatch):
    """Return a function that calls another one as rank 0 and as rank 1, from one random state, and gives both results."""

    def call(make, counts=None):
        found = []
        for rank in (0, 1):
            monkeypatch.setattr(shares, "world", lambda rank=rank: (rank, 2))
            monkeypatch.setattr(shares, "_gathered", lambda _: torch.stack([torch.tensor(each) for each in counts]))
            torch.manual_seed(3)
            with shares.sharing(ROWS):
                found.append(make(rank))
        torch.manual_seed(3)
        return found

    return call


@pytest.mark.parametrize(
    "draw",
    [
        lambda count: torch.rand(count, 4),
        lambda count: torch.randn((count, 2, 2)),
        lambda count: torch.randint(7, (count,)),
        lambda count: torch.randint(2, 9, (count, 3)),
        lambda count: torch.rand_like(torch.zeros(count, 2)),
        lambda count: torch.randn_like(torch.zeros(count, 2)),
        lambda count: torch.empty(count, 1, 1).bernoulli_(0.5),
        lambda count: nn.Dropout(0.4)(torch.ones(count, 5)),
        lambda count: functional.dropout(torch.ones(count, 5), inplace=True),
    ],
)
def test_rows_are_drawn_as_by_one_process(both, draw):
    drawn = both(lambda _: (draw(ROWS), torch.rand(())))
    whole, after = draw(2 * ROWS), torch.rand(())
    for rank, (rows, rest) in enumerate(drawn):
        assert torch.equal(rows, whole[rank::2])
        assert torch.equal(rest, after)  # both are where one process is


def test_windows_of_clips_are_drawn_in_the_order_of_clips(both):
    counts = ([1, 0, 2], [2, 1, 0])  # clips 0, 2, 4 here, 1, 3, 5 there
    clip = [torch.repeat_interleave(torch.arange(ROWS), torch.tensor(each)) for each in counts]

    def draw(rank):
        with shares.rows(clip[rank], ROWS):
            return torch.rand(len(clip[rank]), 2)

    first, second = both(draw, counts)
    whole = torch.rand(6, 2)  # of clips 0, 1, 1, 3, 4, 4
    assert torch.equal(first, whole[[0, 4, 5]])
    assert torch.equal(second, whole[[1, 2, 3]])


def test_a_single_process_draws_as_ever():
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    with shares.sharing(4), shares.rows(torch.arange(4), 4):
        assert torch.equal(torch.rand(4), expected)
        assert shares.weighed(expected.mean(), 4) == expected.mean()
        assert shares.whole(expected) is expected
