"""The options that verbs share which send clips through the chain."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from vidfer.stages.chain import ChainOptions
from vidfer.types import UsageError, VidferError

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
        image_model: Weights by name or file (default: compact, as shipped); with --weights, the network that they are to be of.
        weights: The image model's weights, such as `make finetune` exports.
        jobs: Clips at once.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    chain: ChainOptions = field(
        default_factory=ChainOptions, metadata={"groups": GROUPS, "exclusive": ("fps", "every")}
    )
    image_model: str | None = field(default=None, metadata={"metavar": "NAME|FILE"})
    weights: Path | None = field(default=None, metadata={"metavar": "FILE"})
    jobs: int = 1
    store: Path | None = field(default=None, metadata={"metavar": "DIR"})

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            VidferError: A value is out of range.
        """
        if self.jobs < 1:
            raise VidferError(f"--jobs has to be at least 1, not {self.jobs}")

    def chain_options(self) -> ChainOptions:
        """Return the chain's options, once all weights that they name are found.

        Raises:
            UsageError: There are no such weights.
        """
        from vidfer.weights.files import find_weights

        options = self.chain
        wanted = {"image": str(self.weights or options.image_model), "audio": options.audio_model}
        if options.denoise != "off":
            wanted["denoise"] = options.denoise_model
        if options.fusion_model not in ("auto", "late"):
            wanted["fusion"] = options.fusion_model
        try:
            found = {kind: find_weights(kind, name) for kind, name in wanted.items()}
        except VidferError as error:
            raise UsageError(str(error)) from error
        if self.weights is not None and self.image_model not in (None, arch := found["image"].card["arch"]):
            raise UsageError(f"{self.weights} holds weights of the network '{arch}', not of '{self.image_model}'")
        return replace(options, image_model=wanted["image"])
