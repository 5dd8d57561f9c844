"""Several networks of one kind that answer together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidfer.models.compact import CompactNet


class Ensemble(nn.Module):
    """Average the logits of compact networks that were trained apart, behind the same face as one of them.

    Args:
        members: The networks, at least one.

    References:
        Hansen, Salamon: Neural network ensembles. IEEE TPAMI 12(10), 1990.
    """

    def __init__(self, members: Sequence[CompactNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def head(self) -> nn.Linear:
        """The mean of the members' heads as one linear layer; made from theirs, so that tensors are saved once."""
        heads = [member.head for member in self._networks()]
        mean = nn.Linear(sum(head.in_features for head in heads), heads[0].out_features, device="meta")
        mean.weight = nn.Parameter(torch.cat([head.weight for head in heads], dim=1) / len(heads))
        mean.bias = nn.Parameter(torch.stack([head.bias for head in heads]).mean(0))
        return mean

    def embed(self, image: Tensor) -> Tensor:
        """Compute the members' embeddings, one after the other.

        Args:
            image: Standardised images, float, `(B, in_chans, H, W)`.

        Returns:
            Embeddings `(B, D)`, D the sum of the members'.
        """
        return torch.cat([member.embed(image) for member in self._networks()], dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """Compute the mean of the members' logits.

        Args:
            image: Standardised images, float, `(B, in_chans, H, W)`.

        Returns:
            Logits `(B, num_classes)`.
        """
        return torch.stack([member(image) for member in self.members]).mean(0)

    def _networks(self) -> list[CompactNet]:
        return [member for member in self.members if isinstance(member, CompactNet)]
