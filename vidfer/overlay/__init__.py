"""The video with what was found drawn into it."""

from vidfer.overlay.plan import Blur
from vidfer.overlay.write import Written, write_overlay

__all__ = ["Blur", "Written", "write_overlay"]
