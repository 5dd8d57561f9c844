"""How far a clip has come on its way through the stages."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

STAGES: Final[Mapping[str, tuple[str, float]]] = {
    "probe": ("opening", 0.01),
    "faces": ("finding faces", 0.52),
    "denoise": ("removing noise", 0.01),
    "finetune": ("reading expressions", 0.12),
    "audio": ("listening", 0.30),
    "classify": ("deciding", 0.01),
    "report": ("writing tables", 0.03),
    "identify": ("telling people apart", 0.05),
    "overlay": ("drawing the overlay", 0.50),
}
"""The stages of a clip in their order: what each does in a person's words, and its share of the clip's time.

The shares are the means, rounded, over eight clips of 3 to 18 s, seven of them with sound, on one core at 5 frames a second and
without the loading of models: from clip to clip faces took 33 to 67 %, sound 2 to 46 %, expressions 6 to 23 %. The share of
`identify` was not measured, and that of `overlay` is a guess between clips of few and of many pixels.
"""

ANALYSIS: Final = tuple(stage for stage in STAGES if stage not in ("identify", "overlay"))
"""The stages of an analysis that links nobody and draws no overlay."""

LOADING: Final = "loading models"
"""What is said until the first clip has moved."""


class ClipProgress:
    """Turns a stage and the share that it has done into the share of the whole clip.

    Args:
        stages: Names of the stages that a clip goes through, in order, of `STAGES`.
    """

    def __init__(self, stages: Sequence[str] = ANALYSIS) -> None:
        total = sum(STAGES[stage][1] for stage in stages)
        self._share = {stage: STAGES[stage][1] / total for stage in stages}
        self._before = dict(zip(stages, accumulate(self._share.values(), initial=0.0), strict=False))

    def done(self, stage: str, share: float) -> float:
        """Return the share of the clip, in [0, 1], that is done when a stage has done a share in [0, 1] of its own work.

        A stage that the clip does not go through counts as nothing.

        Example:
            >>> ClipProgress(("probe", "faces")).done("probe", 0.5) < ClipProgress(("probe", "faces")).done("faces", 0.5)
            True
        """
        return self._before.get(stage, 0.0) + self._share.get(stage, 0.0) * share
