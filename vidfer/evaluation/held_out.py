"""Keeps what a model was trained on out of what it is measured on."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.datasets.clips import LabelledClip


def trained_people(card: Mapping[str, Any]) -> set[str]:
    """Read from a card who its model was trained or validated on; nobody where it does not say."""
    data = card.get("data")
    people = data.get("people") if isinstance(data, dict) else None
    return (
        {str(name) for split in ("train", "val") for name in people.get(split, [])}
        if isinstance(people, dict)
        else set()
    )


def leave_out_trained(
    clips: "Sequence[LabelledClip]", cards: Mapping[str, Mapping[str, Any]], *, named: bool
) -> "list[LabelledClip]":
    """Leave out the clips of people whom a model was trained on, and say so.

    Args:
        clips: Clips to measure on.
        cards: Cards of the models by their names.
        named: Whether the user named these people: then they are refused, not left out.

    Returns:
        The clips of other people.

    Raises:
        UsageError: People were named whom a model was trained on.
        VidferError: Nobody else is there.
    """
    for model, card in cards.items():
        known = sorted({clip.person for clip in clips if clip.person} & trained_people(card))
        if known and named:
            raise UsageError(f"{model} was trained on {', '.join(known)}: what it answers for them is no measure of it")
        if known:
            print(f"  left out: {model} was trained on {', '.join(known)}", file=sys.stderr)
            clips = [clip for clip in clips if clip.person not in known]
    if not clips:
        raise VidferError("nobody there whom the models were not trained on")
    return list(clips)
