"""How a frame is to be turned, mirrored and widened to be shown as its file says."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Upright:
    """The eight ways to show a picture: rows and columns may be swapped, and then columns, rows, or both reversed."""

    swapped: bool = False
    columns: bool = False
    rows: bool = False

    @property
    def degrees(self) -> int:
        """By how much it is turned counter-clockwise, before it is `mirrored`: -180, -90, 0 or 90, as FFmpeg counts."""
        columns = self.columns != self.mirrored
        if self.swapped:
            return -90 if columns else 90
        return -180 if columns else 0

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged."""
        return (self.columns + self.rows + self.swapped) % 2 == 1

    def show(self, image: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
        """Return a picture, `(H, W)` or `(H, W, 3)` uint8, upright."""
        image = image.swapaxes(0, 1) if self.swapped else image
        return image[:: -1 if self.rows else 1, :: -1 if self.columns else 1]


AS_IT_IS = Upright()


def upright(frame: "VideoFrame") -> Upright:
    """Return how a frame is to be shown by its display matrix, to the nearest quarter of a turn.

    `frame.rotation` takes a mirrored picture for one that stands on its head.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return AS_IT_IS
    # x' = a x + c y and y' = b x + d y, with u, v, w in between
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Upright(columns=a < 0, rows=d < 0)
    return Upright(swapped=True, columns=c < 0, rows=b < 0)


class PixelAspect:
    """Width over height of a stream's pixels, which may change in the middle, as where films follow each other on television.

    The file's word counts until the decoder, which has to use one thread, sees another in the stream. Where frames are stored in
    another order than shown, the few before a change may get it, too.
    """

    def __init__(self, stream: "VideoStream") -> None:
        self._stream, self._first, self._seen = stream, Fraction(0), False

    def now(self) -> Fraction | None:
        """Return that of the frame that was decoded last, None if it is not known; to be asked from the first frame on."""
        decoded = self._stream.codec_context.sample_aspect_ratio or Fraction(0)
        if not self._seen:
            self._first, self._seen = decoded, True
        return decoded if decoded and decoded != self._first else self._stream.sample_aspect_ratio
