"""Subject-independent K-fold cross-validation of a classifier of clips, beside scikit-learn's support vector machines.

References:
    Cortes, Vapnik: Support-vector networks. Machine Learning 20, 1995.
    Schuller et al.: The INTERSPEECH 2010 paralinguistic challenge. Interspeech 2010 (linear machines on these vectors).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.models.batches import ClipBatch
    from vidfer.models.classifiers.base import VectorClassifier
    from vidfer.tasks.clip import ClipTask
    from vidfer.tasks.fit import Recipe

Notify = Callable[[str], None]
Classes = npt.NDArray[np.int64]

SVMS: Final[Mapping[str, dict[str, Any]]] = {
    "linear, C = 0.0003": {"kernel": "linear", "C": 0.0003},
    "linear, C = 0.001": {"kernel": "linear", "C": 0.001},
    "linear, C = 0.01": {"kernel": "linear", "C": 0.01},
    "rbf, C = 1": {"kernel": "rbf", "C": 1.0},
    "rbf, C = 10": {"kernel": "rbf", "C": 10.0},
}
"""The support vector machines that are tried; classes weigh the same."""

POOLS: Final = ("mean vector", "mean score")
"""A clip as the mean of its vectors; or every vector by itself, and the clip by the mean of their scores."""

_KEPT: Final = ("win_dur", "hop_dur", "voice", "speeds", "batch_size", "standardise")


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
            "subject-independent cross-validation (trains anew)": (
                "folds",
                "classifier",
                "against",
                "standardise",
                "seed",
            ),
            "calibration (with --folds)": ("calibrate", "write_card"),
        }
    }

    folds: int | None = field(default=None, metadata={"metavar": "K"})
    classifier: str | None = None
    against: Literal["svm"] | None = None
    standardise: Literal["global", "speaker"] | None = None
    seed: int | None = None

    def require_folds(self, **more: object) -> None:
        """Refuse options that only mean something with --folds, of this class and others.

        Raises:
            UsageError: There is one.
        """
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
    look: "Callable[[ClipTask, ClipDataModule], None] | None" = None,
) -> dict[str, Any]:
    """Train and test fold by fold.

    Args:
        recipe: What to train.
        source: Data set by name or path, and where it lies.
        people: Whose clips are taken, such as `2-16`; None for all.
        options: The folds.
        settings: Further arguments of the data module; `store` among them.
        notify: Called with a line about each fold, and about what is left out.
        look: Called with each fold's network and data, once both are ready to be tested.

    Returns:
        `on`, which names all this; `recipe`, `data`, `seed`; `scores` of the out-of-fold predictions as a whole; `folds`:
        `people`, `n`, `left_out` and `accuracy` of each; `svm`: the scores of each machine.

    Raises:
        UsageError: The options do not fit the classifier.
        VidferError: There are too few people, or there is nothing to read.
    """
    from vidfer.datamodules.paired import build_clip_data
    from vidfer.metrics.classification import score

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
        target, preds = _one_fold(recipe, data, seed, options.against, look)
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
    data: str,
    people: str | None,
    options: FoldOptions,
    *,
    image_model: str,
    speech_only: bool,
    store: Path,
    notify: Notify,
) -> dict[str, Any]:
    """Cross-validate a classifier of clips on the embeddings of an image model, `fusion` unless another is named.

    See `cross_validate`; with `speech_only`, windows of sound count only where someone speaks.
    """
    recipe, _ = find_recipe(options.classifier or "fusion", {})
    settings = {"voice": speech_only, "image_model": image_model, "store": str(store)}
    return cross_validate(recipe, (data, None), people, options, settings, notify)


def fold_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `cross_validate` returned for a terminal."""
    from vidfer.evaluation.image import score_lines

    lines = score_lines(found["on"], found["scores"])
    if found["svm"]:
        best = max(found["svm"], key=lambda name: found["svm"][name]["accuracy"])
        low, high = found["svm"][best]["accuracy_ci95"]
        lines.append(
            f"scikit-learn's best of {len(found['svm'])} support vector machines, chosen on these predictions ({best}): "
            f"accuracy {found['svm'][best]['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f})"
        )
    return lines


