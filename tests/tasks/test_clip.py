import inspect
import math
import types

import pytest
import torch

from vidfer.media.align import TEMPLATE
from vidfer.models.classifiers import build_classifier, classifier_names
from vidfer.tasks.clip import ClipTask
from vidfer.types import VidferError
from vidfer.weights.files import find_weights, save_weights


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


@pytest.mark.parametrize("present", [[0, 3], [2, 3, 4, 5, 6], [0, 2, 3, 4, 5, 6], [1]])
def test_a_class_without_clips_is_not_made_likely_by_label_smoothing(present):
    """Training without a corpus can leave a class out, whose weight would be the largest by far."""
    torch.manual_seed(0)
    clips = {**batch(), "target": torch.tensor([present[at % len(present)] for at in range(6)])}
    task = begun(small(class_weighting=1.0), clips)
    assert task.class_weight[clips["target"]].mean().item() == pytest.approx(1)
    assert all(task.class_weight[at] == 1 for at in range(7) if at not in present)
    optimizer = torch.optim.Adam(task.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        task.training_step(clips, 0).backward()
        optimizer.step()
    assert set(task(clips).argmax(1).tolist()) <= set(present)


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
        arguments = {"num_frame_features": 128} if name in ("fusion", "lstm") else {}
        assert ClipTask(name).export()[1] == {"kind": kind, "arch": name, "arguments": arguments}


WIDE = 1536  # of Inception-ResNet-v2


def wide_batch():
    mask = torch.ones(8, 3, dtype=torch.bool)
    return {
        "target": torch.arange(8) % 7,
        "frames": torch.randn(8, 3, WIDE),
        "frame_mask": mask,
        "image": torch.randn(8, 3, 1, 48, 48),
        "landmarks": torch.tensor(TEMPLATE).expand(8, 3, 5, 2),
        "sound": torch.randn(8, 3, 1582),
        "sound_mask": mask,
    }


@pytest.mark.parametrize("name", classifier_names())
def test_every_classifier_is_told_the_embedding_s_width(name):
    known = inspect.signature(type(build_classifier(name))).parameters
    for modality in ("frames", "both") if name in ("linear", "mlp", "gan", "dbn") else (None,):
        arguments = {"modality": modality} if modality else {}
        arguments |= {"pretrain_epochs": 1} if name == "dbn" else {}
        task = ClipTask(name, arguments, num_frame_features=WIDE)
        task.log = lambda *args, **kwargs: None
        begun(task, wide_batch()).training_step(wide_batch(), 0).backward()
        card = task.export()[1]
        assert card["arguments"] == arguments | ({"num_frame_features": WIDE} if "frames" in task.reads else {})
        assert ("frames" in task.reads) == ("num_frame_features" in known)
        again = build_classifier(card["arch"], card["arguments"])
        again.load_state_dict(task.classifier.state_dict())


def test_a_generator_of_vectors_is_trained_and_not_exported(tmp_path):
    task = ClipTask("gan", {"num_sound_features": 8, "hidden": 4})
    tensors, card = task.export()
    assert set(tensors) == {name for name in task.classifier.state_dict() if not name.startswith("generator.")}
    assert len(tensors) < len(task.classifier.state_dict())
    save_weights(tmp_path / "gan.safetensors", tensors, card | {"preprocessing": {}})
    again = build_classifier(card["arch"], card["arguments"])
    find_weights("audio", tmp_path / "gan.safetensors").load_into(again)
    clips = batch()
    torch.testing.assert_close(again.eval()(clips), task.classifier.eval()(clips))
    for changed in (
        {**tensors, "more": torch.zeros(1)},
        {name: tensors[name] for name in tensors if "head" not in name},
    ):
        save_weights(tmp_path / "gan.safetensors", changed, card | {"preprocessing": {}})
        with pytest.raises(VidferError, match=r"does not fit a network 'gan': it lacks or adds \d tensors"):
            find_weights("audio", tmp_path / "gan.safetensors").load_into(again)


def test_the_width_leaves_sound_and_the_network_s_chance_alone():
    torch.manual_seed(0)
    told = ClipTask("mlp", num_frame_features=WIDE)
    torch.manual_seed(0)
    plain = ClipTask("mlp")
    assert told.export()[1] == plain.export()[1]
    for ours, others in zip(told.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, others)


def test_other_embeddings_than_the_classifier_reads_are_refused():
    task = ClipTask("lstm", {"num_frame_features": 64}, num_frame_features=WIDE)
    with pytest.raises(
        VidferError, match=r"embeddings of 64 values, and those of .* have 1536: leave num_frame_features"
    ):
        begun(task, wide_batch())
