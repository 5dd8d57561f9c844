"""Which clips may be measured."""

from collections.abc import Sequence
from pathlib import Path

from vidfer.api import shown
from vidfer.evaluation import Notify
from vidfer.results.consent import Consent
from vidfer.results.study import read_consents


def consented(clips: Sequence[Path], notify: Notify) -> list[Path]:
    """Return the clips that no `participants.csv` beside or above them refuses; `notify` gets a line about each other one."""
    consents, kept = read_consents({str(clip): clip for clip in clips}), list[Path]()
    for clip in clips:
        if why := consents.get(str(clip), Consent()).refusal():
            notify(f"  left out: {shown(clip)}: {why}")
        else:
            kept.append(clip)
    return kept
