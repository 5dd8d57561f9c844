"""Several trained networks as one file of weights that answers by their mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from vidfer.types import VidferError
from vidfer.weights.registry import Card, Weights, find_weights, save_weights

_SAME: Final = ("arch", "arguments", "preprocessing", "classes")
_SAME_DATA: Final = ("source", "class_shares")
_SHARED: Final = ("kind", "arch", "preprocessing", "data", "licence", "intended_use", "prohibited_use")


def join_weights(files: Sequence[str | Path], target: Path) -> None:
    """Write weights whose logits are the mean of those of several compact networks.

    The card keeps what the members have in common and each one's recipe; what was measured of a member is not true of all
    together, and is left out.

    Args:
        files: Names or files of the members, at least two.
        target: Where to: a `.safetensors` path.

    Raises:
        VidferError: The members differ in kind, network or preprocessing, or are no plain compact networks.
    """
    members = [find_weights("image", file) for file in files]
    first = members[0].card
    for member in members:
        different = [name for name in _SAME if member.card[name] != first[name]]
        different += [f"data.{name}" for name in _SAME_DATA if _data(member).get(name) != _data(members[0]).get(name)]
        if different:
            raise VidferError(
                f"{member.path} and {members[0].path} cannot be joined: they differ in {', '.join(different)}"
            )
    if len(members) < 2 or first["arch"] != "compact" or "members" in first["arguments"]:
        raise VidferError("joined are two or more weights of plain 'compact' networks")
    state = {
        f"members.{number}.{name}": tensor
        for number, member in enumerate(members)
        for name, tensor in member.tensors().items()
    }
    card: Card = {name: first[name] for name in _SHARED if name in first}
    card["arguments"] = {**first["arguments"], "members": len(members)}
    card["recipe"] = {"members": [member.card.get("recipe") for member in members]}
    save_weights(target, state, card)


def _data(weights: Weights) -> dict[str, Any]:
    found = weights.card.get("data")
    return found if isinstance(found, dict) else {}
