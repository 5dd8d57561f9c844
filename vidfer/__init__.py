"""Turn a video into a table of displayed facial expressions.

`vidfer.analyze(path)` is the whole chain; `vidfer.ClipResult` is what it returns.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["ChainOptions", "ClipResult", "__version__", "analyze"]

if TYPE_CHECKING:
    from vidfer.api import ClipResult, analyze
    from vidfer.stages.chain import ChainOptions


def __getattr__(name: str) -> Any:  # noqa: ANN401 - stands for the three names above, imported when first used
    if name == "ChainOptions":
        from vidfer.stages.chain import ChainOptions

        return ChainOptions
    if name in __all__:
        from vidfer import api

        return getattr(api, name)
    raise AttributeError(f"module 'vidfer' has no attribute '{name}'")
