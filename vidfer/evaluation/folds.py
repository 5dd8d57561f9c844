"""`vidfer evaluate audio|clip --folds K`: train a classifier K times, each time without some people, and ask it about them."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import count
from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.evaluation.sound_calibration import Calibrator
    from vidfer.tasks.clip import ClipTask
    from vidfer.tasks.fit import Recipe


_SMOOTHING = 0.1  # the default of ClipTask

Look = Callable[["ClipTask", "ClipDataModule"], None]


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
        "--against",
        choices=("svm",),
        help="scikit-learn's support vector machines on the same folds and the vectors of the recordings as they are",
    )
    group.add_argument(
        "--standardise",
        choices=("global", "speaker"),
        help="speaker: sound by the statistics of all recordings of the person who is tested, so no single unknown clip",
    )
    group.add_argument("--seed", type=_seed, metavar="N", help="of the folds and the training (default: 0)")


def add_calibration_options(parser: argparse.ArgumentParser) -> None:
    """Add what calibrates a sound model by the answers of the folds."""
    group = parser.add_argument_group("calibration (with --folds)")
    group.add_argument(
        "--calibrate",
        metavar="A-B,C",
        help="fit a temperature to the folds' answers, and measure --audio-model with it on these people, trained on nowhere",
    )
    group.add_argument("--write-card", action="store_true", default=None, help="keep it in the card of --audio-model")


def require_folds(args: argparse.Namespace) -> None:
    """Refuse options that only mean something with --folds.

    Raises:
        UsageError: There is one.
    """
    for name in ("classifier", "against", "standardise", "seed", "calibrate", "write_card"):
        if getattr(args, name, None) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} goes with --folds, which trains anew; without it, weights are measured as they are"
            )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 on")
    return int(text)


def recipe_of(card: Mapping[str, Any]) -> "tuple[Recipe, dict[str, Any]]":
    """Read from a card how its weights were trained.

    Returns:
        The recipe, and the arguments of the data module that decide what is learnt from.

    Raises:
        VidferError: The card does not say.
    """
    from vidfer.tasks.fit import Recipe

    recipe = card.get("recipe")
    parts = recipe if isinstance(recipe, dict) else {}
    if (
        not all(isinstance(parts.get(name), dict) for name in ("task", "data"))
        or parts["task"].get("name") != "ClipTask"
    ):
        raise VidferError("the card of these weights does not say how they were trained: name a --classifier")
    task, data = parts["task"], parts["data"]
    settings = {name: value for name, value in task.items() if name not in ("name", "classifier", "arguments")}
    found = Recipe(task["classifier"], task["arguments"] or {}, int(parts["epochs"]), settings)
    kept = ("win_dur", "hop_dur", "voice", "speeds", "batch_size", "standardise")
    return found, {name: data[name] for name in kept if name in data}


def run_folds(
    recipe: "Recipe",
    make_data: "Callable[[int], ClipDataModule]",
    folds: int,
    seed: int,
    against: str | None,
    look: Look | None = None,
) -> dict[str, Any]:
    """Train and answer fold by fold.

    Args:
        recipe: What to train.
        make_data: From a fold's number to its data module.
        folds: How many.
        seed: Seed of the training.
        against: `svm` for the reference, or None.
        look: Gets each fold's network and data, once both are ready to be tested.

    Returns:
        `scores` of the out-of-fold answers as a whole, `people` and `accuracy` of each fold, and `svm`: the scores of each
        machine.
    """
    import numpy as np

    from vidfer.metrics.classification import score

    target, preds, told = [], [], []
    machines: dict[str, list[Any]] = {}
    for fold in range(folds):
        data = make_data(fold)
        right, ours, others = _one_fold(recipe, data, seed, against, look)
        target.append(right)
        preds.append(ours)
        for name, answers in others.items():
            machines.setdefault(name, []).append(answers)
        people = sorted({clip.person or "unknown" for clip in data.splits()["test"]})
        left_out = sum(map(len, data.left_out["test"].values()))
        accuracy = float((right == ours).mean())
        told.append({"people": people, "n": len(right), "left_out": left_out, "accuracy": accuracy})
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
    recipe: "Recipe", data: "ClipDataModule", seed: int, against: str | None, look: Look | None
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[str, npt.NDArray[np.int64]]]":
    from vidfer.datamodules.features import collate_clips
    from vidfer.evaluation.reference_svm import answer_by_svm
    from vidfer.tasks.fit import answer_all, fit

    task = fit(recipe, data, seed=seed)
    data.setup("test")
    probabilities, target = answer_all(task.classifier, data.test_dataloader())
    if look is not None:
        look(task, data)
    others = {}
    if against == "svm":
        modality = "both" if len(task.reads) > 1 else task.reads[0]
        if modality not in ("sound", "frames", "both"):
            raise UsageError(f"support vector machines read vectors, and {recipe.classifier} reads {modality}")
        plain, _, _ = data.read("test", data.splits()["train"])  # as recorded, at no other playing speed
        others = answer_by_svm(collate_clips(plain), collate_clips(data.samples["test"]), modality)
    return target, probabilities.argmax(1), others


def print_folds(title: str, found: Mapping[str, Any]) -> None:
    """Print the scores, beside the best machine's, and everything as JSON."""
    from vidfer.evaluation.image import score_lines
    from vidfer.metrics.classification import Scores

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
    from vidfer.pipeline.store import default_store
    from vidfer.tasks.fit import RECIPES, Recipe
    from vidfer.weights.files import find_weights

    settings: dict[str, Any] = {"voice": args.voice == "auto"}
    if args.classifier:
        recipe = RECIPES.get(args.classifier, Recipe(args.classifier))
    else:
        recipe, learnt = recipe_of(find_weights("audio", args.audio_model).card)
        settings = learnt | settings
    store = args.store or default_store()
    calibrator = None
    if args.calibrate is not None:
        from vidfer.evaluation.sound_calibration import Calibrator

        calibrator = Calibrator(float(recipe.settings.get("label_smoothing", _SMOOTHING)))
    elif args.write_card:
        raise UsageError("--write-card goes with --calibrate")
    return _run(args, recipe, (args.data, args.root), args.actors, settings, store, calibrator)


