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


class SoftBatch(TypedDict):
    """Faces with a distribution over the classes for each labelling convention.

    `image` is uint8 `(F, 48, 48)` and `wild` uint8 `(W, S, S)`, gray; on the device they become one float `image` `(B, C, H, W)`,
    standardised, B = F + W. By convention, `target` has float32 `(B, 7)`, rows that sum to 1 where `known`, float32 `(B,)`, is
    1; it is 0 where nothing is known. `of_wild` is bool `(B,)`, true for the photographs. `place`, int64 `(B,)`, is where in the
    batch a face was drawn, before the photographs went to the end.
    """

    image: Tensor
    wild: NotRequired[Tensor]
    target: dict[str, Tensor]
    known: dict[str, Tensor]
    of_wild: Tensor
    place: Tensor


class ClipBatch(TypedDict):
    """Clips as padded sequences; entries that were not asked for are absent, and masks are False where there is no vector.

    `frames` is float32 `(B, T, D)`, embeddings of face images in the order of time, and `frame_mask` bool `(B, T)` says which
    are there; `image` is float32 `(B, T, 1, 48, 48)`, the same faces standardised, and `landmarks` float32 `(B, T, 5, 2)`, x
    and y of eyes, nose and mouth corners in them as shares of the edge; `sound` is float32 `(B, W, F)`, openSMILE's vectors of
    windows, and `sound_mask` bool `(B, W)`; `target` is int64 `(B,)`, indices into `EMOTIONS`, or -1 for a clip without label;
    `corpus`, where clips of several data sets are in the batch, int64 `(B,)`, numbers these within the batch.
    """

    target: Tensor
    corpus: NotRequired[Tensor]
    frames: NotRequired[Tensor]
    frame_mask: NotRequired[Tensor]
    image: NotRequired[Tensor]
    landmarks: NotRequired[Tensor]
    sound: NotRequired[Tensor]
    sound_mask: NotRequired[Tensor]


class CropBatch(TypedDict):
    """Crops of photographs with and without noise: float32 `(B, 3, H, W)` in [-1, 1]."""

    noisy: Tensor
    clean: Tensor


class NamedImage(TypedDict):
    """A photograph, float32 `(3, H, W)` in [-1, 1], and its name below its folder; in a batch `(B, 3, H, W)` and a list."""

    image: Tensor
    name: str
