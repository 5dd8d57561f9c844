"""A training that is killed and started again ends with the weights of one that was left alone, bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WORDS = {
    "denoise": [
        "--config=configs/denoise.yaml", "--data.init_args.crops_per_epoch=80", "--data.init_args.crop=32",
        "--data.init_args.batch_size=4", "--model.init_args.critic_width=4", "--model.init_args.warmup_share=0.3",
    ],
    "finetune": [
        "--config=configs/finetune_compact.yaml", "--data=configs/data/sample_faces.yaml", "--data.init_args.batch_size=16",
        "--data.init_args.root={root}/faces", "--data.init_args.val_share=0.2",
    ],
    "classify": [
        "--config=configs/classify.yaml", "--config=configs/classifiers/gan.yaml", "--data=configs/data/sample_sounds.yaml",
        "--data.init_args.root={root}/sounds", "--data.init_args.train_people=1-4", "--data.init_args.val_people=5",
        "--data.init_args.test_people=6", "--data.init_args.batch_size=4",
    ],
}  # fmt: skip
EPOCHS = {"denoise": 3, "finetune": 3, "classify": 60}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("killed")


def start(root, stage, version):
    words = [word.format(root=root) for word in WORDS[stage]]
    return subprocess.Popen(
        [
            sys.executable, "-m", f"stages.{stage}", "fit", *words, f"--trainer.max_epochs={EPOCHS[stage]}",
            "--trainer.accelerator=cpu", "--trainer.deterministic=true", "--trainer.enable_progress_bar=false",
            "--trainer.log_every_n_steps=1", f"--trainer.default_root_dir={root}",
            f"--trainer.logger.init_args.save_dir={root}", f"--trainer.logger.init_args.version={version}",
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def finish(root, stage, version):
    assert start(root, stage, version).wait(240) == 0
    return (root / stage / version / "weights.safetensors").read_bytes()


def rows(metrics: Path) -> int:
    return metrics.read_text().count("\n") if metrics.is_file() else 0


@pytest.mark.parametrize("stage", WORDS)
def test_killed_and_started_again_it_ends_with_the_same_weights(root, stage):
    whole = finish(root, stage, "whole")
    lines = rows(root / stage / "whole" / "metrics.csv")
    for share, how in ((0.2, signal.SIGKILL), (0.55, signal.SIGKILL), (0.4, signal.SIGTERM)):
        version = f"{how.name}-{share}"
        killed, until = start(root, stage, version), time.monotonic() + 200
        while rows(root / stage / version / "metrics.csv") < share * lines:
            assert killed.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        killed.send_signal(how)
        assert killed.wait(30) != 0
        assert finish(root, stage, version) == whole, version
