"""What of vidfer's own files decides what is written of a clip that is analysed already."""

from functools import cache
from pathlib import Path
from typing import Final

from blake3 import blake3

import vidfer

_DECIDING: Final = ("api", "inference/decision.py", "pages", "results")
"""Below vidfer's folder: from a stored report to tables and pages."""


@cache
def code_digest() -> str:
    """Return the digest of vidfer's version and of the files by which tables and pages are made.

    Pages change with nearly every version, and more often while they are worked on. No number is bumped for that, as it is for
    stages: what other code wrote is written again, which takes a tenth of a second a clip.
    """
    root, digest = Path(vidfer.__file__).parent, blake3(vidfer.__version__.encode())
    for place in _DECIDING:
        inside = [root / place] if (root / place).is_file() else (root / place).rglob("*")
        for file in sorted(path for path in inside if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()
