from pathlib import Path

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from vidfer.datasets.report import LabelledClip
from vidfer.evaluation.folds import leave_out_trained, predict_svms


def clips(count, seed):
    rng = torch.Generator().manual_seed(seed)
    target = torch.arange(count) % 7
    centres = 2 * torch.randn(7, 10, generator=torch.Generator().manual_seed(9))
    return {
        "target": target,
        "sound": centres[target][:, None] + torch.randn(count, 2, 10, generator=rng),
        "sound_mask": torch.arange(2) < torch.randint(1, 3, (count, 1), generator=rng),
    }


def test_one_vector_a_clip_is_scikit_learns_own_machine():
    train, test = clips(70, 0), clips(30, 1)
    for batch in (train, test):
        batch["sound_mask"][:, 1] = False
    found = predict_svms(train, test)
    machine = make_pipeline(StandardScaler(), SVC(kernel="rbf", C=1.0, class_weight="balanced"))
    expected = machine.fit(train["sound"][:, 0].numpy(), train["target"].numpy()).predict(test["sound"][:, 0].numpy())
    for pool in ("mean vector", "mean score"):
        assert (found[f"rbf, C = 1, {pool}"] == expected).mean() > 0.95  # ties of the votes aside


def test_separable_classes_are_predicted():
    test = clips(40, 1)
    found = predict_svms(clips(140, 0), test)
    right = {name: (preds == test["target"].numpy()).mean() for name, preds in found.items()}
    assert all(share > 0.8 for name, share in right.items() if name.startswith("rbf"))
    assert len(right) == 10


def test_a_class_without_training_clips_is_not_predicted():
    train = clips(70, 0)
    kept = train["target"] != 2
    found = predict_svms({name: value[kept] for name, value in train.items()}, clips(30, 1))
    assert all(2 not in np.unique(preds) for preds in found.values())


def test_a_model_that_was_trained_on_unknown_persons_is_warned_of():
    """Its card cannot show that the clips' persons are others."""
    clips = [LabelledClip(Path("a.mp4"), "happy", "anna")]
    lines = []
    cards = {
        "mine": {"data": {"people": {"train": ["ben", "unknown"]}}},
        "other": {"data": {"people": {"train": ["ben"]}}},
    }
    assert leave_out_trained(clips, cards, named=False, notify=lines.append) == clips
    (line,) = lines
    assert line.startswith("WARNING: mine: trained on clips of persons not known")


def test_people_of_weights_that_were_started_from_are_left_out():
    """Also those of weights before these: who was seen once is known."""
    clips = [LabelledClip(Path(f"{name}.mp4"), "sad", name) for name in ("anna", "ben", "cleo", "dora")]
    first = {"people": {"train": ["anna"], "test": ["dora"]}}
    card = {
        "data": {"people": {"train": ["cleo"]}},
        "recipe": {"started_from": {"people": {"val": ["ben"]}, "started_from": first}},
    }
    kept = leave_out_trained(clips, {"the image model": card}, named=False, notify=lambda _: None)
    assert [clip.person for clip in kept] == ["dora"]
