"""The whole chain of per-clip stages, from one set of options."""

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vidfer.media.decode import Decoder
from vidfer.pipeline.stage import Stage
from vidfer.stages.audio import AudioStage
from vidfer.stages.classify import ClassifyStage, Pool, Prior
from vidfer.stages.denoise import DenoiseStage
from vidfer.stages.denoising import DenoiseMode, DenoiseScope, Denoising
from vidfer.stages.faces import FacesStage
from vidfer.stages.finetune import ImageStage
from vidfer.stages.incompatibility import incompatibility
from vidfer.stages.report import ReportStage
from vidfer.types import EMOTIONS, VidferError
from vidfer.weights.files import find_weights, read_calibration, weights_digest

VoiceMode = Literal["auto", "off"]


@dataclass(frozen=True)
class ChainOptions:
    """What a user can choose for the chain.

    Args:
        fps: Frames to look at a second, by presentation time; ignored when `every` is given.
        every: Look at every N-th frame instead.
        decoder: Which decoder reads the frames; `auto` is PyAV, see `vidfer.media.decode_decord` for the reason.
        denoise: `auto`: what is noisier than the threshold; `on`: everything; `off`: nothing.
        denoise_scope: `face`: the face crops; `frame`: whole frames before faces are looked for, which takes about a second
            for a noisy frame of 640x480.
        denoise_model: Weights by name or file; not read with `off`.
        denoise_threshold: Sigma of the noise on the scale 0-255 above which `auto` acts.
        image_model: Weights by name or file.
        audio_model: Weights by name or file.
        fusion_model: `auto`: the trained one where it fits the other models, else late fusion; `late`: the weighted sum; or
            weights by name or file, which have to fit.
        voice: `auto`: use windows of sound in which someone speaks; `off`: all that are not silent.
        prior: Class shares assumed for the faces; `uniform`: move half way from the training images' shares to equal ones;
            `training`: leave them. See `vidfer.inference.decision.logit_adjustment`.
        pool: A person's face images that count; `peaks`: the half with most expression; `mean`: all of them.
        abstain: Probability in (0, 1) below which a prediction is `uncertain`; None to name a class always.
        device: `cpu`, `cuda` or `cuda:N`; never changes a key.
        timeout: Seconds to wait for a decoder beyond the playing time; never changes a key.
    """

    fps: float = 5.0
    every: int | None = None
    decoder: Decoder = "auto"
    denoise: DenoiseMode = "auto"
    denoise_scope: DenoiseScope = "face"
    denoise_model: str = "small"
    denoise_threshold: float = 10.0
    image_model: str = "compact"
    audio_model: str = "is10"
    fusion_model: str = "auto"
    voice: VoiceMode = "auto"
    prior: Prior = "uniform"
    pool: Pool = "peaks"
    abstain: float | None = None
    device: str = "cpu"
    timeout: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what no command line could say.

        Raises:
            VidferError: A value is out of range.
        """
        named: tuple[tuple[str, Any], ...] = (
            ("decoder", Decoder),
            ("denoise", DenoiseMode),
            ("denoise_scope", DenoiseScope),
            ("voice", VoiceMode),
            ("prior", Prior),
            ("pool", Pool),
        )
        for name, kind in named:
            if getattr(self, name) not in get_args(kind):
                raise VidferError(f"{name} '{getattr(self, name)}' is none of {', '.join(get_args(kind))}")
        if not 0 < self.fps < float("inf") or (self.every is not None and self.every < 1):
            raise VidferError(f"fps has to be above 0 and every at least 1, not {self.fps} and {self.every}")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise VidferError(f"device '{self.device}' is not cpu, cuda or cuda:N")
        if not 0 < self.timeout < float("inf"):
            raise VidferError(f"timeout has to be above 0, not {self.timeout}")
        if not 0 < self.denoise_threshold < float("inf"):
            raise VidferError(f"denoise_threshold has to be above 0, not {self.denoise_threshold}")
        if self.abstain is not None and not 0 < self.abstain < 1:
            raise VidferError(f"abstain has to be between 0 and 1, both excluded, not {self.abstain}")


def build_chain(options: ChainOptions) -> tuple[Stage, ...]:
    """Build the stages in the order in which they run.

    Raises:
        VidferError: Weights are missing or unusable.
    """
    fps = float(options.fps) if options.every is None else None
    decoder: Decoder = "decord" if options.decoder == "decord" else "pyav"
    denoise = _denoising(options)
    framewise = options.denoise_scope == "frame"
    return (
        FacesStage(
            fps,
            options.every,
            decoder,
            denoise=denoise if framewise else None,
            denoise_model=options.denoise_model,
            timeout=options.timeout,
            device=options.device,
        ),
        DenoiseStage(
            denoise,
            options.denoise_scope if denoise else None,
            denoise_model=options.denoise_model,
            device=options.device,
        ),
        ImageStage(
            weights_digest("image", options.image_model), image_model=options.image_model, device=options.device
        ),
        AudioStage(timeout=options.timeout),
        _classify(options),
        ReportStage(),
    )


def _classify(options: ChainOptions) -> ClassifyStage:
    """Take from the image weights' card what they were calibrated to; older cards lack it."""
    found = find_weights("image", options.image_model)
    temperature, smoothing = read_calibration(found) or (None, 0.0)
    data = found.card.get("data")
    shares = data.get("class_shares") if isinstance(data, dict) and options.prior == "uniform" else None
    if shares is not None and not (
        isinstance(shares, list) and len(shares) == len(EMOTIONS) and all(map(_is_positive, shares))
    ):
        raise VidferError(
            f"the card of {found.path} has {shares!r} for class_shares, not seven numbers above 0: use --prior training"
        )
    if fault := incompatibility("audio", options.audio_model):
        raise VidferError(f"the audio model {options.audio_model} does not fit: {fault}")
    fusion, note = _fusion(options)
    return ClassifyStage(
        weights_digest("audio", options.audio_model),
        temperature=temperature,
        smoothing=smoothing,
        prior=options.prior,
        class_shares=None if shares is None else tuple(float(share) for share in shares),
        pool=options.pool,
        abstain=None if options.abstain is None else float(options.abstain),
        voice=options.voice == "auto",
        sound_calibration=read_calibration(find_weights("audio", options.audio_model)),
        fusion=weights_digest("fusion", fusion) if fusion else None,
        fusion_calibration=read_calibration(find_weights("fusion", fusion)) if fusion else None,
        fusion_note=note,
        audio_model=options.audio_model,
        fusion_model=fusion or "",
    )


def _fusion(options: ChainOptions) -> tuple[str | None, str]:
    """Choose the fusion model, or say why there is none.

    Raises:
        VidferError: The one that was named does not fit.
    """
    if options.fusion_model == "late":
        return None, ""
    name = "fusion" if options.fusion_model == "auto" else options.fusion_model
    fault = incompatibility("fusion", name, options.image_model)
    if not fault:
        return name, ""
    if options.fusion_model == "auto":
        return None, f"late fusion: the fusion model does not fit, since {fault}"
    raise VidferError(f"the fusion model {name} does not fit: {fault}")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _denoising(options: ChainOptions) -> Denoising | None:
    if options.denoise == "off":
        return None
    threshold = float(options.denoise_threshold) if options.denoise == "auto" else None
    return Denoising(weights_digest("denoise", options.denoise_model), threshold)
