"""An epoch that was interrupted is taken up where it stopped."""

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from vidfer.datamodules.base import BaseDataModule
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.tasks.image import ImageTask


class Numbers(BaseDataModule):
    def __init__(self, count=23, batch_size=4):
        super().__init__()
        self.count, self.batch_size = count, batch_size

    def train_dataloader(self):
        return self.shuffled(list(range(self.count)), self.batch_size)

    def _in_order(self, split):
        return []

    def _contents(self):
        return [self.count]


class Net(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch.tolist())
        return self.layer(batch.float()[:, None]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-4)


class Stop(lightning.Callback):
    def __init__(self, after, path):
        self.after, self.path = after, path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch * trainer.num_training_batches + batch_idx + 1 == self.after:
            trainer.save_checkpoint(self.path)
            raise RuntimeError("cut")

    def on_train_epoch_end(self, trainer, pl_module):
        if self.after == "epoch":
            trainer.save_checkpoint(self.path)
            raise RuntimeError("cut")


def fit(task, data, *callbacks, resume=None, epochs=2):
    torch.manual_seed(0)
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, callbacks=list(callbacks),
    )  # fmt: skip
    trainer.fit(task, datamodule=data, ckpt_path=resume)
    return task


@pytest.mark.parametrize("after", [1, 2, 4, 6, 8])
def test_the_resumed_epoch_shows_what_was_left_once(tmp_path, after):
    whole = fit(Net(), Numbers()).seen
    cut = Net()
    with pytest.raises(RuntimeError, match="cut"):
        fit(cut, Numbers(), Stop(after, tmp_path / "c.ckpt"))
    assert cut.seen == whole[:after]
    resumed = fit(Net(), Numbers(), resume=tmp_path / "c.ckpt").seen
    epoch_left = whole[after : -(-after // 5) * 5]
    assert resumed[: len(epoch_left)] == epoch_left
    assert len(resumed) == len(whole) - after


def test_uninterrupted_the_order_is_the_usual_one():
    torch.manual_seed(5)
    ours = [batch.tolist() for batch in Numbers().train_dataloader()]
    torch.manual_seed(5)
    usual = [batch.tolist() for batch in DataLoader(range(23), 4, shuffle=True, drop_last=True)]
    assert ours == usual


def test_fewer_samples_than_a_batch_are_one_batch():
    assert [len(batch) for batch in Numbers(3).train_dataloader()] == [3]


@pytest.mark.parametrize("after", [2, "epoch", 9])
def test_an_image_training_resumed_ends_with_the_same_weights(tmp_path, faces_root, after):
    def build():
        torch.manual_seed(1)
        return ImageTask(lr=0.05, mixup=0.2), Fer2013DataModule(str(faces_root), batch_size=8, val_share=0.2)

    whole = fit(*build())
    with pytest.raises(RuntimeError, match="cut"):
        fit(*build(), Stop(after, tmp_path / "c.ckpt"))
    resumed = fit(*build(), resume=tmp_path / "c.ckpt")
    for name, weight in whole.backbone.state_dict().items():
        torch.testing.assert_close(resumed.backbone.state_dict()[name], weight, msg=name)
