"""Two processes train as one with batches twice as large, predict together, and end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow

DENOISE = [
    "--config=configs/denoise.yaml", "--data.init_args.crops_per_epoch=20", "--data.init_args.crop=32",
    "--model.init_args.critic_width=4", "--model.init_args.warmup_share=0.3", "--model.init_args.n_critic=2",
]  # fmt: skip
FINETUNE = [
    "--config=configs/finetune_compact.yaml", "--data=configs/data/sample_faces.yaml", "--data.init_args.val_share=0.2",
    "--data.init_args.root={root}/faces", "--data.init_args.degrade=0.3", "--trainer.limit_train_batches=3",
    "--model.init_args.mixup=0.2", "--model.init_args.cutmix=1.0",
]  # fmt: skip
CLASSIFY = ["--config=configs/classify.yaml", "--config=configs/classifiers/{name}.yaml"]
PEOPLE = [f"--data.init_args.{split}_people={who}" for split, who in (("train", "1-4"), ("test", "6"))]
SOUNDS = [
    "--data=configs/data/sample_sounds.yaml",
    "--data.init_args.root={root}/sounds",
    "--data.init_args.val_people=5",
]
PAIRED = ["--data=configs/data/sample_paired.yaml", "--data.init_args.root={root}/paired"]
CASES = {
    "denoise": ("denoise", 4, DENOISE),
    "finetune": ("finetune", 16, FINETUNE),
    "gan": ("classify", 8, [*CLASSIFY, *SOUNDS, *PEOPLE, "--data.init_args.speeds=[1.0]"]),
    "fusion": ("classify", 8, [*CLASSIFY, *PAIRED, *PEOPLE, "--data.init_args.speeds=[1.0]"]),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


def command(root, name, processes, *extra, verb="fit"):
    stage, batch, words = CASES[name]
    strategy = ["--trainer.strategy=ddp_find_unused_parameters_true"] if processes > 1 else []
    words = [word.format(root=root, name=name) for word in words]
    return [
        sys.executable, "-m", f"stages.{stage}", verb, *words, f"--data.init_args.batch_size={batch // processes}",
        "--trainer.accelerator=cpu", f"--trainer.devices={processes}", *strategy, "--trainer.enable_progress_bar=false",
        "--trainer.log_every_n_steps=1", f"--trainer.default_root_dir={root}",
        f"--trainer.logger.init_args.save_dir={root / name}", f"--trainer.logger.init_args.version={processes}",
        *(["--trainer.max_epochs=2"] if verb == "fit" else []), *extra,
    ]  # fmt: skip


def run(words, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment, check=False, **options)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_end_with_the_weights_of_one(root, name):
    for processes in (1, 2):
        ended = run(command(root, name, processes, "--trainer.precision=64-true"))
        assert ended.returncode == 0, ended.stderr
    folders = [root / name / CASES[name][0] / str(processes) for processes in (1, 2)]
    one, two = (load_file(folder / "weights.safetensors") for folder in folders)
    assert one.keys() == two.keys()
    for key, values in one.items():
        np.testing.assert_allclose(two[key], values, rtol=1e-6, atol=1e-7, err_msg=key)  # some are stored in float32
    one, two = (pd.read_csv(folder / "metrics.csv") for folder in folders)
    assert set(one.columns) == set(two.columns)
    for column in one.columns:
        tolerance = 1e-6 if column.startswith("val_") else 1e-9  # metrics are kept in float32
        np.testing.assert_allclose(two[column], one[column], rtol=tolerance, atol=tolerance, err_msg=column)


def test_two_processes_predict_each_sample_once(root):
    if not (checkpoint := root / "finetune/finetune/1/checkpoints/last.ckpt").is_file():
        assert run(command(root, "finetune", 1)).returncode == 0
    tables = []
    for processes in (1, 2):
        ended = run(command(root, "finetune", processes, f"--ckpt_path={checkpoint}", verb="predict"))
        assert ended.returncode == 0, ended.stderr
        tables.append(pd.read_parquet(root / f"finetune/finetune/{processes}/predictions.parquet"))
        assert len(list(checkpoint.parents[2].glob("*/predictions*"))) == processes
    assert len(tables[0]) == 105
    pd.testing.assert_frame_equal(*tables, rtol=1e-4)


@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_process_fails_all_end_with_its_sentence(root, rank, tmp_path):
    file = tmp_path / "failing.py"
    file.write_text(
        "from lightning import Callback\nfrom vidfer.types import VidferError\n"
        "class Failing(Callback):\n    def on_train_batch_start(self, trainer, *_):\n"
        f"        if trainer.global_rank == {rank} and trainer.global_step == 1:\n"
        "            raise VidferError('the cable is out')\n"
    )
    words = command(root, "finetune", 2, "--trainer.callbacks+=failing.Failing", f"--trainer.default_root_dir={tmp_path}",
                    f"--trainer.logger.init_args.save_dir={tmp_path}")  # fmt: skip
    path = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert ended.returncode != 0
    assert [line for line in ended.stderr.splitlines() if "cable" in line] == ["vidfer: the cable is out"]
    assert "Traceback" not in ended.stderr


def test_a_process_that_is_killed_ends_the_others(root, tmp_path):
    words = command(root, "finetune", 2, "--trainer.max_epochs=500", f"--trainer.logger.init_args.save_dir={tmp_path}")
    started = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        while not (metrics := tmp_path / "finetune/2/metrics.csv").is_file() or metrics.stat().st_size < 500:
            assert started.poll() is None
            time.sleep(0.2)
        children = subprocess.run(["pgrep", "-P", str(started.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(children.split()[-1]), signal.SIGKILL)
        _, said = started.communicate(timeout=30)
    finally:
        started.kill()
    assert started.returncode != 0
    assert "Traceback" not in said
