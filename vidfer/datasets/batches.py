"""The batches that data modules hand to tasks."""

from typing import TypedDict

from torch import Tensor


class ImageBatch(TypedDict):
    """Faces with their classes.

    `image` is float `(B, C, H, W)`, standardised; `target` is int64 `(B,)`, indices into `EMOTIONS`.
    """

    image: Tensor
    target: Tensor
