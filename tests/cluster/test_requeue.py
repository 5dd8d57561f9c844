"""A training as a job of a real SLURM: preempted or signalled, requeued, and finished with the weights of an undisturbed one."""

import subprocess
import sys

import pytest

from tests.cluster.jobs import ended, state_of, submit, wait_until
from tests.conftest import ROOT
from vidfer.pipeline.digest import file_digest

pytestmark = pytest.mark.slow
JOB = ROOT / "scripts/slurm/job.sbatch"
BATCHES = 80


def training(folder):
    """Return the command of a training that takes half a minute or more, and writes each batch's number to `batches`."""
    folder.mkdir()
    count = f"[{{class_path: tests.cluster.count.Count, init_args: {{file: {folder}/batches}}}}]"
    return [
        sys.executable, "-m", "stages.denoise", "fit", "--config", ROOT / "configs/denoise.yaml",
        "--trainer", ROOT / "configs/trainer/cpu.yaml", f"--trainer.callbacks+={count}", "--trainer.max_epochs=2",
        f"--trainer.logger.init_args.save_dir={folder}", "--trainer.logger.init_args.version=one",
        "--trainer.enable_progress_bar=false", "--model.init_args.preset=tiny",
        "--data.init_args.crops_per_epoch=160", "--data.init_args.batch_size=4", "--data.init_args.crop=32",
    ]  # fmt: skip


def batches(folder):
    """Return the numbers of the batches that were trained, in order."""
    file = folder / "batches"
    return [int(line) for line in file.read_text().split()] if file.is_file() else []


def weights(folder):
    """Return the digest of a training's weights."""
    (found,) = folder.glob("**/weights.safetensors")
    return file_digest(found)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The digest of the weights of the same training without SLURM."""
    folder = tmp_path_factory.mktemp("here") / "run"
    subprocess.run(training(folder), check=True, cwd=ROOT, capture_output=True, timeout=300)
    assert batches(folder) == list(range(BATCHES))
    return weights(folder)


def test_a_job_that_is_preempted_goes_on_where_it_was(slurm, tmp_path, undisturbed):
    command, log = training(tmp_path / "run"), tmp_path / "job.log"
    job = submit("--partition=low", "--exclusive", f"--output={log}", f"--chdir={ROOT}", JOB, *command)
    wait_until(120, lambda: len(batches(tmp_path / "run")) > 50)  # in its second epoch

    above = submit("--partition=high", "--exclusive", f"--output={tmp_path}/above.log", "--wrap=sleep 1")
    wait_until(60, lambda: ended(above))
    seen = len(batches(tmp_path / "run"))
    wait_until(300, lambda: ended(job))

    assert state_of(above)[0] == "COMPLETED"
    assert state_of(job) == ("COMPLETED", 1), log.read_text()
    assert 50 < seen < BATCHES
    assert batches(tmp_path / "run") == list(range(BATCHES))  # none left out, none trained twice
    assert weights(tmp_path / "run") == undisturbed
    assert "requeued" in log.read_text()


def test_a_job_that_is_sent_the_signal_goes_on_and_one_that_is_cancelled_does_not(slurm, tmp_path, undisturbed):
    command, log = training(tmp_path / "run"), tmp_path / "job.log"
    options = ("--partition=low", f"--output={log}", f"--chdir={ROOT}", JOB, *command)
    job = submit(*options)
    wait_until(120, lambda: len(batches(tmp_path / "run")) > 5)
    subprocess.run(["scancel", "--signal=USR1", "--batch", job], check=True)
    wait_until(60, lambda: state_of(job)[1] == 1)
    first = len(batches(tmp_path / "run"))
    wait_until(200, lambda: len(batches(tmp_path / "run")) > first + 5)  # it goes on

    subprocess.run(["scancel", job], check=True)
    wait_until(60, lambda: ended(job))
    assert state_of(job) == ("CANCELLED", 1)
    assert len(batches(tmp_path / "run")) < BATCHES
    again = submit(*options)
    wait_until(200, lambda: ended(again))

    assert state_of(again) == ("COMPLETED", 0)
    assert batches(tmp_path / "run") == list(range(BATCHES))
    assert weights(tmp_path / "run") == undisturbed