def find_recipe(classifier: str | None, card: Mapping[str, Any]) -> "tuple[Recipe, dict[str, Any]]":
    """Find how to train: the recipe of a classifier by name, or the one in the card of weights.

    Returns:
        The recipe, and the arguments of the data module that decide what is trained on.

    Raises:
        VidferError: There is no name, and the card does not say.
    """
    from vidfer.tasks.fit import RECIPES, Recipe

    if classifier:
        return RECIPES.get(classifier, Recipe(classifier)), {}
    recipe = card.get("recipe")
    parts = recipe if isinstance(recipe, dict) else {}
    task, data = parts.get("task"), parts.get("data")
    if not isinstance(task, dict) or not isinstance(data, dict) or task.get("name") != "ClipTask":
        raise VidferError("the card of these weights does not say how they were trained: name a --classifier")
    settings = {name: value for name, value in task.items() if name not in ("name", "classifier", "arguments")}
    found = Recipe(task["classifier"], task["arguments"] or {}, int(parts["epochs"]), settings)
    return found, {name: data[name] for name in _KEPT if name in data}


def _one_fold(
    recipe: "Recipe",
    data: "ClipDataModule",
    seed: int,
    against: str | None,
    look: "Callable[[ClipTask, ClipDataModule], None] | None",
) -> tuple[Classes, dict[str, Classes]]:
    """Train without the fold's people; return their classes, and the predictions by name: those of the network by ''."""
    from vidfer.datamodules.features import collate_clips
    from vidfer.tasks.fit import answer_all, fit

    task = fit(recipe, data, seed=seed)
    data.setup("test")
    probabilities, target = answer_all(task.classifier, data.test_dataloader())
    if look is not None:
        look(task, data)
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

    Vectors are standardised by the training clips' statistics and clipped, as for every classifier here; `modality` is
    `sound`, `frames` or `both`, as for `VectorClassifier`.
    """
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
        target, kernels = train["target"].numpy()[clip], _kernels(known, new)
        for name, options in SVMS.items():
            machine = SVC(kernel="precomputed", C=options["C"], class_weight="balanced", decision_function_shape="ovr")
            machine.fit(kernels[options["kernel"]][0], target)
            scores = np.full((len(new), 7), -np.inf)
            decided = machine.decision_function(kernels[options["kernel"]][1])
            # of two classes one number: the distance on the second one's side
            scores[:, machine.classes_] = np.stack([-decided, decided], 1) if decided.ndim == 1 else decided
            total = np.zeros((len(test["target"]), 7))
            np.add.at(total, place, scores)
            found[f"{name}, {pool}"] = total.argmax(1)
    return found


def _vectors(
    collector: "VectorClassifier", batch: "ClipBatch", *, pooled: bool
) -> tuple[npt.NDArray[np.float32], Classes]:
    """Return the standardised vectors of clips, or their mean over each clip, and the clip of each."""
    import torch

    vectors, clip = collector.vectors(batch)
    values = collector.standardise(vectors)
    if pooled:
        counts = torch.bincount(clip, minlength=len(batch["target"]))
        there = counts.nonzero()[:, 0]
        total = torch.zeros(len(counts), values.shape[1]).index_add(0, clip, values)
        values, clip = total[there] / counts[there, None], there
    return values.numpy(), clip.numpy()


def _kernels(known: npt.NDArray[np.float32], new: npt.NDArray[np.float32]) -> dict[str, tuple[Any, Any]]:
    """Compute each kernel once for all machines, between training vectors and from the others to them.

    libsvm computes it anew, pair by pair, for each two classes of each machine: hours for ten thousand vectors. The width of
    the radial one is scikit-learn's `scale`.
    """
    from sklearn.metrics.pairwise import linear_kernel, rbf_kernel

    gamma = 1 / (known.shape[1] * float(known.var()))
    return {
        "linear": (linear_kernel(known, known), linear_kernel(new, known)),
        "rbf": (rbf_kernel(known, known, gamma), rbf_kernel(new, known, gamma)),
    }
