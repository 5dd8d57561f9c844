"""From where processes that are started here import modules: never from the folder of the clips, unless this process does."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_VARIABLE: Final = "PYTHONSAFEPATH"
_ENVIRONMENT: Final = threading.Lock()


def imports_from_here() -> bool:
    """Whether this process itself looks for modules in the working folder, as after `python -m` and in a notebook."""
    try:
        here = str(Path.cwd())
    except OSError:  # it was deleted
        return False
    return "" in sys.path or here in sys.path


def keep_path_safe() -> None:
    """Have no process that is started from now on import modules from the working folder, unless this one does.

    Clips lie there, and perhaps a `json.py` that came with them. Python looks there first where it is started by `-c` or `-m`, as
    `multiprocessing`, joblib and submitit do without asking; this is `-P` for all of them.
    """
    if not imports_from_here():
        os.environ[_VARIABLE] = "1"


@contextmanager
def safe_path() -> Iterator[None]:
    """Do what `keep_path_safe` does for what is started in the block alone: a library leaves its user's processes as they are."""
    if os.environ.get(_VARIABLE) or imports_from_here():
        yield
        return
    with _ENVIRONMENT:
        os.environ[_VARIABLE] = "1"
        try:
            yield
        finally:
            os.environ.pop(_VARIABLE, None)
