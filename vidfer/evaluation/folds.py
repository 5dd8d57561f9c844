"""Subject-independent K-fold cross-validation of a classifier of clips, beside scikit-learn's support vector machines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.datasets.report import LabelledClip
from vidfer.evaluation import Notify
from vidfer.evaluation.image import accuracy_text, score_lines
from vidfer.metrics.classification import score
from vidfer.pipeline.store import Place
from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.models.batches import ClipBatch
    from vidfer.models.classifiers.base import VectorClassifier
    from vidfer.stages.chain import ChainOptions
    from vidfer.tasks.clip import ClipTask
    from vidfer.tasks.fit import Recipe

Classes = npt.NDArray[np.int64]
OnFold = Callable[["ClipTask", "ClipDataModule"], None]

SVMS: Final = (("linear", 0.0003), ("linear", 0.001), ("linear", 0.01), ("rbf", 1.0), ("rbf", 10.0))
"""Kernel and C of support vector machines with balanced class weights.

Cortes, Vapnik: Machine Learning 20, 1995; linear on these vectors as in Schuller et al.: Interspeech 2010.
"""

POOLS: Final = ("mean vector", "mean score")
"""Whether a clip is predicted from the mean of its vectors, or by the mean of their scores."""

_KEPT: Final = ("win_dur", "hop_dur", "voice", "speeds", "augment", "loudness", "batch_size", "standardise")
_OPTIONS: Final = ("folds", "classifier", "against", "standardise", "seed")


@dataclass(frozen=True)
class FoldOptions:
    """Subject-independent K-fold cross-validation.

    Args:
        folds: Train K times without a K-th of the people, and test on these; with as many folds as people, each is left out.
        classifier: What to train with --folds (default: as the weights named here were trained).
        against: With --folds, compare with scikit-learn's support vector machines on the same folds and recorded vectors.
        standardise: With --folds, speaker standardises sound by the statistics of all recordings of the person who is tested,
            so no single unknown clip can be predicted.
        seed: With --folds, seed of the folds and the training (default: 0).
    """

    GROUPS: ClassVar[Mapping[str, Any]] = {
        "groups": {
            "subject-independent cross-validation (trains anew)": _OPTIONS,
            "calibration (with --folds)": ("calibrate", "write_card"),
        }
    }

    folds: int | None = field(default=None, metadata={"metavar": "K"})
    classifier: str | None = None
    against: Literal["svm"] | None = None
    standardise: Literal["global", "speaker"] | None = None
    seed: int | None = None

    def require_folds(self, **more: object) -> None:
        """Raise `UsageError` for options, of this class and others, that only mean something with --folds."""
        for name, value in {**asdict(self), **more}.items():
            if value not in (None, False):
                raise UsageError(
                    f"--{name.replace('_', '-')} goes with --folds, which trains anew; without it, weights are measured as is"
                )


def cross_validate(
    recipe: "Recipe",
    source: tuple[str, str | None],
    people: str | None,
    options: FoldOptions,
    settings: Mapping[str, Any],
    notify: Notify,
    on_fold: OnFold | None = None,
) -> dict[str, Any]:
    """Train and test fold by fold, on `people` such as `2-16`, or on all, of a data set: its name or path, and its folder.

    `settings` are further arguments of the data module; `on_fold` is called with each fold's trained network and its data.
    Returns `on`, which names all this; `recipe`, `data`, `seed`; `scores` of the out-of-fold predictions as a whole; `folds`:
    `people`, `n`, `left_out` and `accuracy` of each; `svm`: the scores of each machine.
    """
    from vidfer.datamodules.paired import build_clip_data

    (name, root), seed, count = source, options.seed or 0, options.folds or 0
    extra = {} if name == "sample" else {key: value for key, value in settings.items() if key != "store"}
    if options.standardise is not None:
        extra |= {"standardise": options.standardise}
    folds, parts = [], []
    for fold in range(count):
        data = build_clip_data(
            name, root, train_people=people or "", val_people="", test_people="", folds=count, fold=fold, seed=seed,
            store=settings["store"], **extra,
        )  # fmt: skip
        data.notify = notify if not fold else lambda _: None
        data.prepare_data()
        target, preds = train_fold(recipe, data, seed, options.against, on_fold)
        accuracy = float((target == preds[""]).mean())
        tested = sorted({clip.person or "unknown" for clip in data.splits()["test"]})
        left_out = sum(map(len, data.left_out["test"].values()))
        folds.append({"people": tested, "n": len(target), "left_out": left_out, "accuracy": accuracy})
        parts.append((target, preds))
        notify(f"fold {fold + 1} of {count}: accuracy {accuracy:.3f}, n = {len(target)}: {', '.join(tested)}")
    truth = np.concatenate([target for target, _ in parts])
    scores = {key: asdict(score(truth, np.concatenate([preds[key] for _, preds in parts]))) for key in parts[0][1]}
    how = ", sound by each speaker's statistics" if options.standardise == "speaker" else ""
    who = f"people {people}" if people else "all people"
    return {
        "on": f"{recipe.classifier} on {data.source}, {who}, {count} subject-independent folds{how}",
        "recipe": asdict(recipe),
        "data": extra,
        "seed": seed,
        "scores": scores.pop(""),
        "folds": folds,
        "svm": scores,
    }


def cross_validate_clips(
    data: Path, people: str | None, options: FoldOptions, chain: "ChainOptions", store: Place, notify: Notify
) -> dict[str, Any]:
    """Cross-validate a classifier of clips (`fusion` by default) on an image model's embeddings, see `cross_validate`."""
    recipe, _ = find_recipe(options.classifier or "fusion", {})
    settings = {"voice": chain.choice.settings.voice == "auto", "image_model": chain.image_weights, "store": str(store)}
    return cross_validate(recipe, (str(data), None), people, options, settings, notify)


