"""The batches that data modules hand to tasks."""

from typing import NotRequired, TypedDict

from torch import Tensor


class ImageBatch(TypedDict):
    """Faces with their classes.

    `image` is float `(B, C, H, W)`, standardised; `target` is int64 `(B,)`, indices into `EMOTIONS`; `teacher`, where there is
    one, its logits, float `(B, 7)`.
    """

    image: Tensor
    target: Tensor
    teacher: NotRequired[Tensor]


class SoundBatch(TypedDict):
    """Recordings as the vectors of their windows.

    `vector` is float32 `(W, F)`, the windows of all recordings of the batch one after the other; `recording` is int64
    `(W,)` and says which of the batch's recordings a window belongs to, ascending; `target` is int64 `(B,)`.
    """

    vector: Tensor
    recording: Tensor
    target: Tensor


class CropBatch(TypedDict):
    """Crops of photographs with and without noise: float32 `(B, 3, H, W)` in [-1, 1]."""

    noisy: Tensor
    clean: Tensor


class NamedImage(TypedDict):
    """A photograph, float32 `(3, H, W)` in [-1, 1], and its name below its folder; in a batch `(B, 3, H, W)` and a list."""

    image: Tensor
    name: str
