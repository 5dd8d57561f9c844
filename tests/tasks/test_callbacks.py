import torch

from vidfer.tasks.callbacks import WarmEMA


def test_the_decay_warms_up_to_its_limit():
    average = WarmEMA(decay=0.9)._kwargs["avg_fn"]
    old, new = torch.tensor([0.0]), torch.tensor([1.0])
    assert average(old, new, 0).item() == torch.tensor(1 - 1 / 10).item()
    torch.testing.assert_close(average(old, new, torch.tensor(10_000)), torch.tensor([0.1]))


def test_counters_are_copied():
    assert WarmEMA()._kwargs["avg_fn"](torch.tensor(3), torch.tensor(4), 100).item() == 4
