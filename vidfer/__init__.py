"""Turn a video into a table of displayed facial expressions.

`vidfer.analyze(path)` is the whole chain; `vidfer.ClipResult` is what it returns.
"""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

with suppress(ImportError):  # no such module on Windows
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:  # as in a container: torch fails to import where the user has no name (pytorch/pytorch#140765)
        os.environ.setdefault("LOGNAME", f"uid{os.getuid()}")

__version__ = "0.1.0"

__all__ = ["ChainOptions", "ClipResult", "__version__", "analyze"]

if TYPE_CHECKING:
    from vidfer.api import ClipResult, analyze
    from vidfer.stages.chain import ChainOptions


def __getattr__(name: str) -> Any:  # noqa: ANN401 - stands for the three names above, imported when first used
    if name not in __all__:
        raise AttributeError(f"module 'vidfer' has no attribute '{name}'")
    from vidfer import api

    return getattr(api, name)