def fold_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `cross_validate` returned."""
    lines = score_lines(found["on"], found["scores"])
    if found["svm"]:
        name, best = max(found["svm"].items(), key=lambda each: each[1]["accuracy"])
        what = f"scikit-learn's best of {len(found['svm'])} support vector machines, chosen on these predictions"
        lines.append(f"{what} ({name}): {accuracy_text(best)}")
    return lines


def find_recipe(classifier: str | None, card: Mapping[str, Any]) -> "tuple[Recipe, dict[str, Any]]":
    """Find the recipe of a classifier by name, or that in the card of weights with the data module's arguments."""
    from vidfer.tasks.fit import RECIPES, Recipe

    if classifier:
        return RECIPES.get(classifier, Recipe(classifier)), {}
    parts = card["recipe"] if isinstance(card.get("recipe"), dict) else {}
    task, data = parts.get("task"), parts.get("data")
    if not isinstance(task, dict) or not isinstance(data, dict) or task.get("name") != "ClipTask":
        raise VidferError("the card of these weights does not say how they were trained: name a --classifier")
    settings = {name: value for name, value in task.items() if name not in ("name", "classifier", "arguments")}
    found = Recipe(task["classifier"], task["arguments"] or {}, int(parts["epochs"]), settings)
    return found, {
        "loudness": None,
        **{name: data[name] for name in _KEPT if name in data},
    }  # none before it was a setting


def train_fold(
    recipe: "Recipe", data: "ClipDataModule", seed: int, against: str | None, on_fold: OnFold | None
) -> tuple[Classes, dict[str, Classes]]:
    """Train without the fold's people; return their classes, and predictions by name: the network's by ''."""
    from vidfer.datamodules.features import collate_clips
    from vidfer.tasks.fit import fit, predict_all

    task = fit(recipe, data, seed=seed)
    data.setup("test")
    probabilities, target = predict_all(task.classifier, data.test_dataloader())
    if on_fold is not None:
        on_fold(task, data)
    preds = {"": probabilities.argmax(1)}
    if against == "svm":
        modality = "both" if len(task.reads) > 1 else task.reads[0]
        if modality not in ("sound", "frames", "both"):
            raise UsageError(f"support vector machines read vectors, and {recipe.classifier} reads {modality}")
        plain, _, _ = data.read("test", data.splits()["train"])  # as recorded, at no other playing speed
        preds |= predict_svms(collate_clips(plain), collate_clips(data.samples["test"]), modality)
    return target, preds


