"""Classifiers by name."""

from typing import Any

from vidfer.models.classifiers.linear import LinearClassifier
from vidfer.models.classifiers.mlp import MLPClassifier
from vidfer.types import VidferError

CLASSIFIERS: dict[str, type[LinearClassifier | MLPClassifier]] = {"linear": LinearClassifier, "mlp": MLPClassifier}


def build_classifier(name: str, **arguments: Any) -> LinearClassifier | MLPClassifier:  # noqa: ANN401 - from a card
    """Build a classifier of feature vectors by name.

    Args:
        name: `linear` or `mlp`.
        arguments: Its constructor's arguments, as a card holds them.

    Returns:
        A module that maps vectors `(N, F)` to logits `(N, 7)`, with a `standardise` module to be fitted before training.

    Raises:
        VidferError: The name or an argument is unknown.
    """
    if name not in CLASSIFIERS:
        raise VidferError(f"unknown classifier '{name}': use one of {', '.join(CLASSIFIERS)}")
    try:
        return CLASSIFIERS[name](**arguments)
    except TypeError as error:
        raise VidferError(f"the classifier '{name}' does not take these arguments: {error}") from error
