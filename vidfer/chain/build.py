"""The whole chain of per-clip stages, from one set of options."""

from dataclasses import dataclass

from vidfer.chain.audio import AudioStage
from vidfer.chain.classify import ClassifyStage
from vidfer.chain.denoise import DenoiseStage
from vidfer.chain.faces import FacesStage
from vidfer.chain.image import ImageStage
from vidfer.chain.report import ReportStage
from vidfer.media.decode import Decoder
from vidfer.stage import Stage
from vidfer.weights.registry import weights_digest


@dataclass(frozen=True)
class ChainOptions:
    """What a user can choose for the chain.

    Args:
        fps: Frames a second of presentation time to look at; ignored when `every` is given.
        every: Look at every n-th frame.
        decoder: `auto`, `pyav` or `decord`.
        image_model: Name of shipped weights or a weights file.
        audio_model: Name of shipped weights or a weights file.
        device: `cpu`, `cuda` or `cuda:N`; never changes a key.
        timeout: Seconds to wait for a decoder beyond the playing time, before a clip is given up; never changes a key.
    """

    fps: float = 5.0
    every: int | None = None
    decoder: Decoder = "auto"
    image_model: str = "compact"
    audio_model: str = "is10"
    device: str = "cpu"
    timeout: float = 120.0


def build_chain(options: ChainOptions) -> tuple[Stage, ...]:
    """Build the stages in the order in which they run.

    Raises:
        VidferError: Weights are missing or unusable.
    """
    fps = options.fps if options.every is None else None
    return (
        FacesStage(fps, options.every, options.decoder, timeout=options.timeout, device=options.device),
        DenoiseStage(),
        ImageStage(weights_digest("image", options.image_model), options.image_model, options.device),
        AudioStage(timeout=options.timeout),
        ClassifyStage(weights_digest("audio", options.audio_model), audio_model=options.audio_model),
        ReportStage(),
    )
