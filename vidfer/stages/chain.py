"""The whole chain of per-clip stages, from one set of options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from vidfer.inference.decision import UNCALIBRATED, Answer, Pool, Rules
from vidfer.inference.network import Backend, Compute
from vidfer.media.decode import Decoder
from vidfer.pipeline.paths import is_folder
from vidfer.pipeline.stage import Stage
from vidfer.stages.choice import Choice, Preset, Prior, SpeechMode, choose, require_choices, require_positive
from vidfer.stages.classify import ClassifyStage
from vidfer.stages.denoise import DenoiseMode, DenoiseStage
from vidfer.stages.faces import DenoiseScope, Denoising, FacesStage
from vidfer.stages.finetune import ImageStage
from vidfer.stages.fitting import audio_stage, fitting, other_faces
from vidfer.stages.probe import ProbeStage
from vidfer.stages.report import ReportStage
from vidfer.types import EMOTIONS, UsageError, VidferError
from vidfer.weights.files import Weights, find_weights, read_calibration, weights_digest

OPTION_GROUPS: Final = {
    "sampling": ("fps", "every", "picture_fps", "decoder"),
    "models": ("models", "preset", "image_model", "weights", "audio_model", "faces_model", "fusion_model"),
    "denoising": ("denoise", "denoise_scope", "denoise_model", "denoise_threshold"),
    "from probabilities to predictions": ("answer", "prior", "pool", "voice", "abstain"),
    "what is kept": ("keep_faces",),
    "where and how (never changes a result)": ("device", "backend", "jobs", "timeout", "store"),
}
"""The titles under which a command's help lists the options of the chain, and those that commands add to them."""


@dataclass(frozen=True)
class ChainOptions:
    """What a user can choose for the chain; None leaves it to the preset, else to the bundle.

    Args:
        fps: Frames per second that are looked at.
        every: Look at every n-th frame instead of so many per second.
        picture_fps: Frames per second of folders of numbered pictures, which are one clip each then.
        decoder: Decoder of the frames; `auto` is pyav.
        models: Folder of a bundle: weights of all kinds, and the settings that go with them (default: what ships with vidfer).
        preset: `paper` predicts as the paper does: every face is denoised, each face image has a vote, and GAN-SGDMA classifies
            the sound; `default` leaves all to the bundle.
        denoise: `auto` denoises what is noisier than the threshold, `on` everything, `off` nothing (default: the bundle's, which
            is `auto` in the shipped one).
        denoise_scope: `face` denoises face crops; `frame` whole frames before face detection, which is slow (default: the
            bundle's, `face`).
        denoise_model: Denoiser's weights by name or file (default: the bundle's, small).
        denoise_threshold: Noise above which `auto` denoises, as sigma on the scale 0-255 (default: the bundle's, 10).
        image_model: Image model's weights by name or file (default: the bundle's, compact); beside `--weights`, the network
            that they have to be for.
        weights: File with the image model's weights, such as `make finetune` exports.
        audio_model: Sound model's weights by name or file, or none (default: the bundle's, voice).
        faces_model: Weights of a classifier of each person's faces, or none to pool the image model's predictions (default: the
            bundle's, none).
        fusion_model: Weights by name or file; `late` takes the product, and `auto` the bundle's where they fit the other models,
            else that product (default: `auto`).
        voice: `auto` uses the sound where someone speaks, `off` wherever it is not silent (default: the bundle's, `auto`).
        answer: `pool` pools a person's face images, or leaves them to the faces model; `vote` counts their most probable classes
            (default: the bundle's, `pool`).
        prior: `uniform` moves the faces' probabilities half way from the training set's class shares to equal ones;
            `training` leaves them (default: the bundle's, `uniform`).
        pool: `peaks` pools the half of a person's face images with most expression, `mean` all of them (default: the bundle's,
            `peaks`).
        abstain: Predict `uncertain` where no class has this probability, between 0 and 1.
        keep_faces: Tables and embeddings are kept, and no pixel of a clip; reports have no pictures then (default: face images
            are kept, for the user alone).
        device: Where to compute: cpu, cuda or cuda:N.
        backend: What computes the networks: onnx is ONNX Runtime, on the CPU; torch needs `vidfer[train]`; auto is onnx on the
            CPU for weights that have a graph, else torch.
        timeout: Seconds to wait for a stuck decoder.

    Raises:
        UsageError: A value is out of range, there is no such bundle, or there are no such weights.
    """

    fps: float = 5.0
    every: int | None = None
    picture_fps: float | None = None
    decoder: Decoder = "auto"
    models: Path | None = field(default=None, metadata={"metavar": "BUNDLE"})
    preset: Preset = "default"
    denoise: DenoiseMode | None = None
    denoise_scope: DenoiseScope | None = None
    denoise_model: str | None = None
    denoise_threshold: float | None = None
    image_model: str | None = None
    weights: Path | None = None
    audio_model: str | None = None
    faces_model: str | None = None
    fusion_model: str | None = None
    voice: SpeechMode | None = None
    answer: Answer | None = None
    prior: Prior | None = None
    pool: Pool | None = None
    abstain: float | None = None
    keep_faces: bool = True
    device: str = "cpu"
    backend: Backend = "auto"
    timeout: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        require_choices(self)
        require_positive(self, "fps", "picture_fps", "denoise_threshold", "timeout")
        if self.every is not None and self.every < 1:
            raise UsageError(f"--every has to be at least 1, not {self.every}")
        if self.abstain is not None and not 0 < self.abstain < 1:
            raise UsageError(f"--abstain has to be above 0 and below 1, not {self.abstain}")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"--device has to be cpu, cuda or cuda:N, not {self.device}")
        _ = self.choice

    @cached_property
    def choice(self) -> Choice:
        """The weights and settings that these options, the preset and the bundle decide on."""
        return choose(self)

    @property
    def compute(self) -> Compute:
        """Where and by what networks are computed."""
        return Compute(self.device, self.backend)

    @property
    def image_weights(self) -> str:
        """Name or file of the image model's weights."""
        return self.choice.models["image"]


