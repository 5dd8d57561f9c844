"""The options that verbs share which send clips through the chain."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.stages.chain import ChainOptions
from vidfer.types import UsageError

GROUPS = {
    "sampling": ("fps", "every", "decoder"),
    "models": ("image_model", "weights", "audio_model", "fusion_model"),
    "denoising": ("denoise", "denoise_scope", "denoise_model", "denoise_threshold"),
    "from probabilities to predictions": ("prior", "pool", "voice", "abstain"),
    "where and how (never changes a result)": ("device", "jobs", "timeout", "store"),
}


@dataclass(frozen=True)
class WorkOptions:
    """What decides the chain's result, and where it runs.

    Args:
        jobs: Clips at once.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    chain: ChainOptions = field(
        default_factory=ChainOptions, metadata={"groups": GROUPS, "exclusive": ("fps", "every")}
    )
    jobs: int = 1
    store: Path | None = field(default=None, metadata={"metavar": "DIR"})

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: A value is out of range.
        """
        if self.jobs < 1:
            raise UsageError(f"--jobs has to be at least 1, not {self.jobs}")
