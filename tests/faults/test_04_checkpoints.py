"""Writing of checkpoints that is killed, or finds the disk full, while temporary files lie on another file system."""

import logging
import os
import random
import resource
import signal
import tempfile
import time
import warnings
from types import SimpleNamespace

import lightning
import pytest
import torch

from tests.faults.disk import elsewhere
from vidfer.tasks.checkpoints import AtomicCheckpointIO, NewestCheckpoint, newest_checkpoint
from vidfer.types import VidferError

FIGURES = (0.1, 0.3, 0.2, 0.4, 0.9, 0.5)  # of validation, by epoch: sometimes a new best one


class Task(lightning.LightningModule):
    """A megabyte of weights, whose validation is known beforehand."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(512, 512)

    def training_step(self, batch, index):
        return self.layer(batch).square().mean()

    def validation_step(self, batch, index):
        epoch = self.current_epoch
        self.log("val_acc", FIGURES[epoch % len(FIGURES)] + epoch // len(FIGURES))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01, momentum=0.9)


def train(folder, io, epochs=400):
    """Train as the commands do: the best first, then the two newest with a link to the last; go on from it where it is."""
    best = lightning.pytorch.callbacks.ModelCheckpoint(
        folder, monitor="val_acc", mode="max", filename="best-{epoch:03d}"
    )
    newest = NewestCheckpoint(
        folder, monitor="step", mode="max", save_top_k=2, save_last="link", filename="{epoch:03d}",
        enable_version_counter=False,
    )  # fmt: skip
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, callbacks=[best, newest], plugins=[io],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    torch.manual_seed(0)
    data = torch.utils.data.DataLoader(torch.randn(4, 512), 4)
    found = newest_checkpoint(folder)
    trainer.fit(Task(), data, data, ckpt_path=str(found) if found else None)


@pytest.fixture
def temporary_elsewhere(tmp_path, monkeypatch):
    with elsewhere(tmp_path) as folder:
        monkeypatch.setenv("TMPDIR", str(folder))
        yield


def in_a_fork(work):
    pid = os.fork()
    if pid == 0:
        try:
            tempfile.tempdir = None  # as TMPDIR says, which a test has set
            work()
        finally:
            os._exit(0)
    return pid


def kill(pid, seconds, folder):
    """Kill a process so many seconds after it has written something into the folder."""
    before, until = written(folder), time.monotonic() + 100
    while written(folder) == before and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def written(folder):
    return {each.name for each in folder.glob("*.ckpt")}


def save_for_ever(folder, io, first):
    """Save, link and remove as a training does, as fast as the disk can."""
    state = {"weights": torch.zeros(200_000)}
    strategy = SimpleNamespace(barrier=lambda: None, checkpoint_io=io)
    trainer = SimpleNamespace(is_global_zero=True, strategy=strategy)
    for number in range(first, 100_000):
        path = folder / f"{number:06d}.ckpt"
        io.save_checkpoint({**state, "step": number}, path)
        NewestCheckpoint._link_checkpoint(trainer, str(path), str(folder / "last.ckpt"))
        io.remove_checkpoint(folder / f"{number - 2:06d}.ckpt")


def test_a_killed_writer_leaves_the_last_checkpoint(tmp_path, temporary_elsewhere, figure):
    dice, steps, halves, io = random.Random(4), [-1], 0, AtomicCheckpointIO()
    while len(steps) < 9:
        pid = in_a_fork(lambda: save_for_ever(tmp_path, io, steps[-1] + 1))
        kill(pid, dice.uniform(0.0, 0.05), tmp_path)
        halves += bool(list(tmp_path.glob(".vidfer-*.tmp")))
        last = tmp_path / "last.ckpt"
        if steps[-1] >= 0 or last.is_symlink():
            steps.append(io.load_checkpoint(last, weights_only=True)["step"])
            assert steps[-1] >= steps[-2]
            for each in tmp_path.glob("*.ckpt"):
                io.load_checkpoint(each, weights_only=True)
        for left in tmp_path.glob(".vidfer-*.tmp"):
            left.unlink()
    figure(f"{len(steps) - 1} kills of a writer, {halves} in mid-write: the last checkpoint loads after each")


@pytest.mark.slow
def test_killed_trainings_go_on_from_the_last_and_know_the_best(tmp_path, temporary_elsewhere, figure):
    dice, kills, halves, epoch, best_of = random.Random(5), 0, 0, -1, {}
    while kills < 25:
        pid = in_a_fork(lambda: train(tmp_path, AtomicCheckpointIO()))
        kill(pid, dice.uniform(0.0, 0.5), tmp_path)
        kills += 1
        halves += bool(list(tmp_path.glob(".vidfer-*.tmp")))
        found = newest_checkpoint(tmp_path)
        if found is None:
            assert epoch < 0
            continue
        kept = AtomicCheckpointIO().load_checkpoint(found, weights_only=True)
        assert kept["epoch"] >= epoch
        epoch = kept["epoch"]
        (state,) = (each for each in kept["callbacks"].values() if each.get("monitor") == "val_acc")
        best = AtomicCheckpointIO().load_checkpoint(state["best_model_path"], weights_only=True)
        seen = [FIGURES[each % len(FIGURES)] + each // len(FIGURES) for each in range(epoch + 1)]
        assert best["epoch"] == seen.index(max(seen))
        best_of[epoch] = best["epoch"]
    assert epoch > 0
    figure(f"{kills} kills of a training, {halves} in mid-write, {epoch + 1} epochs: last and best load after each")


class NaiveIO(AtomicCheckpointIO):
    """Writes where the checkpoint belongs."""

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        torch.save(checkpoint, path)


@pytest.mark.slow
def test_a_writer_without_these_precautions_fails(tmp_path, figure):
    dice, broken, kills = random.Random(6), 0, 0
    while kills < 20 or (not broken and kills < 300):
        kills += 1
        for each in tmp_path.glob("*.ckpt"):
            each.unlink()
        kill(in_a_fork(lambda: save_for_ever(tmp_path, NaiveIO(), 0)), dice.uniform(0.0, 0.05), tmp_path)
        for each in tmp_path.glob("*.ckpt"):
            try:
                torch.load(each, weights_only=True)
            except (RuntimeError, EOFError, OSError):
                broken += 1
                break
    figure(f"control: torch.save to its place leaves a broken one after {broken} of {kills} kills")
    assert broken


@pytest.mark.parametrize("limit", [0, 100, 4096, 500_000])
def test_a_disk_that_is_full_leaves_the_one_before(tmp_path, limit):
    """By the limit of a file's size, which fails as a full disk does, after so many bytes."""
    io, path = AtomicCheckpointIO(), tmp_path / "a.ckpt"
    io.save_checkpoint({"step": 1}, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            io.save_checkpoint({"step": 2, "weights": torch.zeros(200_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.filename == str(path)
    assert io.load_checkpoint(path, weights_only=True) == {"step": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.ckpt"]


def test_half_a_checkpoint_is_never_the_last(tmp_path):
    io = AtomicCheckpointIO()
    for number in (1, 2):
        io.save_checkpoint({"step": number}, tmp_path / f"{number}.ckpt")
        os.utime(tmp_path / f"{number}.ckpt", (number, number))
    (tmp_path / ".vidfer-0.tmp").write_bytes((tmp_path / "2.ckpt").read_bytes()[:100])
    assert newest_checkpoint(tmp_path) == tmp_path / "2.ckpt"  # killed before the link was there
    (tmp_path / "last.ckpt").symlink_to("3.ckpt")
    assert newest_checkpoint(tmp_path) == tmp_path / "2.ckpt"  # what it named has gone
    (tmp_path / "last.ckpt").unlink()
    (tmp_path / "last.ckpt").symlink_to("1.ckpt")
    assert newest_checkpoint(tmp_path) == tmp_path / "last.ckpt"
    assert newest_checkpoint(tmp_path / "none") is None


def test_every_changed_byte_and_every_cut_is_refused(tmp_path):
    io, path, dice = AtomicCheckpointIO(), tmp_path / "a.ckpt", random.Random(1)
    io.save_checkpoint({"step": 1, "weights": torch.randn(3, 3)}, path)
    whole = path.read_bytes()
    for at in dice.sample(range(len(whole)), 60):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :])
        with pytest.raises(VidferError, match="is damaged"):
            io.load_checkpoint(path, weights_only=True)
    for length in dice.sample(range(len(whole)), 20):
        path.write_bytes(whole[:length])
        with pytest.raises(VidferError, match="is damaged"):
            io.load_checkpoint(path, weights_only=True)
    path.write_bytes(whole)
    assert io.load_checkpoint(path, weights_only=True)["step"] == 1
