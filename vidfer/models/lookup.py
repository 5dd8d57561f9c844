"""Classes by name."""

import inspect
from importlib import import_module
from typing import TypeVar

from vidfer.types import VidferError

Kind = TypeVar("Kind")


def find_class(name: str, base: type[Kind]) -> type[Kind]:
    """Import a class by its dotted path, such as `my_package.my_module.MyClassifier`.

    Raises:
        VidferError: There is none, or it is no concrete subclass of `base`.
    """
    place, _, attribute = name.rpartition(".")
    try:
        kind = getattr(import_module(place), attribute, None)
    except (ImportError, ValueError) as error:
        raise VidferError(f"no class '{name}': {error}") from error
    if not (inspect.isclass(kind) and issubclass(kind, base)) or inspect.isabstract(kind):
        raise VidferError(f"'{name}' is no subclass of {base.__module__}.{base.__qualname__}")
    return kind
