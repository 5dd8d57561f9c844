"""The image task: what its losses, schedules and options do, on a handful of drawn faces."""

import math
from types import SimpleNamespace

import lightning
import pytest
import timm
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn.functional import cross_entropy, one_hot

from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datasets.fer2013 import read_training_images, save_logits
from vidfer.models.backbone import build_backbone
from vidfer.tasks.image import ImageTask
from vidfer.tasks.losses import distillation_loss
from vidfer.tasks.optimizers import OPTIMIZERS
from vidfer.types import VidferError
from vidfer.weights.files import find_weights


class Record(Callback):
    """Keeps each step's learning rate and loss."""

    def __init__(self):
        self.rates, self.losses = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])


@pytest.fixture
def fit(tmp_path, faces_root):
    def fit(task, steps=-1, **options):
        record = Record()
        data = Fer2013DataModule(str(faces_root), batch_size=8, val_share=0.2, **options)
        trainer = lightning.Trainer(
            accelerator="cpu", max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, callbacks=[record], default_root_dir=tmp_path,
        )  # fmt: skip
        lightning.seed_everything(0)
        trainer.fit(task, datamodule=data)
        return record, trainer, data

    return fit


def test_phases_hold_their_rates_and_end_the_training(fit):
    record, trainer, _ = fit(ImageTask(phases=[[7, 0.01], [4, 0.0001]]))
    assert record.rates == pytest.approx([0.01] * 7 + [0.0001] * 4)
    assert trainer.global_step == 11
    assert "val_acc" in trainer.callback_metrics


def test_the_cosine_by_hand(fit):
    record, _, _ = fit(ImageTask(schedule="cosine", lr=0.2), steps=5)
    assert record.rates == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 5)) for step in range(5)])


@pytest.mark.parametrize("schedule", [{"schedule": "cosine"}, {"schedule": "one-cycle"}, {"phases": [[3, 0.01]]}])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_optimiser_under_any_schedule(schedule, optimizer):
    task = ImageTask(optimizer=optimizer, lr=0.01, **schedule)
    task.trainer = SimpleNamespace(estimated_stepping_batches=3)
    before = [each.detach().clone() for each in task.backbone.parameters()]
    made = task.configure_optimizers()
    for _ in range(2):
        made["optimizer"].zero_grad()
        task.backbone(torch.randn(2, 1, 48, 48)).square().sum().backward()
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    assert all(not torch.equal(old, new) for old, new in zip(before, task.backbone.parameters(), strict=True))


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_a_schedule_without_an_end_is_refused(schedule):
    task = ImageTask(schedule=schedule)
    task.trainer = SimpleNamespace(estimated_stepping_batches=float("inf"))
    with pytest.raises(VidferError, match="needs an end"):
        task.configure_optimizers()


def test_an_auxiliary_head_reaches_the_early_layers_and_is_not_exported(fit):
    task = ImageTask("test_resnet", auxiliary=0.4, lr=0.01)
    before = task.auxiliary_head.head.weight.clone()
    fit(task, steps=2)
    assert not torch.equal(task.auxiliary_head.head.weight, before)
    state, card = task.export()
    assert set(state) == set(build_backbone("test_resnet").state_dict())
    assert card["arch"] == "test_resnet"


def test_the_loss_is_the_heads_sum():
    task = ImageTask("test_resnet", auxiliary=0.4, label_smoothing=0.0)
    task.eval()
    task.log = lambda *given, **named: None
    image, target = torch.randn(4, 1, 64, 64), torch.tensor([0, 1, 2, 6])
    logits, middle = task.backbone.logits_and_middle(image)
    expected = cross_entropy(logits, target) + 0.4 * cross_entropy(task.auxiliary_head(middle), target)
    torch.testing.assert_close(task.training_step({"image": image, "target": target}, 0), expected)


def test_inception_resnet_v2_is_timms_network_and_its_middle_map_the_papers():
    ours = build_backbone("inception_resnet_v2", in_chans=3).eval()
    theirs = timm.create_model("inception_resnet_v2", num_classes=7, in_chans=3).eval()
    theirs.load_state_dict({name.removeprefix("network."): value for name, value in ours.state_dict().items()})
    image = torch.randn(1, 3, 299, 299)
    with torch.inference_mode():
        logits, middle = ours.logits_and_middle(image)
        expected = theirs(image)
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(ours(image), expected, atol=1e-5, rtol=0)
        assert middle.shape == (1, 1088, 17, 17)
        task_head = ImageTask("inception_resnet_v2", in_chans=3, image_size=299, auxiliary=0.4).auxiliary_head.eval()
        assert task_head(middle).shape == (1, 7)


