"""Searches whose trials train nothing: a process of its own that writes figures, made of the values by a formula.

As a program it searches FILE in FOLDER, to COUNT trials, JOBS at once, each of which takes SECONDS.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from vidfer.cli.ending import ending_in_order
from vidfer.training import search
from vidfer.training.sweep import Sweep, read_sweep

FAKE = """
import hashlib, json, pathlib, sys, time
folder, seconds, values = pathlib.Path(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])
with (folder / "ran.txt").open("a") as ran:
    ran.write(json.dumps(values) + "\\n")
time.sleep(seconds)
lr, momentum = values["classify.model.lr"], values["classify.model.momentum"]
if momentum == 0.5:
    print("working", file=sys.stderr)
    print("vidfer: classify: the training failed: too little momentum", file=sys.stderr)
    sys.exit(1)
place = folder / hashlib.sha256(sys.argv[3].encode()).hexdigest()
place.mkdir(exist_ok=True)
score = "nan" if momentum == 0.6 else 1 - (lr - 0.05) ** 2
(place / "metrics.csv").write_text(f"epoch,step,val_uar\\n0,1,0.0\\n1,2,{score}\\n1,2,\\n")
print("reading clips")
print(place / "weights.safetensors")
"""


def fake_trials(patch: pytest.MonkeyPatch, folder: Path, seconds: float = 0.0) -> None:
    """Let trials be such processes, each of which adds its values to `ran.txt`."""

    def command(sweep: Sweep, values: Any, *, wandb: bool = False) -> list[str]:
        return [sys.executable, "-S", "-c", FAKE, str(folder), str(seconds), json.dumps(values)]

    patch.setattr(search, "trial_command", command)


def ran(folder: Path) -> list[dict[str, Any]]:
    """Return the values of the trials that were begun, in their order."""
    return [json.loads(line) for line in (folder / "ran.txt").read_text().splitlines()]


if __name__ == "__main__":
    file, out, count, jobs, seconds = sys.argv[1:]
    with pytest.MonkeyPatch.context() as patch, ending_in_order():
        fake_trials(patch, Path(out).parent, float(seconds))
        search.Search(read_sweep(Path(file)), Path(out), int(count), int(jobs)).run()
