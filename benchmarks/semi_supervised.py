"""Does GAN-SGDMA learn from vectors without labels? Its accuracy beside a perceptron's, over the number of labelled clips.

Both have the same hidden layer, epochs and optimiser and see the same labelled clips; `gan` is also given the other training
clips without their labels, and once is not. Nobody who is tested on is trained on, with or without label.

Usage: python benchmarks/semi_supervised.py [--root data/ravdess_speech] [--train 2-16] [--test 17-20] [--seeds 5]
"""

import argparse
import json
from typing import Any

import numpy as np
from scipy import stats

from vidfer.datamodules.clips import ClipDataModule
from vidfer.tasks.fit import RECIPES, Recipe, fit, predict_all

STEPS = 600


def recipe(name: str, size: int, batch_size: int) -> Recipe:
    """Return a recipe of about `STEPS` steps with 128 hidden units and one member."""
    known = RECIPES["gan" if name.startswith("gan") else "mlp"]
    arguments = {**known.arguments, "hidden": 128} | ({"members": 1} if name == "mlp" else {})
    return Recipe(known.classifier, arguments, -(-STEPS // max(size // batch_size, 1)), known.settings)


def main() -> None:
    """Print a row for each size, then everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", default="data/ravdess_speech")
    parser.add_argument("--train", default="2-16")
    parser.add_argument("--test", default="17-20")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", default="50,100,150,200,250,300")
    parser.add_argument("--models", default="mlp,gan without,gan")
    parser.add_argument("--store")
    args = parser.parse_args()
    common: dict[str, Any] = {"root": args.root, "train_people": args.train, "test_people": args.test, "batch_size": 16}
    common |= {"store": args.store, "reads": ["sound"]}
    whole = ClipDataModule(**common)
    for stage in ("fit", "test"):
        whole.setup(stage)
    found: dict[str, dict[str, list[float]]] = {}
    print(
        f"trained on {args.train}, tested on {args.test}, {args.seeds} seeds, mean accuracy and 95 % interval of the mean"
    )
    for size in map(int, args.sizes.split(",")):
        cells = []
        for name in args.models.split(","):
            accuracies = []
            for seed in range(args.seeds):
                data = ClipDataModule(size=size, seed=seed, unlabelled=name == "gan", **common)
                data.share(whole)
                task = fit(recipe(name, size, 16), data, seed=seed)
                probabilities, target = predict_all(task.classifier, data.test_dataloader())
                accuracies.append(float((probabilities.argmax(1) == target).mean()))
            found.setdefault(name, {})[str(size)] = accuracies
            half = stats.sem(accuracies) * stats.t.ppf(0.975, len(accuracies) - 1) if len(accuracies) > 1 else np.nan
            cells.append(f"{name} {np.mean(accuracies):.3f} +- {half:.3f}")
        print(f"{size:>4} labelled: " + "   ".join(cells), flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
