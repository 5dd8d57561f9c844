import math
import types

import pytest
import torch

from vidfer.tasks.clip import ClipTask
from vidfer.types import VidferError


def batch(count=6):
    return {
        "target": torch.tensor([0, 0, 0, 3, 6, -1])[:count],
        "sound": torch.randn(count, 2, 8),
        "sound_mask": torch.ones(count, 2, dtype=torch.bool),
    }


def small(**options):
    task = ClipTask(
        "mlp", {"num_sound_features": 8, "hidden": 32, "members": 2, "input_dropout": 0.0, "dropout": 0.0}, **options
    )
    task.log = lambda *args, **kwargs: None
    return task


def begun(task, clips, ckpt_path=None):
    task._trainer = types.SimpleNamespace(
        ckpt_path=ckpt_path, datamodule=types.SimpleNamespace(training_clips=lambda: clips)
    )
    task.setup("fit")
    return task


def test_hyperparameters_are_primitives():
    kinds = str | int | float | bool | None
    for value in small().hparams.values():
        values = value.values() if isinstance(value, dict) else [value]
        assert all(isinstance(each, kinds) for each in values)


def test_every_member_learns_from_its_own_loss():
    torch.manual_seed(0)
    task = small()
    task.training_step(batch(), 0).backward()
    for member in task.classifier.members:
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in member.parameters())


@pytest.mark.parametrize(("exponent", "expected"), [(0.0, [1, 1, 1]), (1.0, [1 / 3, 1, 1]), (0.5, [3**-0.5, 1, 1])])
def test_classes_are_weighed_by_the_labelled_clips(exponent, expected):
    weight = begun(small(class_weighting=exponent), batch()).class_weight
    assert (weight[[0, 3, 6]] / weight[6]).tolist() == pytest.approx(expected)


def test_statistics_are_those_of_the_training_clips_and_a_resumed_run_keeps_its_own():
    clips = batch()
    task = begun(small(), clips)
    torch.testing.assert_close(task.classifier.standardise.mean, clips["sound"].flatten(0, 1).mean(0))
    again = begun(small(), clips, ckpt_path="last.ckpt")
    assert not again.classifier.standardise.mean.any()


def test_preparing_draws_nothing_from_the_training_s_chance():
    task, clips = small(), batch()
    torch.manual_seed(6)
    expected = torch.rand(1)
    torch.manual_seed(6)
    begun(task, clips)
    assert torch.equal(torch.rand(1), expected)


def test_the_loss_is_smoothed_cross_entropy():
    log_probs = torch.tensor([[0.7, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]]).log()
    found = small(label_smoothing=0.14).criterion(log_probs, torch.tensor([0])).item()
    assert found == pytest.approx(-0.88 * math.log(0.7) - 6 * 0.02 * math.log(0.05), abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"label_smoothing": 0.9}, {"class_weighting": 2.0}, {"optimizer": "lion"}, {"lr": -1.0}, {"momentum": 1.0}],
)
def test_senseless_choices_are_refused(options):
    with pytest.raises(VidferError):
        small(**options)


def test_the_card_says_what_is_read():
    kinds = {"mlp": "audio", "fusion": "fusion", "lstm": "faces", "cnn": "faces"}
    for name, kind in kinds.items():
        assert ClipTask(name).export()[1] == {"kind": kind, "arch": name, "arguments": {}}