def run_clip_folds(args: argparse.Namespace) -> int:
    """Run `vidfer evaluate clip --folds`."""
    from vidfer.tasks.fit import RECIPES, Recipe

    if len(args.paths) > 1:
        raise UsageError("--folds takes one data set")
    for option, wrong in (("--labels", args.labels), ("--weights", args.weights)):
        if wrong is not None:
            raise UsageError(f"{option} says nothing with --folds, which trains on the data set's own labels")
    name = args.classifier or "fusion"
    settings = {"voice": args.voice == "auto", "image_model": args.image_model or "compact"}
    with ExitStack() as stack:
        store = args.store or Path(stack.enter_context(TemporaryDirectory(prefix="vidfer-store-")))
        return _run(args, RECIPES.get(name, Recipe(name)), (str(args.paths[0]), None), args.people, settings, store)


def _run(
    args: argparse.Namespace,
    recipe: "Recipe",
    data: tuple[str, Path | None],
    people: str | None,
    settings: dict[str, Any],
    store: Path,
    calibrator: "Calibrator | None" = None,
) -> int:
    from vidfer.datamodules.named import build_clip_data

    name, root = data
    seed = args.seed or 0
    if name == "sample":
        settings = {}
    if args.standardise is not None:
        settings = settings | {"standardise": args.standardise}

    def make_data(fold: int) -> "ClipDataModule":
        module = build_clip_data(
            name, None if root is None else str(root), train_people=people or "", val_people="", test_people="",
            folds=args.folds, fold=fold, seed=seed, store=str(store), **settings,
        )  # fmt: skip
        module.notify = lambda line: print(line, file=sys.stderr)
        module.prepare_data()
        return module

    apart = None if calibrator is None else _apart(args, data, settings | {"store": str(store)})
    look = None if calibrator is None else calibrator.add
    found = run_folds(recipe, make_data, args.folds, seed, args.against, look)
    who = f"people {people}" if people else "all people"
    how = ", sound by each speaker's statistics" if args.standardise == "speaker" else ""
    title = (
        f"{recipe.classifier} on {make_data(0).source}, {who}, {args.folds} folds without the people asked about{how}"
    )
    if calibrator is not None and apart is not None:
        from vidfer.evaluation.sound_calibration import calibrate

        found["calibration"] = calibrate(
            calibrator, title, apart, args.audio_model, args.calibrate, keep=args.write_card
        )
    print_folds(title, {"recipe": asdict(recipe), "data": settings, "seed": seed, **found})
    return 0


def _apart(args: argparse.Namespace, data: tuple[str, Path | None], settings: dict[str, Any]) -> "ClipDataModule":
    """Find the people that calibration is measured on, and make sure that nothing was trained on them."""
    from vidfer.datamodules.named import build_clip_data
    from vidfer.evaluation.held_out import leave_out_trained
    from vidfer.weights.files import find_weights

    name, root = data
    apart = build_clip_data(
        name, None if root is None else str(root), train_people=args.actors or "", val_people="", test_people=args.calibrate,
        reads=["sound"], **settings,
    )  # fmt: skip
    card = find_weights("audio", args.audio_model).card
    leave_out_trained(apart.splits()["test"], {args.audio_model: card}, named=True)
    return apart
