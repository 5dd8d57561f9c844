"""Frames that are no file, such as arrays or a camera's, as a lossless file that the chain reads like any clip."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vidfer.limits import MAX_PIXELS
from vidfer.types import UsageError, VidferError

Image = NDArray[np.uint8]
"""RGB, `(H, W, 3)` uint8, upright."""

Frames = NDArray[np.uint8] | Iterable[Image] | Iterable[tuple[float, Image]]
"""An array `(T, H, W, 3)` uint8 or images, both with a frame rate; or pairs of a time in s and an image."""

_TICKS: Final = 1_000_000
"""Units of the file's clock in a second."""


def record_frames(frames: Frames, path: Path, *, fps: float | None = None) -> int:
    """Write frames into a NUT file of Ut Video in RGB, which decodes to the same pixels, and return their number.

    Frames are taken one at a time, so memory does not grow with their number. The same frames at the same times give the same
    bytes. The clip's time line begins with the first frame, whatever its time is. On an error the file is removed.

    Args:
        frames: An array `(T, H, W, 3)` uint8 or an iterable of images, both with `fps`; or an iterable of pairs of a time in
            seconds, which has to increase by at least 1e-6 s, and an image. Images are RGB, `(H, W, 3)` uint8, of one size.
        path: The file, usually `*.nut`; one that is there is written over.
        fps: Frames per second of frames that have no times.

    Raises:
        UsageError: Type, shape, size or time of a frame is not as above, or there is no frame.
        VidferError: The file cannot be written, such as on a full disk.

    Example:
        >>> import numpy as np
        >>> record_frames(np.zeros((2, 48, 64, 3), np.uint8), Path("black.nut"), fps=25)
        2
    """
    import av

    timed = _of_one_size(timed_frames(frames, fps))
    first = list(islice(timed, 2))
    if not first:
        raise UsageError("there are no frames: give at least one")
    height, width = first[0][1].shape[:2]
    rate = fps or (1 / (first[1][0] - first[0][0]) if len(first) > 1 else 25.0)
    count = 0
    try:
        with av.open(str(path), "w", format="nut", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream(
                "utvideo", rate=Fraction(min(max(rate, 0.001), 1000.0)).limit_denominator(1001)
            )
            stream.width, stream.height, stream.pix_fmt = width, height, "gbrp"
            stream.codec_context.time_base = Fraction(1, _TICKS)
            stream.codec_context.thread_count = 1  # more would make other slices, and other bytes
            for time, image in chain(first, timed):
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
                    format="gbrp"
                )
                picture.pts, picture.time_base = round(_TICKS * time), Fraction(1, _TICKS)
                container.mux(stream.encode(picture))
                count += 1
            container.mux(stream.encode(None))
    except BaseException as error:
        with suppress(OSError):
            path.unlink()
        if isinstance(error, OSError):  # FFmpeg's errors of the system are OSErrors, too
            raise VidferError(
                f"{path} cannot be written: {error.strerror}; name a folder with space, by TMPDIR"
            ) from error
        raise
    return count


@contextmanager
def recorded(frames: Frames, *, fps: float | None = None, name: str = "frames") -> Iterator[Path]:
    """Lend the file that `record_frames` writes, in a temporary folder that is removed at the end of the block."""
    from vidfer.pipeline.temporary import temporary_folder

    with temporary_folder("frames") as folder:
        path = folder / f"{name}.nut"
        record_frames(frames, path, fps=fps)
        yield path


def timed_frames(frames: Frames, fps: float | None = None) -> Iterator[tuple[float, Image]]:
    """Yield frames, of any size, with their times in seconds: their own, or by `fps` from 0; checked one at a time.

    Raises:
        UsageError: Type, shape or time of a frame is not as `record_frames` takes it.
    """
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= _TICKS):
        raise UsageError(f"fps has to be a number above 0, not {fps}")
    if isinstance(frames, np.ndarray) and frames.ndim != 4:
        raise UsageError(f"frames have the shape {frames.shape}: give an array (T, H, W, 3) of uint8, T of time")
    start = last = 0.0
    for number, item in enumerate(frames):
        time, image = _pair(number, item, fps)
        _check_image(number, image)
        start = time if number == 0 else start
        ticks = _TICKS * (time - start)
        if not math.isfinite(ticks) or (number and round(ticks) <= round(_TICKS * (last - start))):
            raise UsageError(f"frame {number} is at {time} s: give times in seconds that increase")
        last = time
        yield time, image


def _of_one_size(frames: Iterator[tuple[float, Image]]) -> Iterator[tuple[float, Image]]:
    """Yield frames with times from the first one on."""
    start, shape = 0.0, tuple[int, ...]()
    for number, (time, image) in enumerate(frames):
        start, shape = (time, image.shape) if number == 0 else (start, shape)
        if image.shape != shape:
            sizes = f"{image.shape[1]}x{image.shape[0]}, the first {shape[1]}x{shape[0]}"
            raise UsageError(f"frame {number} is {sizes}: give frames of one size")
        yield time - start, image


def _pair(number: int, item: Any, fps: float | None) -> tuple[float, Any]:  # noqa: ANN401 - whatever the caller gives
    if isinstance(item, np.ndarray):
        if fps is None:
            raise UsageError("frames have no times: give fps, or pairs of a time in seconds and an image")
        return number / fps, item
    if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], int | float | np.number)):
        raise UsageError(f"frame {number} is no array and no pair of a time in seconds and an array, but {type(item)}")
    if fps is not None:
        raise UsageError("frames have times: give no fps")
    return float(item[0]), item[1]


def _check_image(number: int, image: Any) -> None:  # noqa: ANN401 - whatever the caller gives
    if not isinstance(image, np.ndarray):
        raise UsageError(f"frame {number} is no array, but {type(image)}: give arrays (H, W, 3) of uint8")
    if image.dtype != np.uint8:
        hint = ", such as by (255 * frame).round().astype('uint8')" if image.dtype.kind == "f" else ""
        raise UsageError(f"frame {number} is of {image.dtype}: give uint8 from 0 to 255{hint}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        hint = " by frame.transpose(1, 2, 0)" if image.ndim == 3 and image.shape[0] == 3 else ""
        raise UsageError(f"frame {number} has the shape {image.shape}: give RGB, (H, W, 3){hint}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise UsageError(f"frame {number} is over the limit of {MAX_PIXELS} pixels: scale it down")
