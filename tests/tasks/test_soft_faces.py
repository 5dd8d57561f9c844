"""The task with soft labels: what its loss is, by hand, and what a short training leaves."""

import lightning
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from vidfer.datamodules.soft_faces import SoftFacesDataModule
from vidfer.inference.models import ImageModel
from vidfer.tasks.predictions import ShownPredictions
from vidfer.tasks.soft_faces import SoftLabelTask, mix
from vidfer.types import VidferError
from vidfer.weights.files import save_weights

HEADS = ("video", "fer2013", "ferplus")


class Taken(ShownPredictions):
    """Keeps what the latest validation handed on of FER2013's labels."""

    def on_validation_start(self, trainer, pl_module):
        self.right = []

    def take(self, name, logits, target, image):
        assert len(image) == len(logits)
        if name == "val_fer2013":
            self.right += (logits.argmax(1) == target).tolist()


def soft_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = {name: torch.rand(4, 7, generator=generator) ** 4 for name in HEADS}
    target = {name: each / each.sum(1, keepdim=True) for name, each in target.items()}
    target["fer2013"] = one_hot(torch.tensor([3, 0, 6, 2]), 7).float()
    known = {"video": torch.ones(4), "fer2013": torch.tensor([1.0, 1, 0, 0]), "ferplus": torch.tensor([1.0, 0, 0, 0])}
    image = torch.randn(4, 1, 32, 32, generator=generator)
    return {"image": image, "target": target, "known": known, "of_wild": torch.tensor([False, False, True, True])}


def test_the_loss_is_the_sum_of_the_heads_over_what_is_known():
    torch.manual_seed(0)
    task = SoftLabelTask(image_size=32, fer2013=0.5, ferplus=0.75, label_smoothing=0.1)
    task.backbone.dropout.p = 0.0
    task.backbone.eval()  # so that batch norm gives the same twice
    task.log = lambda *_, **__: None
    task.video_weight = torch.tensor([2.0, 1, 1, 0.5, 1, 1, 0.25])
    batch = soft_batch()
    embedding = task.backbone.embed(batch["image"])
    video, fer, plus = task.backbone.head(embedding), *(task.backbone.heads[name](embedding) for name in HEADS[1:])
    weight = batch["target"]["video"] @ task.video_weight
    each = cross_entropy(video, batch["target"]["video"], reduction="none")
    by_hand = (
        (weight * each).sum() / weight.sum()
        + 0.5 * cross_entropy(fer[:2], torch.tensor([3, 0]), label_smoothing=0.1)
        + 0.75 * cross_entropy(plus[:1], batch["target"]["ferplus"][:1])
    )
    torch.testing.assert_close(task.training_loss(batch), by_hand)


def test_class_weights_leave_the_prior_of_the_head_for_video():
    """They weigh faces: what fits best, where the image tells a face's distribution, is that distribution at any weight."""
    video = torch.rand(40, 7, generator=torch.Generator().manual_seed(0)) ** 4
    video /= video.sum(1, keepdim=True)
    task = SoftLabelTask()
    task.video_weight = video.mean(0) ** -0.6
    target, known = dict.fromkeys(HEADS, video), dict.fromkeys(HEADS, torch.ones(40))
    weight = task._weights({"image": video, "target": target, "known": known})
    logits = torch.zeros_like(video, requires_grad=True)
    for _ in range(2000):
        loss = task._sum_of_heads({**dict.fromkeys(HEADS, torch.zeros(40, 7)), "video": logits}, target, weight)
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - 100 * gradient).detach().requires_grad_()
    torch.testing.assert_close(logits.softmax(1).mean(0), video.mean(0), atol=3e-3, rtol=0)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_keeps_total_weight_and_blends_targets_by_the_share_of_pixels(kind):
    torch.manual_seed(1)
    batch = soft_batch()
    image = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 20, 20).clone()  # each face is a constant
    target = {"video": torch.eye(7)[:4], "fer2013": batch["target"]["fer2013"]}
    weight = {"video": torch.ones(4), "fer2013": batch["known"]["fer2013"]}
    for _ in range(20):
        mixed, soft, heavy = mix(image, target, weight, kind, 1.0)
        # the expected class number of a constant face is its own number, so the mean pixel tells the share
        expected = (soft["video"][:, :4] * torch.arange(4.0)).sum(1)
        torch.testing.assert_close(mixed.mean((1, 2, 3)), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(soft["video"].sum(1), torch.ones(4))
        assert heavy["fer2013"].sum() == pytest.approx(2, abs=1e-5)
        known = heavy["fer2013"] > 0
        torch.testing.assert_close(soft["fer2013"][known].sum(1), torch.ones(int(known.sum())))


def test_options_out_of_range():
    with pytest.raises(VidferError, match="cutmix"):
        SoftLabelTask(cutmix=-1)


def test_a_short_training_teaches_every_head_and_exports_all(soft_root, tmp_path):
    data = SoftFacesDataModule(
        str(soft_root / "fer2013"), str(soft_root / "wild"), image_size=32, wild_size=32, batch_size=24, val_persons=5,
        val_share=0.2, augmentation=0.0, degrade=0.0,
    )  # fmt: skip
    data.notify = lambda _: None
    lightning.seed_everything(0)
    task = SoftLabelTask(image_size=32, lr=0.05, label_smoothing=0.0)
    taken = Taken()
    trainer = lightning.Trainer(
        callbacks=[taken], accelerator="cpu", max_epochs=30, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    data.setup("fit")
    batch = data.soft["train"].__getitems__(list(range(len(data.soft["train"]))))
    image = data.on_after_batch_transfer(batch, 0)["image"]

    def losses():
        task.eval()
        with torch.no_grad():
            logits = task.logits_by_head(image)
        return {
            name: float(
                cross_entropy(logits[name][batch["known"][name] > 0], batch["target"][name][batch["known"][name] > 0])
            )
            for name in HEADS
        }

    before = losses()
    task.train()
    trainer.fit(task, datamodule=data)
    after = losses()
    assert all(after[name] < before[name] - 0.05 for name in HEADS), (before, after)
    assert {"val_loss", "val_video_recall", "val_fer2013_acc", "val_ferplus_acc"} <= set(trainer.callback_metrics)
    assert sum(taken.right) / len(taken.right) == pytest.approx(float(trainer.callback_metrics["val_fer2013_acc"]))
    state, card = task.export()
    assert all(each.dtype == torch.float16 for each in state.values() if each.is_floating_point())
    save_weights(tmp_path / "faces.safetensors", state, {**card, **data.card_entries()})
    model = ImageModel(tmp_path / "faces.safetensors")
    faces = data.soft["val"].fer.numpy()
    task.eval()
    with torch.no_grad():
        wanted = task(data.preprocessing(torch.from_numpy(faces)[:, None].float() / 255))
    torch.testing.assert_close(torch.from_numpy(model.of_gray(faces)[1]), wanted, rtol=0.02, atol=0.02)
    again = SoftLabelTask(image_size=32, weights=str(tmp_path / "faces.safetensors"))
    for name, each in again.backbone.state_dict().items():
        torch.testing.assert_close(each, task.backbone.state_dict()[name], rtol=2e-3, atol=2e-3)
