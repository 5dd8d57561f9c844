"""The colour of each expression, in every plot, page and video."""

from typing import Final

COLOURS: Final[dict[str, str]] = {
    "neutral": "#D9D9D9",
    "happy": "#F0E442",
    "surprise": "#56B4E9",
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "sad": "#0072B2",
}
"""Colours of Okabe and Ito (2008), which people with any colour vision tell apart, from bottom to top of a stack."""
