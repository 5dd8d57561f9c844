"""Odd media files of every kind: damaged, mislabelled, hostile in their sizes, and unusual but right."""

from tests.faults.odd.sounds import SOUNDS
from tests.faults.odd.stills import PICTURES
from tests.faults.odd.videos import VIDEOS

KINDS = (*VIDEOS, *SOUNDS, *PICTURES)
