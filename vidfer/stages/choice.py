"""Which weights a chain has, and how it predicts: by the options, else by the preset, else by the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

from vidfer.inference.decision import Answer, Pool
from vidfer.stages.denoise import DenoiseMode
from vidfer.stages.faces import DenoiseScope
from vidfer.types import UsageError, VidferError
from vidfer.weights.bundles import KINDS, SHIPPED_BUNDLE, Bundle, read_bundle
from vidfer.weights.files import SHIPPED, find_weights

if TYPE_CHECKING:
    from vidfer.stages.chain import ChainOptions

SpeechMode = Literal["auto", "off"]
Prior = Literal["uniform", "training"]
Preset = Literal["default", "paper"]

_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    "paper": {"denoise": "on", "answer": "vote", "prior": "training"},
}
_ABSENT: Final = ("none", "late")  # named instead of a model that the chain is to do without: `late` of fusion


@dataclass(frozen=True)
class Settings:
    """How a chain predicts: the fields of `ChainOptions` that a bundle may set.

    Raises:
        UsageError: A value is out of range.
    """

    denoise: DenoiseMode
    denoise_scope: DenoiseScope
    denoise_threshold: float
    answer: Answer
    prior: Prior
    pool: Pool
    voice: SpeechMode

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        require_choices(self)
        require_positive(self, "denoise_threshold")


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Args:
        bundle: Whose models and settings count where nothing else was asked for.
        models: Weights by kind, as `find_weights` takes them, without the kinds that the chain does without; with `image`.
        named: The kinds whose weights the user named.
        settings: How to predict.
        notes: What is not done, and why.
    """

    bundle: Bundle
    models: Mapping[str, str]
    named: frozenset[str]
    settings: Settings
    notes: tuple[str, ...] = ()


def choose(options: "ChainOptions") -> Choice:
    """Choose weights and settings, and check that all are there.

    Raises:
        UsageError: There is no such bundle, there are no such weights, or what was asked for contradicts itself.
    """
    try:
        bundle = read_bundle(SHIPPED_BUNDLE if options.models is None else options.models)
        named = _named(options)
        preset = _models_of_paper(bundle, named) if options.preset == "paper" else {}
        models = {**bundle.names, **preset, **named}
        models = {kind: model for kind, model in models.items() if model not in _ABSENT}
        given = {each.name: getattr(options, each.name) for each in fields(Settings)}
        given = {name: value for name, value in given.items() if value is not None}
        choice = Choice(bundle, models, frozenset(named), _settings(bundle, {**_PRESETS[options.preset], **given}))
        return _agreed(choice, options)
    except UsageError:
        raise
    except VidferError as error:
        raise UsageError(str(error)) from error


def _named(options: "ChainOptions") -> dict[str, str]:
    """Return the weights that the user named, by kind."""
    found: dict[str, str | Path | None] = {kind: getattr(options, f"{kind}_model") for kind in KINDS}
    found["image"] = options.weights or found["image"]
    return {kind: str(model) for kind, model in found.items() if model not in (None, "auto")}


def _models_of_paper(bundle: Bundle, named: Mapping[str, str]) -> dict[str, str]:
    """Take a GAN classifier for the sound, and no other model that the paper does not have.

    Raises:
        UsageError: There is no GAN classifier of sound.
    """
    found = {"faces": "none", "fusion": "none"}
    audio = bundle.names.get("audio")
    if "audio" in named or (audio and find_weights("audio", audio).card["arch"] == "gan"):
        return found
    if "gan_sound" not in SHIPPED["audio"]:
        raise UsageError(
            f"--preset paper classifies the sound by GAN-SGDMA, and the bundle {bundle.name} has no such weights: name some by "
            "--audio-model, or none"
        )
    return {**found, "audio": "gan_sound"}


def _settings(bundle: Bundle, wanted: Mapping[str, Any]) -> Settings:
    try:
        Settings(**bundle.settings)
    except UsageError as error:
        raise UsageError(f"the bundle {bundle.folder} has settings that cannot be: {error}") from error
    return Settings(**{**bundle.settings, **wanted})


def _agreed(choice: Choice, options: "ChainOptions") -> Choice:
    """Leave out what has nothing to work on or with, unless the user named it, and say so; check that the weights are there."""
    models, settings, notes = dict(choice.models), choice.settings, []
    if "image" not in models:
        raise UsageError(
            f"the bundle {choice.bundle.name} has no image model: name one by --image-model, such as compact"
        )
    if settings.denoise != "off" and "denoise" not in models:
        if options.denoise:
            raise UsageError(
                f"--denoise {options.denoise} needs a denoiser: name one by --denoise-model, such as small"
            )
        settings = replace(settings, denoise="off")
        notes.append("no face is denoised: the bundle has no denoiser")
    useless = {
        "faces": "the face images vote" if settings.answer == "vote" else "",
        "fusion": "" if "audio" in models else "there is no sound model beside it",
    }
    for kind, why in useless.items():
        if why and kind in models:
            if kind in choice.named:
                raise UsageError(f"--{kind}-model {models[kind]} would not be used, since {why}")
            notes.append(f"the {kind} model is not used, since {why}")
            del models[kind]
    if settings.denoise == "off":
        models.pop("denoise", None)
    cards = {kind: find_weights(kind, model).card for kind, model in models.items()}
    if options.weights and options.image_model not in (None, arch := cards["image"]["arch"]):
        raise UsageError(f"{options.weights} holds weights of the network '{arch}', not of '{options.image_model}'")
    return replace(choice, models=models, settings=settings, notes=tuple(notes))


def require_choices(options: Any) -> None:  # noqa: ANN401 - any dataclass
    """Raise `UsageError` where a field with choices has none of them; None stands for no choice."""
    for name, hint in get_type_hints(type(options)).items():
        choices = next((get_args(each) for each in (hint, *get_args(hint)) if get_origin(each) is Literal), ())
        if choices and (value := getattr(options, name)) is not None and value not in choices:
            raise UsageError(f"{option(name)} has to be one of {', '.join(choices)}, not {value}")


def require_positive(options: Any, *names: str) -> None:  # noqa: ANN401 - any dataclass
    """Raise `UsageError` where a field has no finite number above 0; None stands for no choice."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not (type(value) in (int, float) and 0 < value < float("inf")):
            raise UsageError(f"{option(name)} has to be above 0, not {value}")


def option(name: str) -> str:
    """Return a field's name as the command line has it."""
    return f"--{name.replace('_', '-')}"
