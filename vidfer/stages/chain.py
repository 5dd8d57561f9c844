"""The whole chain of per-clip stages, from one set of options."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from vidfer.inference.decision import Pool, Rules
from vidfer.media.audio import FEATURES
from vidfer.media.decode import Decoder
from vidfer.pipeline.stage import Stage
from vidfer.stages.audio import AudioStage
from vidfer.stages.classify import ClassifyStage
from vidfer.stages.denoise import DenoiseMode, DenoiseStage
from vidfer.stages.faces import DenoiseScope, Denoising, FacesStage
from vidfer.stages.finetune import ImageStage
from vidfer.stages.report import ReportStage
from vidfer.types import EMOTIONS, UsageError, VidferError
from vidfer.weights.files import Weights, find_weights, read_calibration, weights_digest

SpeechMode = Literal["auto", "off"]
Prior = Literal["uniform", "training"]


@dataclass(frozen=True)
class ChainOptions:
    """What a user can choose for the chain.

    Args:
        fps: Frames per second that are looked at.
        every: Look at every n-th frame instead of so many per second.
        decoder: Decoder of the frames; `auto` is pyav.
        denoise: `auto` denoises what is noisier than the threshold, `on` everything, `off` nothing.
        denoise_scope: `face` denoises face crops; `frame` whole frames before face detection, which is slow.
        denoise_model: Denoiser's weights by name or file.
        denoise_threshold: Noise above which `auto` denoises, as sigma on the scale 0-255.
        image_model: Image model's weights by name or file (default: compact); beside `--weights`, the network
            that they have to be for.
        weights: File with the image model's weights, such as `make finetune` exports.
        audio_model: Sound model's weights by name or file.
        fusion_model: `auto` takes the shipped fusion model where it fits the other models, else the weighted sum; `late` the
            weighted sum; otherwise weights by name or file.
        voice: `auto` uses the sound where someone speaks, `off` wherever it is not silent.
        prior: `uniform` moves the faces' probabilities half way from the training set's class shares to equal ones;
            `training` leaves them.
        pool: `peaks` pools the half of a person's face images with most expression, `mean` all of them.
        abstain: Predict `uncertain` where no class has this probability, between 0 and 1.
        device: Where to compute: cpu, cuda or cuda:N.
        timeout: Seconds to wait for a stuck decoder.

    Raises:
        UsageError: A value is out of range, or there are no such weights.
    """

    fps: float = 5.0
    every: int | None = None
    decoder: Decoder = "auto"
    denoise: DenoiseMode = "auto"
    denoise_scope: DenoiseScope = "face"
    denoise_model: str = "small"
    denoise_threshold: float = 10.0
    image_model: str | None = None
    weights: Path | None = None
    audio_model: str = "is10"
    fusion_model: str = "auto"
    voice: SpeechMode = "auto"
    prior: Prior = "uniform"
    pool: Pool = "peaks"
    abstain: float | None = None
    device: str = "cpu"
    timeout: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, kind in get_type_hints(ChainOptions).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                choices = ", ".join(get_args(kind))
                raise UsageError(f"{_option(name)} has to be one of {choices}, not {getattr(self, name)}")
        for name in ("fps", "denoise_threshold", "timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{_option(name)} has to be above 0, not {getattr(self, name)}")
        if self.every is not None and self.every < 1:
            raise UsageError(f"--every has to be at least 1, not {self.every}")
        if self.abstain is not None and not 0 < self.abstain < 1:
            raise UsageError(f"--abstain has to be above 0 and below 1, not {self.abstain}")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"--device has to be cpu, cuda or cuda:N, not {self.device}")
        self._require_weights()

    def _require_weights(self) -> None:
        wanted = {"image": self.image_weights, "audio": self.audio_model}
        if self.denoise != "off":
            wanted["denoise"] = self.denoise_model
        if self.fusion_model not in ("auto", "late"):
            wanted["fusion"] = self.fusion_model
        try:
            cards = {kind: find_weights(kind, name).card for kind, name in wanted.items()}
        except VidferError as error:
            raise UsageError(str(error)) from error
        if self.weights and self.image_model not in (None, arch := cards["image"]["arch"]):
            raise UsageError(f"{self.weights} holds weights of the network '{arch}', not of '{self.image_model}'")

    @property
    def image_weights(self) -> str:
        """Name or file of the image model's weights, from `weights` and `image_model`."""
        return str(self.weights or self.image_model or "compact")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def build_chain(options: ChainOptions) -> tuple[Stage, ...]:
    """Build the stages in the order in which they run.

    Raises:
        VidferError: Weights are unusable, or do not fit each other.
    """
    denoise = None
    if options.denoise != "off":
        threshold = float(options.denoise_threshold) if options.denoise == "auto" else None
        denoise = Denoising(weights_digest("denoise", options.denoise_model), threshold)
    fusion, fallback = _fusion(options)
    rules = build_rules(options)
    notes = {
        "the image weights' card has no temperature: 1 is used": rules.face_calibration is None,
        "the image weights' card has no class shares: the training set's prior is kept": (
            options.prior == "uniform" and rules.class_shares is None
        ),
        fallback: bool(fallback),
    }
    image, denoise_model, device = options.image_weights, options.denoise_model, options.device
    return (
        FacesStage(
            float(options.fps) if options.every is None else None,
            options.every,
            "decord" if options.decoder == "decord" else "pyav",
            denoise=denoise if options.denoise_scope == "frame" else None,
            denoise_model=denoise_model,
            timeout=options.timeout,
            device=device,
        ),
        DenoiseStage(denoise, options.denoise_scope if denoise else None, denoise_model=denoise_model, device=device),
        ImageStage(weights_digest("image", image), image_model=image, device=device),
        AudioStage(timeout=options.timeout),
        ClassifyStage(
            weights_digest("audio", options.audio_model),
            rules,
            fusion=weights_digest("fusion", fusion) if fusion else None,
            notes=tuple(note for note, applies in notes.items() if applies),
            audio_model=options.audio_model,
            fusion_model=fusion or "",
        ),
        ReportStage(),
    )


