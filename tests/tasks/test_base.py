"""What tasks share, under two processes."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import lightning, torch
from vidfer.tasks.clip import ClipTask

class Data(lightning.LightningDataModule):
    def training_clips(self):
        return self.batch(0)

    def batch(self, number):
        torch.manual_seed(number)
        return {"target": torch.tensor([number % 7]), "sound": torch.randn(1, 2, 8), "sound_mask": torch.ones(1, 2).bool()}

    def val_dataloader(self):
        return torch.utils.data.DataLoader([self.batch(number) for number in range(4)], None)

if __name__ == "__main__":
    torch.manual_seed(0)
    task = ClipTask("mlp", {"num_sound_features": 8, "hidden": 4})
    trainer = lightning.Trainer(
        accelerator="cpu", devices=DEVICES, strategy="STRATEGY", logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )
    found = trainer.validate(task, datamodule=Data(), verbose=False)
    if trainer.is_global_zero:
        print("val_loss", round(found[0]["val_loss"], 5))
"""


def measured(folder, devices, strategy):
    script = folder / "measure.py"
    script.write_text(SCRIPT.replace("DEVICES", str(devices)).replace("STRATEGY", strategy))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=env, timeout=300)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("val_loss")] or [done.stderr[-2000:]]
    return line


@pytest.mark.slow
def test_val_loss_is_that_of_all_processes(tmp_path):
    assert measured(tmp_path, 2, "ddp") == measured(tmp_path, 1, "auto")
