import lightning
import numpy as np
import pytest
import torch
from scipy.stats import t
from torch.utils.data import DataLoader

from vidfer.datamodules.features import FeatureOptions, Sample, collate_clips
from vidfer.paper.optimizers.training import Curves, train_by_each
from vidfer.tasks.optimizers import OPTIMIZERS

ARGUMENTS = {"modality": "sound", "num_sound_features": 6, "hidden": 8, "input_dropout": 0.0, "dropout": 0.0}


class Clips(lightning.LightningDataModule):
    """Clips whose class shows in their vectors, and whose labels may be turned round."""

    def __init__(self, turned=False):
        super().__init__()
        self.features = FeatureOptions(reads=["sound"])
        generator = torch.Generator().manual_seed(0)
        self.samples = {}
        for split, shift in (("train", 0), ("val", int(turned))):
            self.samples[split] = [
                Sample(str(n), None, (n + shift) % 7, {"sound": clip_of(n % 7, generator)}) for n in range(42)
            ]

    def training_clips(self):
        return collate_clips(self.samples["train"])

    def train_dataloader(self):
        return DataLoader(self.samples["train"], 14, shuffle=True, collate_fn=collate_clips)


def clip_of(target, generator):
    centre = torch.eye(7)[target, :6] * 4
    return centre + 0.3 * torch.randn(2, 6, generator=generator)


@pytest.fixture(scope="module")
def curves():
    return list(train_by_each(Clips(), Clips(), arguments=ARGUMENTS, epochs=3, seeds=2, rates=(1e-6, 0.05)))


def test_every_optimiser_learns_at_the_rate_that_was_best_on_other_people(curves):
    assert [each.optimizer for each in curves] == list(OPTIMIZERS)
    for each in curves:
        assert each.lr == 0.05
        assert each.grid[0.05] < each.grid[1e-6]
        assert each.held_out == 42
        assert {name: values.shape for name, values in each.runs.items()} == dict.fromkeys(
            ("train_loss", "val_loss", "val_acc"), (2, 3)
        )
        assert (each.runs["val_loss"][:, -1] < each.runs["val_loss"][:, 0]).all()


def test_it_is_the_people_held_out_who_are_measured():
    wrong = next(train_by_each(Clips(), Clips(turned=True), arguments=ARGUMENTS, epochs=8, seeds=1, rates=(0.3,)))
    right = next(train_by_each(Clips(), Clips(), arguments=ARGUMENTS, epochs=8, seeds=1, rates=(0.3,)))
    np.testing.assert_array_equal(wrong.runs["train_loss"], right.runs["train_loss"])
    assert right.runs["val_acc"][0, -1] > 0.5 > 0.2 > wrong.runs["val_acc"][0, -1]


def test_the_interval_is_students():
    values = np.array([[1.0, 2.0], [2.0, 2.0], [4.0, 2.0]])
    mean, half = Curves("sgd", 0.1, {}, {"val_loss": values}, 1).over_seeds("val_loss")
    assert mean == pytest.approx([7 / 3, 2])
    low, high = t.interval(0.95, 2, loc=mean[0], scale=values[:, 0].std(ddof=1) / 3**0.5)
    assert half == pytest.approx([(high - low) / 2, 0])
    mean, half = Curves("sgd", 0.1, {}, {"val_loss": values[:1]}, 1).over_seeds("val_loss")
    assert half.tolist() == [0, 0]
