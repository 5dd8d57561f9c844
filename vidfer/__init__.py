"""Turn videos into tables of displayed facial expressions.

    import vidfer

    result = vidfer.analyze("clip.mp4", fps=10)  # one clip, to a ClipResult
    vidfer.Analyzer(device="cuda")  # models that stay loaded, for many clips, arrays and live frames

`dir(vidfer)` lists all there is; docs/how-to/python.md has an example of each.
"""

import logging
import os
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

with suppress(ImportError):  # no such module on Windows
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:  # as in a container: torch fails to import where the user has no name (pytorch/pytorch#140765)
        os.environ.setdefault("LOGNAME", f"uid{os.getuid()}")

logging.getLogger(__name__).addHandler(logging.NullHandler())  # whoever imports vidfer decides what is told, and where

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vidfer.api import Analyzer, ClipResult, LiveFrame, LivePerson, Options, analyze
    from vidfer.api.plots import plot
    from vidfer.api.run import load_run
    from vidfer.api.study import compare
    from vidfer.results.run import Run
    from vidfer.types import EMOTIONS, ClipError, Status, UsageError, VidferError

_MODULES = {
    **dict.fromkeys(("Analyzer", "ClipResult", "LiveFrame", "LivePerson", "Options", "analyze"), "vidfer.api"),
    "Run": "vidfer.results.run",
    "load_run": "vidfer.api.run",
    "compare": "vidfer.api.study",
    "plot": "vidfer.api.plots",
    **dict.fromkeys(("EMOTIONS", "ClipError", "Status", "UsageError", "VidferError"), "vidfer.types"),
}
"""Where each name is, which is imported when it is first used: `import vidfer` costs nothing."""

__all__ = [
    "EMOTIONS",
    "Analyzer",
    "ClipError",
    "ClipResult",
    "LiveFrame",
    "LivePerson",
    "Options",
    "Run",
    "Status",
    "UsageError",
    "VidferError",
    "__version__",
    "analyze",
    "compare",
    "load_run",
    "plot",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - stands for the names above
    if name not in _MODULES:
        raise AttributeError(f"module 'vidfer' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
