"""Whether a model of sound, or of faces and sound, gets in the chain what it was trained on."""

from vidfer.media.audio import FEATURES as SOUND_FEATURES
from vidfer.stages.audio import AudioStage
from vidfer.weights.files import find_weights, weights_digest


def incompatibility(kind: str, name: str, image_model: str | None = None) -> str:
    """Say what a model was trained on and does not get.

    Args:
        kind: `audio` or `fusion`.
        name: Name or file of its weights.
        image_model: Name or file of the image weights whose embeddings a fusion model is given.

    Returns:
        A clause, or nothing where all fits as far as the card tells.

    Raises:
        VidferError: There are no such weights.
    """
    card = find_weights(kind, name).card
    learnt, windows = card["preprocessing"], AudioStage()
    if kind == "fusion" and learnt.get("image_weights") != weights_digest("image", str(image_model)):
        return "it was trained on the embeddings of other image weights"
    for length in ("win_dur", "hop_dur"):
        if learnt.get(length, getattr(windows, length)) != getattr(windows, length):
            return f"it was trained on other windows of sound than {windows.win_dur:g} s every {windows.hop_dur:g} s"
    if learnt.get("standardise", "global") != "global":
        return "it needs sound standardised by each speaker's other recordings, which a single clip does not have"
    if card["arguments"].get("num_sound_features", SOUND_FEATURES) != SOUND_FEATURES:
        return f"it reads other vectors of sound than openSMILE's {SOUND_FEATURES} features"
    return ""
