"""The clip that is analysed by those who have none at hand."""

import threading
from pathlib import Path
from typing import Final

EXAMPLE: Final = "astronaut.mp4"

_ALONE: Final = threading.Lock()


def example_clip(folder: Path) -> Path:
    """Return the example in a server's folder, made when it is first asked for."""
    from vidfer.datasets.synthetic import write_demo_clip

    clip = folder / EXAMPLE
    with _ALONE:
        if not clip.exists():
            write_demo_clip(clip)
    return clip