def build_rules(options: ChainOptions) -> Rules:
    """Collect the settings of the decision from the options and from the models' cards.

    Raises:
        VidferError: A card holds nonsense, or models do not fit each other.
    """
    image, audio = find_weights("image", options.image_weights), find_weights("audio", options.audio_model)
    if fault := incompatibility("audio", options.audio_model):
        raise VidferError(f"the audio model {options.audio_model} does not fit: {fault}")
    fusion, _ = _fusion(options)
    return Rules(
        face_calibration=read_calibration(image),
        sound_calibration=read_calibration(audio),
        fusion_calibration=read_calibration(find_weights("fusion", fusion)) if fusion else None,
        class_shares=_class_shares(image) if options.prior == "uniform" else None,
        pool=options.pool,
        abstain=None if options.abstain is None else float(options.abstain),
        speech_only=options.voice == "auto",
    )


def _class_shares(image: Weights) -> tuple[float, ...] | None:
    data = image.card.get("data")
    shares = data.get("class_shares") if isinstance(data, dict) else None
    if shares is None:
        return None
    numbers = isinstance(shares, list) and all(type(share) in (int, float) for share in shares)
    if not numbers or len(shares) != len(EMOTIONS) or not all(0 < share < float("inf") for share in shares):
        fault = f"the card of {image.path} has {shares!r} for class_shares, not seven numbers above 0"
        raise VidferError(f"{fault}: use --prior training")
    return tuple(map(float, shares))


def _fusion(options: ChainOptions) -> tuple[str | None, str]:
    """Choose the fusion model, or say why there is none; raises where the one that was named does not fit."""
    if options.fusion_model == "late":
        return None, ""
    name = "fusion" if options.fusion_model == "auto" else options.fusion_model
    fault = incompatibility("fusion", name, options.image_weights)
    if not fault:
        return name, ""
    if options.fusion_model == "auto":
        return None, f"late fusion: the fusion model does not fit, since {fault}"
    raise VidferError(f"the fusion model {name} does not fit: {fault}")


def incompatibility(kind: str, name: str, image_model: str = "compact") -> str:
    """Say what an `audio` or `fusion` model was trained on and does not get in the chain, as a clause, or nothing.

    Models are given by name or file; a fusion model is given the embeddings of `image_model`.
    """
    card = find_weights(kind, name).card
    trained, windows = card["preprocessing"], AudioStage()
    if kind == "fusion" and trained.get("image_weights") != weights_digest("image", image_model):
        return "it was trained on the embeddings of other image weights"
    for length in ("win_dur", "hop_dur"):
        if trained.get(length, getattr(windows, length)) != getattr(windows, length):
            return f"it was trained on other windows of sound than {windows.win_dur:g} s every {windows.hop_dur:g} s"
    if trained.get("standardise", "global") != "global":
        return "it needs sound standardised by each speaker's other recordings, which a single clip does not have"
    if card["arguments"].get("num_sound_features", FEATURES) != FEATURES:
        return f"it reads other vectors of sound than openSMILE's {FEATURES} features"
    return ""
