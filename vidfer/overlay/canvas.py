"""A picture as brightness and colour planes of 8 bits, as H.264 keeps it, and what is drawn on it.

Frames are not turned into RGB and back: what nothing is drawn on keeps its values, and so colour range and matrix.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vidfer.media.decode_child import square_width
from vidfer.media.upright import upright
from vidfer.overlay.moments import Box

Pixels = NDArray[np.uint8]

FULL: Final = 2
"""FFmpeg's number of the full range of brightness, 0 to 255; any other is 16 to 235."""

_KR_KB: Final = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}  # BT.709, BT.2020; others are BT.601
_BT709: Final = 1
_UNSAID: Final = 2
_HD: Final = 720  # px of height, from which an unsaid matrix is BT.709
_WHITE: Final = {16: 0.58, 18: 0.75}  # of PQ and HLG: graphics are as bright as paper, see ITU-R BT.2408
_BLOCKS: Final = 6
_MARGIN: Final = 0.4  # of the face's width and height, on each side


@dataclass(frozen=True)
class Colours:
    """FFmpeg's numbers of a video's matrix, range, primaries and transfer function."""

    matrix: int = _UNSAID
    range: int = 0
    primaries: int = _UNSAID
    transfer: int = _UNSAID

    @property
    def black(self) -> tuple[int, int, int]:
        """Brightness and colours of black."""
        return (0 if self.range == FULL else 16), 128, 128

    def planes(self, rgb: Pixels, *, hd: bool) -> Pixels:
        """Return RGB `(H, W, 3)` uint8 as brightness and two colours, `(H, W, 3)` uint8."""
        red, blue = _KR_KB.get(_BT709 if self.matrix == _UNSAID and hd else self.matrix, (0.299, 0.114))
        y = np.array([red, 1 - red - blue, blue])
        u = (np.array([0.0, 0.0, 1.0]) - y) / (2 * (1 - blue))
        v = (np.array([1.0, 0.0, 0.0]) - y) / (2 * (1 - red))
        low, luma, chroma = (0.0, 1.0, 1.0) if self.range == FULL else (16.0, 219 / 255, 224 / 255)
        white = _WHITE.get(self.transfer, 1.0)
        rows = white * np.stack([y * luma, u * chroma, v * chroma])
        return np.asarray(cv2.transform(rgb, np.column_stack([rows, [low, 128.0, 128.0]])), np.uint8)


