"""Cells that cost nothing: figures by formula, and a counter of what was computed."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from vidfer.paper.cells import CLASSIFY, DENOISE, Experiment
from vidfer.paper.tables import MODELS
from vidfer.types import VidferError

LEVELS = {"cnn": 0.31, "rcnn": 0.36, "lstm": 0.42, "dbn": 0.55, "rnn": 0.41, "gan": 0.6, "mlp": 0.5}


def classify(model, size, seed, *, folder, sleep=0.0):
    note(folder, model, size, seed)
    time.sleep(sleep)
    if model == "dbn" and size > 250:
        raise VidferError("the machine would not learn")
    level = LEVELS[model] + 0.0003 * size + 0.02 * seed * (1 if model != "rnn" else 1.7)
    return {
        "precision": level,
        "recall": level - 0.03125,
        "accuracy": min(1.0, level + 0.0625),
        "rmse": 0.35 - level / 10,
        "seconds": 1e-6 * size * (40 if model == "cnn" else 3 + seed),
        "seconds_from_files": 0.0225 * size,
        "feature_seconds": 0.0225,
        "feature_clips": 16,
        "n_test": 240,
        "params": 1000 * len(model),
        "data": "made-up clips, tested on nobody",
    }


def denoise(model, size, seed, *, folder):
    note(folder, model, size, seed)
    return {
        "psnr": 26 + 5 * LEVELS[model] + 0.001 * size + 0.1 * seed,
        "rmse": 13 - 5 * LEVELS[model] - 0.2 * seed,
        "psnr_by_sigma": {"15": 30.0, "25": 28.0},
        "psnr_noisy": 20.125,
        "per_image": [{"name": "one", "psnr": 30.0}],
        "seconds": 1.5,
        "n_test": 57,
        "params": 2000 * len(model),
        "steps": 10,
        "data": "made-up photographs",
    }


def note(folder, model, size, seed):
    """Count the computation; a file called like a model kills whoever computes that model."""
    with (Path(folder) / "counter").open("a") as file:
        file.write(f"{model} {size} {seed}\n")
    if (Path(folder) / f"kill {model} {size} {seed}").exists():
        os.kill(os.getpid(), signal.SIGKILL)


def counted(folder):
    path = Path(folder) / "counter"
    return path.read_text().splitlines() if path.exists() else []


def experiments(folder, sleep=0.0, **changes):
    known = {"version": 1, "data": "0" * 64, **changes}
    about = {model: f"{model} & 100 % of_it" for model in MODELS if model != "mlp"}
    equal = {model: f"{model}'s faces" for model in ("lstm", "gan", "mlp")}
    work = partial(classify, folder=folder, sleep=sleep)
    return {
        CLASSIFY["paper"]: Experiment(work, source="made-up clips", about=about, **known),
        CLASSIFY["faces"]: Experiment(
            work, source="made-up clips", about=equal, left_out={"cnn": "it sees pixels"}, **known
        ),
        DENOISE: Experiment(partial(denoise, folder=folder), source="made-up photographs", about=about, **known),
    }


def main(words):
    """Run `vidfer tables` with made-up cells; the first word is the folder of the counter, the second seconds a cell."""
    from vidfer.cli import main as command
    from vidfer.paper import rerun

    folder, sleep, *rest = words
    found = experiments(folder, float(sleep))
    rerun.prepare_experiments = lambda options, store, tables: {table.task: found[table.task] for table in tables}
    return command.main(["tables", "--data", "made-up", *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
