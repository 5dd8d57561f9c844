"""Keeps the people whom a model was trained on out of what it is measured on."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.datasets.clips import LabelledClip


def trained_people(card: Mapping[str, Any]) -> set[str]:
    """Read from a card whom its model was trained or validated on; nobody where it does not say."""
    data = card.get("data")
    people = data.get("people") if isinstance(data, dict) else None
    if not isinstance(people, dict):
        return set()
    return {str(name) for split in ("train", "val") for name in people.get(split, [])}


def leave_out_trained(
    clips: "Sequence[LabelledClip]",
    cards: Mapping[str, Mapping[str, Any]],
    *,
    named: bool,
    notify: Callable[[str], None],
) -> "list[LabelledClip]":
    """Leave out the clips of people whom a model was trained on, and warn where nobody can know.

    Args:
        clips: Clips to measure on.
        cards: Cards of the models by their names.
        named: Whether the user named these people: then they are refused, not left out.
        notify: Called with a line about whom is left out, and with a warning about clips of unknown people.

    Returns:
        The clips of other people.

    Raises:
        UsageError: The user named people whom a model was trained on.
        VidferError: No clip is left.
    """
    for model, card in cards.items():
        known = sorted({clip.person for clip in clips if clip.person} & trained_people(card))
        if known and named:
            raise UsageError(f"{model} was trained on {', '.join(known)}: its accuracy on them says nothing of others")
        if known:
            notify(f"  left out: {model} was trained on {', '.join(known)}")
            clips = [clip for clip in clips if clip.person not in known]
    if not clips:
        raise VidferError("there is no clip of people whom the models were not trained on")
    if unknown := sum(clip.person is None for clip in clips):
        notify(unknown_warning(unknown, len(clips)))
    return list(clips)


def unknown_warning(unknown: int, total: int) -> str:
    """Say that people of a test may be in the training, because nobody knows who is in some clips."""
    return (
        f"WARNING: it is not known who is in {unknown} of the {total} clips. The model may have been trained on the same people, "
        "so the accuracy may be too high: give a manifest with a person column"
    )
