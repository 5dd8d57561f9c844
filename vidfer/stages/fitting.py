"""Which models fit each other: what each was trained on, by its card, beside what it gets in the chain."""

from vidfer.media.audio import FEATURES
from vidfer.stages.audio import AudioStage
from vidfer.stages.choice import Choice
from vidfer.types import VidferError
from vidfer.weights.files import Card, embedding_width, find_weights, weights_digest


def audio_stage(audio_model: str | None, timeout: float = 120.0) -> AudioStage:
    """Build the stage with the windows and the loudness of sound that an audio model was trained on, by its card.

    Without a model they are the stage's own. Cards of weights that were trained on recordings as they are name no loudness.

    Raises:
        VidferError: There are no such weights, or their card has windows or a loudness that cannot be.
    """
    card = find_weights("audio", audio_model).card["preprocessing"] if audio_model else {}
    win_dur, hop_dur = (card.get(name, getattr(AudioStage, name)) for name in ("win_dur", "hop_dur"))
    if not all(type(each) in (int, float) for each in (win_dur, hop_dur)) or not (
        win_dur >= 0.1 and 0 < hop_dur <= win_dur
    ):
        windows = f"windows of sound that cannot be, {win_dur!r} s every {hop_dur!r} s"
        raise VidferError(f"the card of the audio model {audio_model} has {windows}: export it again")
    loudness = card.get("loudness") if audio_model else AudioStage.loudness
    if loudness is not None and not (type(loudness) in (int, float) and -70 <= loudness <= 0):
        wrong = f"the card of the audio model {audio_model} has a loudness of {loudness!r}, not one from -70 to 0 LUFS"
        raise VidferError(f"{wrong}: export it again")
    return AudioStage(float(win_dur), float(hop_dur), loudness=loudness, timeout=timeout)


def fitting(choice: Choice) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the models that fit each other, with a note on each of the bundle's that has to step aside.

    Raises:
        VidferError: One does not fit that the user named, or that the chain cannot do without.
    """
    models, notes = dict(choice.models), list(choice.notes)
    for kind, instead in (("audio", ""), ("faces", "pooled faces"), ("fusion", "late fusion")):
        if kind not in models:
            continue
        fault = incompatibility(
            kind, models[kind], models["image"], audio_model=models.get("audio"), denoise_model=models.get("denoise")
        )
        if fault and (kind in choice.named or not instead):
            raise VidferError(f"the {kind} model {models[kind]} does not fit: {fault}")
        if fault:
            notes.append(f"{instead}: the {kind} model does not fit, since {fault}")
            del models[kind]
    return models, tuple(notes)


def incompatibility(
    kind: str,
    name: str,
    image_model: str = "compact",
    *,
    audio_model: str | None = None,
    denoise_model: str | None = None,
) -> str:
    """Say what an `audio`, `faces` or `fusion` model was trained on and does not get in the chain, as a clause, or nothing.

    Models are given by name or file: the one asked about; the image model whose embeddings it gets; the audio model, whose
    windows it gets; and the denoiser of the faces, None where they are not denoised.
    """
    card = find_weights(kind, name).card
    trained, arguments = card["preprocessing"], card["arguments"]
    if kind != "audio" and (fault := other_faces(card, kind, image_model, denoise_model)):
        return fault
    if kind == "faces":
        return ""
    windows = audio_stage(name if kind == "audio" else audio_model)
    for length in ("win_dur", "hop_dur"):
        if trained.get(length, getattr(windows, length)) != getattr(windows, length):
            own = " every ".join(f"{trained.get(each, '?')} s" for each in ("win_dur", "hop_dur"))
            return f"it was trained on other windows of sound ({own}) than {windows.win_dur:g} s every {windows.hop_dur:g} s"
    if "win_dur" in trained and trained.get("loudness") != windows.loudness:
        own, given = (_level(each) for each in (trained.get("loudness"), windows.loudness))
        return f"it was trained on sound {own}, and gets it {given}"
    if trained.get("standardise", "global") != "global":
        return "it needs sound standardised by each speaker's other recordings, which a single clip does not have"
    if arguments.get("num_sound_features", FEATURES) != FEATURES:
        return f"it reads other vectors of sound than openSMILE's {FEATURES} features"
    return ""


def _level(loudness: object) -> str:
    if type(loudness) in (int, float):
        return f"brought to {loudness:g} LUFS"
    return "as loud as it was recorded" if loudness is None else f"of a loudness of {loudness!r}"


def other_faces(card: Card, kind: str, image_model: str, denoise_model: str | None) -> str:
    """Say what a model of faces gets instead of what its card says; one that reads no embeddings names no image weights."""
    trained, width = card["preprocessing"], card["arguments"].get("num_frame_features")
    if kind == "fusion" or "image_weights" in trained:
        known, given = trained.get("image_weights"), weights_digest("image", image_model)
        if known != given:
            return f"it was trained on the embeddings of other image weights ({_short(known)}) than it gets ({_short(given)})"
        if width is not None and width != embedding_width(image_model):
            return f"it reads embeddings of {width} numbers, and gets {embedding_width(image_model)}"
    known = trained.get("denoise_weights")
    if known and denoise_model and known != (given := weights_digest("denoise", denoise_model)):
        return f"it was trained on faces denoised by other weights ({_short(known)}) than it gets ({_short(given)})"
    return ""


def _short(digest: object) -> str:
    return digest[:8] if isinstance(digest, str) else "its card names none"
