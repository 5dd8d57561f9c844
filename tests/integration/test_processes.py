"""A training in two processes, through the stage's own command line."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_gan_trains_in_two_processes(tmp_path):
    command = [
        sys.executable, "-m", "stages.denoise", "fit", "--config=configs/denoise.yaml", "--trainer.accelerator=cpu",
        "--trainer.devices=2", "--trainer.strategy=ddp_find_unused_parameters_true", "--trainer.max_epochs=2",
        "--trainer.enable_progress_bar=false", f"--trainer.default_root_dir={tmp_path}",
        f"--trainer.logger.init_args.save_dir={tmp_path}", "--data.init_args.crop=16", "--data.init_args.batch_size=4",
        "--data.init_args.crops_per_epoch=40", "--model.init_args.critic_width=2", "--model.init_args.warmup_share=0.5",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / "denoise/sample"
    assert (folder / "config.yaml").is_file()
    assert len(list((folder / "samples").iterdir())) == 2
    card = json.loads((folder / "weights.json").read_text())
    assert card["recipe"]["steps"] == {
        "batches": 10,
        "generator": 6,
        "critic": 5,
    }  # five batches of each process an epoch
