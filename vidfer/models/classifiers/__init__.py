"""Classifiers of clips by name: one file each, a class of `Classifier` in it."""

import inspect
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard

import torch

from vidfer.models.classifiers.base import Classifier
from vidfer.models.lookup import find_class
from vidfer.types import VidferError

_SUPPORT = ("__init__", "base", "recurrent")
_SHARED = {
    "linear": "mlp.LinearClassifier",
    "lstm": "recurrent.LSTMClassifier",
    "rcnn": "cnn.RCNNClassifier",
    "rnn": "recurrent.RNNClassifier",
}  # which share a file with another


def classifier_names() -> list[str]:
    """List the names of the classifiers in this folder, sorted."""
    files = [path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in _SUPPORT]
    return sorted([*files, *_SHARED])


def build_classifier(name: str, arguments: Mapping[str, Any] | None = None) -> Classifier:
    """Build an untrained classifier by its name here, such as `mlp`, or by a class's path, such as `package.module.Class`.

    Raises:
        VidferError: The name or an argument is unknown, or names something else than a `Classifier`.
    """
    kind = _find(name)
    given, known = dict(arguments or {}), inspect.signature(kind).parameters
    if unknown := sorted(set(given) - set(known)):
        raise VidferError(
            f"the classifier '{name}' does not take {', '.join(unknown)}: its arguments are {', '.join(known)}"
        )
    try:
        return kind(**given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise VidferError(f"the classifier '{name}' does not take these arguments: {error}") from error


def with_width(name: str, arguments: Mapping[str, Any], num_frame_features: int) -> dict[str, Any]:
    """Add the length of a face's embedding to the arguments of a classifier that reads embeddings and is not told it."""
    given = dict(arguments)
    if "num_frame_features" in given or "num_frame_features" not in inspect.signature(_find(name)).parameters:
        return given
    with torch.random.fork_rng(devices=[]):  # the network that is trained draws as if this one had not been built
        reads = build_classifier(name, given).reads
    return given | ({"num_frame_features": num_frame_features} if "frames" in reads else {})


def require_trusted(name: str) -> None:
    """Refuse a class that a card names and the user does not: importing it runs the code of its module.

    Raises:
        VidferError: It is none of this folder's, and its package is not in `$VIDFER_CLASSIFIERS`.
    """
    package = name.partition(".")[0]
    trusted = os.environ.get("VIDFER_CLASSIFIERS", "").split(",")
    if name not in classifier_names() and package not in trusted:
        raise VidferError(
            f"the weights are of the network '{name}', which is none of vidfer's: if you trust its package, say so by "
            f"VIDFER_CLASSIFIERS={package}"
        )


def _find(name: str) -> type[Classifier]:
    if name in _SHARED:
        name = f"{__name__}.{_SHARED[name]}"
    elif name in classifier_names():
        module = import_module(f"{__name__}.{name}")
        return next(each for each in vars(module).values() if _is_own(each, module.__name__))
    if "." not in name:
        names = ", ".join(classifier_names())
        raise VidferError(f"unknown classifier '{name}': use one of {names}, or a class as package.module.Class")
    return find_class(name, Classifier)  # type: ignore[type-abstract]  # what is found is concrete


def _is_own(value: Any, module: str) -> TypeGuard[type[Classifier]]:  # noqa: ANN401 - anything that a module holds
    return inspect.isclass(value) and issubclass(value, Classifier) and value.__module__ == module
