"""The regions of a face whose covered share is estimated."""

from typing import Final

import numpy as np

SIDE: Final = 48
"""Edge in px of what the network reads."""

REGIONS: Final = {"eyes": (0.22, 0.29, 0.78, 0.47), "mouth": (0.30, 0.69, 0.70, 0.90)}
"""Left, top, right, bottom of the regions, as shares of a face framed as FER2013's, see `vidfer.media.align.TEMPLATE`."""


def covered_shares(mask: np.ndarray) -> np.ndarray:
    """Return the mean of a mask `(S, S)` in [0, 1] inside each of `REGIONS`, `(2,)`."""
    size = len(mask)
    spans = [[round(edge * size) for edge in region] for region in REGIONS.values()]
    return np.array([mask[top:bottom, left:right].mean() for left, top, right, bottom in spans])