def for_clip(options: ChainOptions, clip: Path) -> ChainOptions:
    """Return the options without those that mean nothing for a clip, and would make another one of it."""
    return replace(options, picture_fps=None) if options.picture_fps is not None and not is_folder(clip) else options


def build_chain(options: ChainOptions) -> tuple[Stage, ...]:
    """Build the stages in the order in which they run.

    Raises:
        VidferError: Weights are unusable, or do not fit each other.
    """
    models, notes = fitting(options.choice)
    settings, compute, rules = options.choice.settings, options.compute, build_rules(options)
    denoise = _denoising(options, models)
    notes = (*_notes(options, models, rules), *notes)
    denoiser = models.get("denoise", "")
    digests = {kind: weights_digest(kind, models[kind]) for kind in ("audio", "faces", "fusion") if kind in models}
    return (
        ProbeStage(None if options.picture_fps is None else float(options.picture_fps), timeout=options.timeout),
        FacesStage(
            float(options.fps) if options.every is None else None,
            options.every,
            "decord" if options.decoder == "decord" else "pyav",
            None if options.picture_fps is None else float(options.picture_fps),
            denoise=denoise if settings.denoise_scope == "frame" else None,
            denoise_model=denoiser,
            keep_faces=options.keep_faces,
            timeout=options.timeout,
            compute=compute,
        ),
        DenoiseStage(
            denoise,
            settings.denoise_scope if denoise else None,
            denoise_model=denoiser,
            keep_faces=options.keep_faces,
            compute=compute,
        ),
        ImageStage(weights_digest("image", models["image"]), image_model=models["image"], compute=compute),
        audio_stage(models.get("audio"), timeout=options.timeout),
        ClassifyStage(
            digests.get("audio"),
            rules,
            faces=digests.get("faces"),
            fusion=digests.get("fusion"),
            notes=notes,
            compute=compute,
            audio_model=models.get("audio", ""),
            faces_model=models.get("faces", ""),
            fusion_model=models.get("fusion", ""),
        ),
        ReportStage(options.keep_faces),
    )


def _denoising(options: ChainOptions, models: Mapping[str, str]) -> Denoising | None:
    """What denoises, and from which noise on; None where nothing does."""
    if "denoise" not in models:
        return None
    settings = options.choice.settings
    threshold = float(settings.denoise_threshold) if settings.denoise == "auto" else None
    return Denoising(weights_digest("denoise", models["denoise"]), threshold)


def _notes(options: ChainOptions, models: Mapping[str, str], rules: Rules) -> tuple[str, ...]:
    """What the report has to say of the image model and of what its card lacks."""
    other = other_faces(find_weights("image", models["image"]).card, "image", models["image"], models.get("denoise"))
    missing = {
        f"the image model predicts all the same, though {other}": bool(other),
        "the image weights' card has no temperature: 1 is used": rules.face_calibration is None,
        "the image weights' card has no class shares: the training set's prior is kept": (
            options.choice.settings.prior == "uniform" and rules.class_shares is None
        ),
    }
    return tuple(note for note, applies in missing.items() if applies)


def build_rules(options: ChainOptions) -> Rules:
    """Collect the settings of the decision from the options and from the models' cards.

    Raises:
        VidferError: A card holds nonsense, or models do not fit each other.
    """
    models, _ = fitting(options.choice)
    settings, found = options.choice.settings, {kind: find_weights(kind, model) for kind, model in models.items()}
    calibration = {kind: read_calibration(weights) for kind, weights in found.items()}
    voting, person = settings.answer == "vote", "faces" if "faces" in models else "image"
    pools_peaks = settings.pool == "peaks" and not voting and person == "image"
    return Rules(
        face_calibration=calibration["image"],
        sound_calibration=calibration.get("audio"),
        person_calibration=calibration.get("faces"),
        fusion_calibration=calibration.get("fusion"),
        class_shares=_class_shares(found["image"]) if settings.prior == "uniform" else None,
        answer=settings.answer,
        pool=settings.pool,
        abstain=None if options.abstain is None else float(options.abstain),
        speech_only=settings.voice == "auto",
        pooled_temperature=_pooled_temperature(found["image"]) if pools_peaks else 1.0,
        face_weight=UNCALIBRATED if voting or calibration[person] is None else 1.0,
        sound_weight=UNCALIBRATED if calibration.get("audio") is None else 1.0,
    )


def _pooled_temperature(image: Weights) -> float:
    entry = image.card.get("pooling", {"temperature": 1.0})
    value: object = entry.get("temperature") if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 100:
        fault = f"the card of {image.path} has {value!r} for the temperature of its pooling"
        raise VidferError(f"{fault}: run benchmarks/pooling.py --write-card, or use --pool mean")
    return float(value)


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


def name_models(options: ChainOptions) -> dict[str, Any]:
    """Say whose weights predict, for a summary: `bundle`, `preset`, and `models`: by kind `weights`, `digest` and `network`."""
    models, _ = fitting(options.choice)
    named = {
        kind: {
            "weights": model,
            "digest": weights_digest(kind, model),
            "network": find_weights(kind, model).card["arch"],
        }
        for kind, model in models.items()
    }
    return {"bundle": options.choice.bundle.name, "preset": options.preset, "models": named}
