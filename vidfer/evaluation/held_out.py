"""Test clips of people whom no model was trained on."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.datasets.report import LabelledClip


def _trained_people(card: Mapping[str, Any]) -> set[str]:
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
    """Leave out the clips of people whom a model, by its card, was trained on; warn by `notify` about unknown people.

    Raises:
        UsageError: A model was trained on people whom the user `named`.
        VidferError: No clip is left.
    """
    for model, card in cards.items():
        known = sorted({clip.person for clip in clips if clip.person} & _trained_people(card))
        if known and named:
            raise UsageError(f"{model} was trained on {', '.join(known)}: its accuracy on them says nothing of others")
        if known:
            notify(f"  left out: {model} was trained on {', '.join(known)}")
            clips = [clip for clip in clips if clip.person not in known]
    if not clips:
        raise VidferError("there is no clip of people whom the models were not trained on")
    if unknown := sum(clip.person is None for clip in clips):
        notify(
            f"WARNING: it is not known who is in {unknown} of the {len(clips)} clips. The model may have been trained on the "
            "same people, so the accuracy may be too high: give a manifest with a person column"
        )
    return list(clips)