def predict_svms(train: "ClipBatch", test: "ClipBatch", modality: str = "sound") -> dict[str, Classes]:
    """Train every machine of `SVMS` on labelled clips, and predict others: classes `(N,)` by `<machine>, <pool>`.

    Vectors of the `modality`, as of `VectorClassifier`, are standardised by the training clips' statistics and clipped.
    """
    from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
    from sklearn.svm import SVC

    from vidfer.models.classifiers import build_classifier
    from vidfer.models.classifiers.base import VectorClassifier

    lengths = {
        f"num_{name.removesuffix('s')}_features": train[name].shape[2] for name in ("frames", "sound") if name in train
    }
    collector = build_classifier("linear", {"modality": modality, **lengths})  # for its vectors alone
    assert isinstance(collector, VectorClassifier)
    collector.prepare(train)
    found = {}
    for pool in POOLS:
        known, clip = _vectors(collector, train, pooled=pool == "mean vector")
        new, place = _vectors(collector, test, pooled=pool == "mean vector")
        target, gamma = train["target"].numpy()[clip], 1 / (known.shape[1] * float(known.var()))  # sklearn's "scale"
        kernels = {"linear": linear_kernel, "rbf": partial(rbf_kernel, gamma=gamma)}
        # once for all machines: libsvm would compute them for each two classes
        grams = {name: (kernel(known, known), kernel(new, known)) for name, kernel in kernels.items()}
        for kernel, cost in SVMS:
            machine = SVC(kernel="precomputed", C=cost, class_weight="balanced", decision_function_shape="ovr")
            machine.fit(grams[kernel][0], target)
            decided = machine.decision_function(grams[kernel][1])
            scores = np.full((len(new), 7), -np.inf)
            # of two classes one number: the distance on the second one's side
            scores[:, machine.classes_] = np.stack([-decided, decided], 1) if decided.ndim == 1 else decided
            total = np.zeros((len(test["target"]), 7))
            np.add.at(total, place, scores)
            found[f"{kernel}, C = {cost:g}, {pool}"] = total.argmax(1)
    return found


def _vectors(
    collector: "VectorClassifier", batch: "ClipBatch", *, pooled: bool
) -> tuple[npt.NDArray[np.float32], Classes]:
    """Return the standardised vectors of clips, or each clip's mean, and the clip of each."""
    vectors, place = collector.vectors(batch)
    values, clip = collector.standardise(vectors).numpy(), place.numpy()
    if not pooled:
        return values, clip
    there = np.unique(clip)
    return np.stack([values[clip == at].mean(0) for at in there]), there


def trained_people(card: Mapping[str, Any]) -> set[str]:
    """Read from a card whom its model, or one that it was started from, was trained or validated on; nobody if it is not said."""
    data, recipe = card.get("data"), card.get("recipe")
    people = data.get("people") if isinstance(data, dict) else None
    before = recipe.get("started_from") if isinstance(recipe, dict) else None
    found = trained_people({"data": before, "recipe": before}) if isinstance(before, dict) else set()
    if not isinstance(people, dict):
        return found
    return found | {str(name) for split in ("train", "val") for name in people.get(split, [])}


def leave_out_trained(
    clips: Sequence[LabelledClip],
    cards: Mapping[str, Mapping[str, Any]],
    *,
    named: bool,
    notify: Notify,
) -> list[LabelledClip]:
    """Leave out the clips of people whom a model, by its card, was trained on; warn by `notify` about unknown people.

    These may be in the clips, or in what a model was trained on. Raises `UsageError` instead if the user `named` the people,
    and `VidferError` if no clip is left.
    """
    for model, card in cards.items():
        known = sorted({clip.person for clip in clips if clip.person} & trained_people(card))
        if known and named:
            raise UsageError(f"{model} was trained on {', '.join(known)}: its accuracy on them says nothing of others")
        if known:
            notify(f"  left out: {model} was trained on {', '.join(known)}")
            clips = [clip for clip in clips if clip.person not in known]
    if not clips:
        raise VidferError("there is no clip of people whom the models were not trained on")
    if unknown := sum(clip.person is None for clip in clips):
        notify(
            f"WARNING: it is not known who is in {unknown} of the {len(clips)} clips. The model may have been trained on the "
            "same people, so the accuracy may be too high: give a manifest with a person column"
        )
    if unsure := [model for model, card in cards.items() if "unknown" in trained_people(card)]:
        notify(
            f"WARNING: {', '.join(unsure)}: trained on clips of persons not known, who may be in these clips, so that "
            "the accuracy may be too high"
        )
    return list(clips)