class Stamp:
    """An RGBA image, `(H, W, 4)` uint8 of even height and width, ready to be put on canvases of these colours."""

    def __init__(self, rgba: Pixels, colours: Colours, *, hd: bool) -> None:
        height, width = rgba.shape[:2]
        planes = colours.planes(np.ascontiguousarray(rgba[..., :3]), hd=hd)
        alpha = np.ascontiguousarray(rgba[..., 3])
        half = (width // 2, height // 2)
        small = cv2.resize(planes, half, interpolation=cv2.INTER_AREA)
        self.height, self.width = height, width
        self._planes = [planes[..., 0], small[..., 1], small[..., 2]]
        little = cv2.resize(alpha, half, interpolation=cv2.INTER_AREA)
        self._alphas = [alpha, little, little]

    def put(self, canvas: "Canvas", x: int, y: int) -> None:
        """Draw it with its top left corner at a place, both even, on which it is wholly within the canvas."""
        for plane, image, alpha, by in zip(canvas.planes, self._planes, self._alphas, (1, 2, 2), strict=True):
            part = plane[y // by : y // by + image.shape[0], x // by : x // by + image.shape[1]]
            weight = alpha.astype(np.int32)
            part[:] = (part * (255 - weight) + image * weight + 127) // 255


class Canvas:
    """Planes of brightness `(H, W)` and colours `(H/2, W/2)`, uint8; height and width are even."""

    def __init__(self, planes: Sequence[Pixels], colours: Colours) -> None:
        self.planes, self.colours = list(planes), colours
        self.height, self.width = self.planes[0].shape

    def extend(self, rows: int) -> None:
        """Add so many black rows below, an even number."""
        self.height += rows
        for at, (plane, black, by) in enumerate(zip(self.planes, self.colours.black, (1, 2, 2), strict=True)):
            empty = np.full((rows // by, plane.shape[1]), black, np.uint8)
            self.planes[at] = np.concatenate([plane, empty])

    def frame(self) -> av.VideoFrame:
        """Return it as a frame for the encoder."""
        values = np.concatenate([plane.ravel() for plane in self.planes])
        return av.VideoFrame.from_ndarray(values.reshape(-1, self.width), format="yuv420p")

    def fill(self, box: Box, rgb: tuple[int, int, int]) -> None:
        """Fill a rectangle, as far as it lies in the picture; at least a pixel wide and high."""
        values = self.colours.planes(np.array([[rgb]], np.uint8), hd=self.height >= _HD)[0, 0]
        for plane, value, by in zip(self.planes, values, (1, 2, 2), strict=True):
            x0, y0, x1, y1 = (round(edge / by) for edge in box)
            plane[max(y0, 0) : max(y1, y0 + 1, 0), max(x0, 0) : max(x1, x0 + 1, 0)] = value

    def blur(self, box: Box) -> None:
        """Leave no face in an ellipse around a box: of its surroundings, the mean colours of 6 x 6 blocks are left.

        They are smoothed as `vidfer.results.pictures.blurred` does. The ellipse encloses the box and a quarter more on each side.
        Nothing of the pixels within it goes into the result but those 36 means, so that nobody can get them back.
        """
        x0, y0, x1, y1 = box
        across, down = _MARGIN * (x1 - x0), _MARGIN * (y1 - y0)
        for plane, by in zip(self.planes, (1, 2, 2), strict=True):
            edges = (x0 - across) / by, (y0 - down) / by, (x1 + across) / by, (y1 + down) / by
            left, top = (max(int(edge), 0) for edge in edges[:2])
            part = plane[top : max(math.ceil(edges[3]), 0), left : max(math.ceil(edges[2]), 0)]
            if not part.size:
                continue
            height, width = part.shape
            blocks = max(1, min(_BLOCKS, min(part.shape) // 4))
            small = cv2.resize(part, (blocks, blocks), interpolation=cv2.INTER_AREA)
            soft = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
            rows, columns = np.ogrid[:height, :width]
            x = (columns + left + 0.5 - (edges[0] + edges[2]) / 2) / max((edges[2] - edges[0]) / 2, 1)
            y = (rows + top + 0.5 - (edges[1] + edges[3]) / 2) / max((edges[3] - edges[1]) / 2, 1)
            np.copyto(part, np.asarray(soft, np.uint8), where=x * x + y * y <= 1)


class Painter:
    """Makes canvases of frames: upright, with square pixels, all of the size of the first.

    An odd number of rows or columns is made even by repeating the last one. Frames of another size than the first are fitted
    into it, with black around.
    """

    def __init__(self, aspect: Any) -> None:  # noqa: ANN401 - Fraction, or None where the file says nothing
        self.aspect = aspect
        self._reformatter = VideoReformatter()
        self.colours = Colours()
        self.size: tuple[int, int] | None = None

    def canvas(self, frame: av.VideoFrame) -> tuple[Canvas, float, float, float]:
        """Return a frame, and the scale and shift by which boxes lie on it."""
        planes = self._planes(frame)
        height, width = planes[0].shape
        if self.size is None:
            self.size = (width + width % 2, height + height % 2)
        scale, x, y = 1.0, 0, 0
        wide, high = self.size
        if (width + width % 2, height + height % 2) != self.size:
            scale = min(wide / width, high / height)
            width, height = (max(2, 2 * round(edge * scale / 2)) for edge in (width, height))
            x, y = ((wide - width) // 4) * 2, ((high - height) // 4) * 2
        whole = []
        for plane, empty, by in zip(planes, self.colours.black, (1, 2, 2), strict=True):
            target = np.full((high // by, wide // by), empty, np.uint8)
            inside = target[y // by :, x // by :]
            if scale != 1.0:
                inside = inside[: height // by, : width // by]
                inside[:] = cv2.resize(plane, (width // by, height // by), interpolation=cv2.INTER_AREA)
            else:
                inside[: plane.shape[0], : plane.shape[1]] = plane
                inside[plane.shape[0] :, : plane.shape[1]] = plane[-1]
                inside[:, plane.shape[1] :] = inside[:, [plane.shape[1] - 1]]
            whole.append(target)
        return Canvas(whole, self.colours), scale, float(x), float(y)

    def _planes(self, frame: av.VideoFrame) -> list[Pixels]:
        """Return brightness `(H, W)` and colours `(ceil(H/2), ceil(W/2))` of a frame, upright."""
        way, width = upright(frame), square_width(frame.width, self.aspect)
        name = frame.format.name
        rgb = frame.format.is_rgb or name == "pal8"
        full = not rgb and (frame.color_range == FULL or name.startswith("yuvj"))
        if self.size is None:
            matrix, limited = (_BT709, 1) if rgb else (int(frame.colorspace), int(frame.color_range))
            tags = (int(frame.color_primaries), int(frame.color_trc))
            self.colours = Colours(matrix, FULL if full else limited, *tags)
        same = full == (self.colours.range == FULL)
        if name not in ("yuv420p", "yuvj420p") or frame.width != width or not same:
            frame = self._reformatter.reformat(
                frame,
                width,
                frame.height,
                "yuv420p",
                threads=1,
                dst_colorspace=_BT709 if rgb else None,
                src_color_range=None if rgb else FULL if full else 1,
                dst_color_range=FULL if self.colours.range == FULL else 1,
            )
        return [np.ascontiguousarray(way.show(_rows(plane))) for plane in frame.planes[:3]]


def _rows(plane: Any) -> Pixels:  # noqa: ANN401 - PyAV's
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return np.asarray(rows[: plane.height, : plane.width])
