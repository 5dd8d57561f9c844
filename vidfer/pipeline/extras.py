"""Packages that only some commands need, and that `pip install .` leaves out: the one place that says how to get them."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from vidfer.types import UsageError

EXTRAS: Final = {
    "app": ("fastapi", "python_multipart", "starlette", "uvicorn", "websockets"),
    "bm3d": ("bm3d",),
    "ray": ("ray",),
    "s3": ("s3fs",),
    "slurm": ("submitit",),
    "study": ("matplotlib", "scipy", "sklearn"),
    "train": (
        "facenet_pytorch", "lightning", "markdown_it", "omegaconf", "onnx", "onnxscript", "optuna", "skimage", "timm", "torch",
        "torchmetrics", "torchvision", "wandb",
    ),
}  # fmt: skip
"""The names by which each extra of pyproject.toml is imported."""


def absent(extra: str) -> list[str]:
    """List what is not installed of an extra."""
    return [name for name in EXTRAS[extra] if find_spec(name) is None]


def need(what: str, name: str, within: str = "") -> UsageError | None:
    """Return the error that something needs a module which is not installed; None where no extra brings it.

    `within` is the extra that the whole command needs, where it is known: it brings others that are smaller.
    """
    extra = next((extra for extra, names in EXTRAS.items() if name in names), "")
    if not extra:
        return None
    return UsageError(f"{what} needs {name}, which is not installed: pip install 'vidfer[{within or extra}]'")


def require(what: str, *names: str) -> None:
    """Raise UsageError if something needs a module of an extra that is not installed."""
    for name in names:
        if find_spec(name) is None and (error := need(what, name)):
            raise error


@contextmanager
def explained_imports(what: str, within: str = "") -> Iterator[None]:
    """Turn the error of importing a package of an extra that is not installed into a UsageError that says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        explained = need(what, (error.name or "").partition(".")[0], within)
        if explained is None:  # not an extra's: a fault of the installation, or of vidfer
            raise
        raise explained from error