def test_class_weights_make_rare_classes_count(fit):
    task = ImageTask(class_weighting=1.0, label_smoothing=0.0)
    _, _, data = fit(task, steps=1)
    shares = torch.tensor(data.class_shares())
    assert (task.class_weight * shares).sum() == pytest.approx(1)
    torch.testing.assert_close(task.class_weight * shares, torch.full((7,), 1 / 7))


@pytest.mark.parametrize("chosen", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}])
def test_mixed_batches_train(fit, chosen):
    record, _, _ = fit(ImageTask(lr=0.01, **chosen), steps=3)
    assert all(math.isfinite(loss) for loss in record.losses)


def test_mixup_mixes_targets_as_images():
    task = ImageTask(mixup=1.0)
    image = torch.zeros(4, 1, 8, 8)
    image[1] = 1
    target = torch.tensor([0, 1, 0, 0])
    mixed, soft = task.mixing(image, target)
    torch.testing.assert_close(soft[:, 1], mixed[:, 0, 0, 0])
    torch.testing.assert_close(soft.sum(1), torch.ones(4))


def test_distillation_by_hand_and_its_minimum():
    logits, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3) * 2, 0.0]])
    soft = torch.tensor([0.75, 0.25])  # the teacher's at temperature 2
    expected = 4 * (soft * (soft.log() - math.log(0.5))).sum()
    assert distillation_loss(logits, teacher, 2.0).item() == pytest.approx(expected.item(), rel=1e-5)
    assert distillation_loss(teacher, teacher, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_a_teachers_logits_are_followed(fit, faces_root, tmp_path):
    images = read_training_images(faces_root)
    wrong = (images.target + 1) % 7  # a teacher that is always wrong: followed, not the labels
    logits = 8 * one_hot(torch.from_numpy(wrong), 7).float().numpy()
    save_logits(tmp_path / "teacher.safetensors", images.digest, logits)
    record, _, _ = fit(
        ImageTask(lr=0.05, distillation=1.0), steps=80, teacher=str(tmp_path / "teacher.safetensors"), augmentation=0.0
    )
    assert record.losses[-1] < 0.6 * record.losses[0]
    with pytest.raises(VidferError, match=r"data\.init_args\.teacher"):
        fit(ImageTask(distillation=0.5), steps=1)
    with pytest.raises(VidferError, match="set distillation above 0"):
        fit(ImageTask(), steps=1, teacher=str(tmp_path / "teacher.safetensors"))
    save_logits(tmp_path / "part.safetensors", images.digest[:3], logits[:3])
    with pytest.raises(VidferError, match="lacks the logits"):
        fit(ImageTask(distillation=0.5), steps=1, teacher=str(tmp_path / "part.safetensors"))


@pytest.mark.slow
def test_a_compiled_step_is_the_same_step(fit):
    torch.manual_seed(0)
    start = ImageTask("test_resnet", lr=0.01).state_dict()
    losses = {}
    for compiled in (False, True):
        task = ImageTask("test_resnet", lr=0.01, compiled=compiled)
        task.load_state_dict(start)
        record, _, _ = fit(task, steps=3)
        losses[compiled] = record.losses
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"phases": [[0.5, 0.1]]}, "whole number"),
        ({"phases": [[10, 0]]}, "above 0"),
        ({"mixup": -1}, "alphas"),
        ({"class_weighting": 2}, r"\[0, 1\]"),
        ({"distillation": 0.5, "mixup": 0.2}, "whole images"),
        ({"auxiliary": 0.4}, "compact"),
        ({"auxiliary": -0.4}, "auxiliary"),
        ({"label_smoothing": 1.5}, "label_smoothing"),
        ({"lr": -1.0}, "lr"),
        ({"warmup_share": 2.0}, "warmup_share"),
        ({"momentum": 1.0}, "momentum"),
        ({"momentum": 0.0}, "nesterov"),
        ({"optimizer": "lion"}, "sgd, sgdma, adagrad, rmsprop, adam"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(VidferError, match=said):
        ImageTask(**wrong)


def test_it_starts_from_the_weights_that_are_named(image_weights):
    torch.manual_seed(99)  # no start that a seed would give as well
    state = ImageTask(weights=str(image_weights)).backbone.state_dict()
    for name, tensor in find_weights("image", image_weights).tensors().items():
        torch.testing.assert_close(state[name], tensor)
    fresh = ImageTask().backbone.state_dict()
    assert not torch.equal(fresh["stem.0.weight"], state["stem.0.weight"])
