"""A disk that is full: while artifacts, results, pictures, logs and what is printed are written."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.command import ROOT, environment, tree, vidfer
from tests.faults.disk import small_disk
from vidfer.cli.main import main
from vidfer.datasets.synthetic import write_faces
from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.gc import verify
from vidfer.pipeline.store import Store, StoreError
from vidfer.tasks.checkpoints import AtomicCheckpointIO
from vidfer.types import VidferError
from vidfer.weights.files import find_weights

FULL = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


@needs_full_device
def test_a_full_log_file_is_told_once_and_ends_the_command_with_a_fault(capsys):
    assert main(["weights", "verify", "voice", "--log-file", str(FULL)]) == 1
    said = capsys.readouterr()
    assert "voice: weights and card are right" in said.out
    assert said.err.count("nothing more goes into it") == 1
    assert "the log file /dev/full is not whole (No space left on device): free some space there" in " ".join(
        said.err.split()
    )
    assert "Traceback" not in said.err


def wanting(number):
    def refuse(self, data, *_, **__):
        raise OSError(number, os.strerror(number)) if number else OSError("1000 requested and 10 written")

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None])
def test_a_writer_that_names_no_file_or_no_number_still_ends_in_a_sentence(tmp_path, monkeypatch, number):
    from vidfer.pipeline.atomic import results_folder

    (tmp_path / "old.csv").write_text("old")
    monkeypatch.setattr(Path, "write_bytes", wanting(number))
    with (
        pytest.raises(VidferError, match=r"its disk is full\): free some space there and run the same command again"),
        results_folder(tmp_path),
    ):
        write_atomic(tmp_path / "old.csv", "new")
    assert tree(tmp_path) == {"old.csv": b"old"}
    monkeypatch.setattr("vidfer.pipeline.artifact.write_synced", lambda root, path, data: wanting(number)(path, data))
    with pytest.raises(StoreError, match="is full: free some space"), Store(tmp_path / "s").draft("x", "0") as draft:
        draft.write("a.bin", b"x")
    assert not list((tmp_path / "s" / "tmp").iterdir())


@pytest.fixture(scope="module")
def undisturbed(clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = vidfer("analyze", clip, "--store", folder / "store", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder


def refused(done, place):
    said = " ".join(done.stderr.split())
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert str(place) in said
    assert "full" in said
    assert "free some space" in said


@pytest.mark.slow
def test_a_store_that_fills_up_in_any_stage_says_so_and_goes_on(clip, tmp_path, undisturbed, figure):
    """Sizes are such that each stage in turn finds no room."""
    sizes, points = [4], 0
    for folder in sorted(
        Store(undisturbed / "store").folders(), key=lambda each: (each / "manifest.json").stat().st_mtime
    ):
        sizes.append(sizes[-1] + sum(-(-each.stat().st_size // 4096) * 4 for each in folder.iterdir()))
    with small_disk(tmp_path / "small", 4) as disk:
        for kib in sizes[:-1]:
            disk.resize(max(kib, disk.used) + 4)
            done = vidfer("analyze", clip, "--store", disk.path / "store", "--out", tmp_path / "out")
            refused(done, disk.path / "store")
            assert verify(Store(disk.path / "store"))[1] == []
            points += 1
        disk.resize(60_000)
        done = vidfer("analyze", clip, "--store", disk.path / "store", "--out", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        assert not list((disk.path / "store" / "tmp").iterdir())
    assert {*tree(tmp_path / "out")} == {*tree(undisturbed / "out")}
    figure(f"{points} points at which the store was full: each refused with path and remedy, then completed")


WORDS = {
    "results": ("analyze", "{clip}", "--store", "{store}", "--out", "{disk}/out", "--grid", "0.5"),
    "overlay": ("analyze", "{clip}", "--store", "{store}", "--out", "{disk}/out", "--overlay"),
    "plot": ("plot", "{disk}/out", "--kind", "timeline"),
    "export": ("export", "{disk}/out", "--format", "elan"),
    "manifest": ("analyze", "--manifest", "{manifest}", "--store", "{store}", "--out", "{disk}/parts"),
    "demo": ("demo", "--out", "{disk}/demo"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", WORDS)
def test_a_folder_of_results_that_fills_up_keeps_what_it_held(clip, tmp_path, undisturbed, figure, what):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"path,id\n{clip},a\n")
    with small_disk(tmp_path / "small", 60_000) as disk:
        places = {"clip": clip, "store": undisturbed / "store", "disk": disk.path, "manifest": manifest}
        words = [word.format(**places) for word in WORDS[what]]
        first = vidfer("analyze", clip, "--store", undisturbed / "store", "--out", disk.path / "out")
        assert first.returncode == 0, first.stderr
        before = tree(disk.path)
        points = 0
        for room in (0, 200):
            disk.resize(disk.used + room)
            (disk.path / "fill").write_bytes(b"") if room else None
            done = vidfer(*words)
            if done.returncode == 0:
                break
            refused(done, disk.path)
            points += 1
            if what != "overlay":  # which may have written all but itself
                assert {name: data for name, data in tree(disk.path).items() if name in before} == before
            disk.resize(60_000)
        disk.resize(60_000)
        done = vidfer(*words)
        assert done.returncode == 0, done.stderr
    assert points
    figure(f"{what}: {points} points of a full results folder, old results whole, then completed")


@pytest.mark.slow
def test_a_training_whose_disk_fills_up_says_so_and_goes_on(tmp_path, figure):
    """While the best checkpoint, the newest, and the weights with their card are written."""
    faces = write_faces(tmp_path / "faces", train=8, test=2)
    with small_disk(tmp_path / "small", 4) as disk:
        words = [
            "train", "finetune", "fit", "--config=configs/finetune_compact.yaml", "--data=configs/data/sample_faces.yaml",
            f"--data.init_args.root={faces}", "--data.init_args.batch_size=16", "--data.init_args.val_share=0.25",
            f"--trainer.logger.init_args.save_dir={disk.path}", f"--trainer.default_root_dir={disk.path}",
            "--trainer.logger.init_args.version=one", "--trainer.enable_progress_bar=false", "--trainer.max_epochs=1",
            "--trainer.limit_train_batches=1", "--trainer.accelerator=cpu",
        ]  # fmt: skip
        points = (4, 3_000, 15_000, 2_000)  # the last is less than the weights take
        for kib in points:
            disk.resize(kib if kib > disk.used else disk.used + kib)
            done = vidfer(*words, cwd=ROOT)
            assert done.returncode == 1, done.stderr
            said = " ".join(done.stderr.split()).rpartition("vidfer: ")[2]
            assert str(disk.path) in said
            assert "full" in said or "No space left" in said
            assert "Traceback" not in done.stderr
            for each in (disk.path / "finetune" / "one" / "checkpoints").glob("*.ckpt"):
                AtomicCheckpointIO().load_checkpoint(each, weights_only=True)
        disk.resize(200_000)
        done = vidfer(*words, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert find_weights("image", disk.path / "finetune" / "one" / "weights.safetensors").arrays()
    figure(f"{len(points)} points of a training on a full disk: each refused, checkpoints load, then completed")


@pytest.mark.slow
@needs_full_device
def test_standard_output_that_is_full_is_a_sentence():
    with FULL.open("wb") as full:
        command = [sys.executable, "-m", "vidfer", "weights", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert "cannot be written (No space left on device): free some space" in said
    assert "Traceback" not in said
