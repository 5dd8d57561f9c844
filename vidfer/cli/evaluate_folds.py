"""`vidfer evaluate audio|clip --folds K`: train a classifier K times, each time without some people, and ask it about them."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import count
from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.tasks.fitting import Recipe


def add_fold_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides a k-fold evaluation."""
    group = parser.add_argument_group("leaving persons out (trains anew)")
    group.add_argument(
        "--folds",
        type=count,
        metavar="K",
        help="train K times without a K-th of the people, and answer for these; with as many folds as people, each is left out",
    )
    group.add_argument(
        "--classifier", metavar="NAME", help="what to train (default: as the weights named here were trained)"
    )
    group.add_argument(
        "--against", choices=("svm",), help="scikit-learn's support vector machines on the same vectors and folds"
    )
    group.add_argument(
        "--standardise",
        choices=("global", "speaker"),
        default="global",
        help="speaker: sound by the statistics of all recordings of the person who is tested, so no single unknown clip",
    )
    group.add_argument("--seed", type=int, default=0, help="of the folds and the training (default: 0)")


def recipe_of(card: Mapping[str, Any]) -> "tuple[Recipe, dict[str, Any]]":
    """Read from a card how its weights were trained.

    Returns:
        The recipe, and the arguments of the data module that decide what is learnt from.

    Raises:
        VidferError: The card does not say.
    """
    from vidfer.tasks.fitting import Recipe

    recipe = card.get("recipe")
    if not isinstance(recipe, dict) or recipe.get("task", {}).get("name") != "ClipTask":
        raise VidferError("the card of these weights does not say how they were trained: name a --classifier")
    task = {name: value for name, value in recipe["task"].items() if name not in ("name", "classifier", "arguments")}
    names = [name for name in ("win_dur", "hop_dur", "speeds", "batch_size") if name in recipe["data"]]
    learnt = recipe["task"]
    found = Recipe(learnt["classifier"], learnt["arguments"] or {}, int(recipe["epochs"]), task)
    return found, {name: recipe["data"][name] for name in names}


def run_folds(recipe: "Recipe", make_data: Any, folds: int, seed: int, against: str | None) -> dict[str, Any]:  # noqa: ANN401
    """Train and answer fold by fold.

    Args:
        recipe: What to train.
        make_data: From a fold's number to its data module.
        folds: How many.
        seed: Seed of the training.
        against: `svm` for the reference, or None.

    Returns:
        `scores` of the out-of-fold answers as a whole, `people` and `accuracy` of each fold, and `svm`: the scores of each
        machine.
    """
    import numpy as np

    from vidfer.metrics import score

    target, preds, told = [], [], []
    machines: dict[str, list[Any]] = {}
    for fold in range(folds):
        data = make_data(fold)
        right, ours, others = _one_fold(recipe, data, seed, against)
        target.append(right)
        preds.append(ours)
        for name, answers in others.items():
            machines.setdefault(name, []).append(answers)
        people = sorted({clip.person or "unknown" for clip in data.splits()["test"]})
        told.append({"people": people, "n": len(right), "accuracy": float((right == ours).mean())})
        print(
            f"fold {fold + 1} of {folds}: {told[-1]['accuracy']:.3f}, n = {len(right)}: {', '.join(people)}",
            file=sys.stderr,
        )
    truth = np.concatenate(target)
    return {
        "scores": asdict(score(truth, np.concatenate(preds))),
        "folds": told,
        "svm": {name: asdict(score(truth, np.concatenate(parts))) for name, parts in machines.items()},
    }


def _one_fold(
    recipe: "Recipe", data: "ClipDataModule", seed: int, against: str | None
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[str, npt.NDArray[np.int64]]]":
    from vidfer.datamodules.features import collate_clips
    from vidfer.reference_svm import answer_by_svm
    from vidfer.tasks.fitting import answer_all, fit

    task = fit(recipe, data, seed=seed)
    data.setup("test")
    probabilities, target = answer_all(task.classifier, data.test_dataloader())
    others = {}
    if against == "svm":
        modality = "both" if len(task.reads) > 1 else task.reads[0]
        if modality not in ("sound", "frames", "both"):
            raise UsageError(f"support vector machines read vectors, and {recipe.classifier} reads {modality}")
        plain = [sample for sample in data.samples["train"] if sample.target >= 0]
        others = answer_by_svm(collate_clips(plain), collate_clips(data.samples["test"]), modality)
    return target, probabilities.argmax(1), others


def print_folds(title: str, found: Mapping[str, Any]) -> None:
    """Print the scores, beside the best machine's, and everything as JSON."""
    from vidfer.cli.evaluate_image import score_lines
    from vidfer.metrics import Scores

    for line in score_lines(title, Scores(**found["scores"])):
        print(line)
    if found["svm"]:
        best = max(found["svm"], key=lambda name: found["svm"][name]["accuracy"])
        low, high = found["svm"][best]["accuracy_ci95"]
        print(
            f"scikit-learn's best of {len(found['svm'])} support vector machines, chosen on these answers ({best}): "
            f"accuracy {found['svm'][best]['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f})"
        )
    print(json.dumps({"on": title, **found}, ensure_ascii=False))


def run_audio_folds(args: argparse.Namespace) -> int:
    """Run `vidfer evaluate audio --folds`."""
    from vidfer.tasks.fitting import RECIPES, Recipe
    from vidfer.weights.registry import find_weights

    settings: dict[str, Any] = {"voice": args.voice == "auto"}
    if args.classifier:
        recipe = RECIPES.get(args.classifier, Recipe(args.classifier))
    else:
        recipe, learnt = recipe_of(find_weights("audio", args.audio_model).card)
        settings = learnt | settings
    return _run(args, recipe, args.data, args.root, args.actors, settings)


def run_clip_folds(args: argparse.Namespace) -> int:
    """Run `vidfer evaluate clip --folds`."""
    from vidfer.tasks.fitting import RECIPES, Recipe

    if len(args.paths) > 1:
        raise UsageError("--folds takes one data set")
    name = args.classifier or "fusion"
    settings = {"voice": args.voice == "auto", "image_model": args.image_model or "compact"}
    return _run(args, RECIPES.get(name, Recipe(name)), str(args.paths[0]), None, args.people, settings)


def _run(
    args: argparse.Namespace,
    recipe: "Recipe",
    data: str,
    root: Path | None,
    people: str | None,
    settings: dict[str, Any],
) -> int:
    from vidfer.analysis import default_store
    from vidfer.datamodules.named import build_clip_data

    if args.standardise == "speaker":
        settings = settings | {"standardise": "speaker"}

    def make_data(fold: int) -> "ClipDataModule":
        return build_clip_data(
            data, None if root is None else str(root), train_people=people or "", val_people="", test_people="",
            folds=args.folds, fold=fold, seed=args.seed, store=str(args.store or default_store()), **settings,
        )  # fmt: skip

    found = run_folds(recipe, make_data, args.folds, args.seed, args.against)
    who = f"people {people}" if people else "all people"
    how = ", sound by each speaker's statistics" if args.standardise == "speaker" else ""
    print_folds(
        f"{recipe.classifier} on {root or data}, {who}, {args.folds} folds without the people asked about{how}", found
    )
    return 0
