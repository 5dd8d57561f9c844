"""Pictures, animations, and folders of numbered pictures by Pillow, in the decoding child."""

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vidfer.limits import MAX_COUNTED_PIXELS
from vidfer.pipeline.numbered import numbered_pictures
from vidfer.types import ClipError, Status

_DAMAGE: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
"""What Pillow's readers raise on damaged files."""

_QUICK: Final = 0.010  # s; animations that ask for less, or for nothing, are shown at 10 Hz by every browser
_SLOW: Final = 0.1
_TURNS: Final = {3: 180, 4: 180, 5: 270, 6: 270, 7: 90, 8: 90}  # EXIF orientation to degrees counter-clockwise

Pixels = NDArray[np.uint8]
Shown = tuple[float, Callable[[], Pixels | None]]
"""When a frame is shown, in s, and what decodes it, or notes the damage and returns None."""


class Picture:
    """One file of PNG, JPEG, WebP or GIF, which may move; only frames that are wanted are turned into RGB.

    Raises:
        ClipError: `too_large` before anything is decoded, or `corrupt`.
    """

    def __init__(self, path: str | Path, kind: str, max_pixels: int) -> None:
        Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, with a message of ours
        self._max_pixels = max_pixels
        try:
            self._image: Any = Image.open(path, formats=[kind])
            self._check_size()
            count = 1 if kind == "JPEG" else getattr(self._image, "n_frames", 1)  # of an MPO the first is the picture
        except _DAMAGE as error:
            raise ClipError(Status.CORRUPT, f"the picture cannot be opened: {_first_line(error)}") from error
        apart = count > 1 and getattr(self._image, "default_image", False)  # shown where animations are not
        self._numbers = range(int(apart), count)
        self._kind = kind
        self.damage = _fault(Path(path), kind)
        """What is the matter, as a predicate; known when `frames` has ended."""

    def describe(self) -> dict[str, Any]:
        """Return the fields of `vidfer.media.decode.Probe`; the duration is known of an animation that is not long."""
        width, height = self._image.size
        count, duration = len(self._numbers), None
        if 1 < count <= MAX_COUNTED_PIXELS / (width * height):
            duration = self._duration()
        name = self._kind.lower()
        video = {
            **{"codec": name, "pix_fmt": self._image.mode, "width": width, "height": height},
            **{"rotation": _TURNS.get(self._orientation(), 0), "fps": count / duration if duration else None},
            **{"interlaced": False, "edit_list": False, "choice": ""},
        }
        return {"container": name, "duration": duration, "video": video}

    def frames(self) -> Iterator[Shown]:
        """Yield each frame once; the caller decodes it before it asks for the next, or leaves it out."""
        orientation, before = self._orientation(), self.damage
        at = 0.0
        for number in self._numbers:
            length = self._length(number)
            if self.damage != before:
                return
            yield at, lambda: self._decode(orientation)
            at += length

    def _check_size(self) -> None:
        width, height = self._image.size
        if width * height > self._max_pixels:
            size = f"pictures of {width}x{height} are over the limit of {self._max_pixels} pixels"
            raise ClipError(Status.TOO_LARGE, f"{size}: scale it down")

    def _duration(self) -> float | None:
        """Return how long all frames are shown, in s; None where one of them is damaged."""
        total = 0.0
        for number in self._numbers:
            total += self._length(number)
            if self.damage:  # a file may announce millions of frames
                return None
        return total

    def _go_to(self, number: int) -> None:
        """Read a frame, unless it is too large: one of a GIF may lie beyond the size that the file begins with."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = max(1, self._max_pixels // 2)  # Pillow refuses twice as many
            try:
                self._image.seek(number)
                self._check_size()
                self._image.load()  # a WebP knows the duration from then on
            except Image.DecompressionBombError as error:
                limit = f"a frame of the animation is over the limit of {self._max_pixels} pixels"
                raise ClipError(Status.TOO_LARGE, f"{limit}: scale it down") from error
            finally:
                Image.MAX_IMAGE_PIXELS = None

    def _length(self, number: int) -> float:
        """Go to a frame and return how long it is shown, in s; 0 of the only one, or where it is damaged."""
        if len(self._numbers) == 1:
            return 0.0
        try:
            self._go_to(number)
        except _DAMAGE as error:
            self.damage = f"breaks off: {_first_line(error)}"
            return 0.0
        seconds = float(self._image.info.get("duration") or 0) / 1000
        return seconds if seconds > _QUICK else _SLOW

    def _orientation(self) -> int:
        """Return the EXIF orientation, 1 to 8; a picture with damaged EXIF is shown as it is stored, as viewers do."""
        try:
            return int(self._image.getexif().get(0x0112, 1))
        except _DAMAGE:
            return 1

    def _decode(self, orientation: int) -> Pixels | None:
        try:
            return _rgb(self._image, orientation)
        except _DAMAGE as error:
            self.damage = f"is damaged: {_first_line(error)}"
            return None


class Series:
    """A folder of numbered pictures at so many a second; a number that is missing is a frame that was dropped.

    Raises:
        ClipError: `unreadable`, see `numbered_pictures`.
    """

    def __init__(self, folder: str, fps: float, max_pixels: int, kind: Callable[[str], str | None]) -> None:
        self._pictures = numbered_pictures(Path(folder))
        self._fps, self._max_pixels, self._kind = fps, max_pixels, kind
        self._bad: list[str] = []

    @property
    def damage(self) -> str:
        """What is the matter, as a predicate; known when `frames` has ended."""
        names = ", ".join(self._bad[:3]) + (", ..." if len(self._bad) > 3 else "")
        return f"has {len(self._bad)} pictures that cannot be read: {names}" if self._bad else ""

    def describe(self) -> dict[str, Any]:
        """Return the fields of `vidfer.media.decode.Probe`, those of a picture by the first one."""
        (first, path), (last, _) = self._pictures[0], self._pictures[-1]
        fields = self._open(path).describe()
        return {
            "container": "pictures",
            "duration": (last - first + 1) / self._fps,
            "video": {**fields["video"], "fps": self._fps},
        }

    def frames(self) -> Iterator[Shown]:
        """Yield each picture once."""
        first = self._pictures[0][0]
        for number, path in self._pictures:
            yield (number - first) / self._fps, lambda path=path: self._decode(path)  # type: ignore[misc]

    def _decode(self, path: Path) -> Pixels | None:
        try:
            picture = self._open(path)
        except ClipError as error:
            if error.status is not Status.CORRUPT:
                raise
            self._bad.append(path.name)
            return None
        pixels = next(picture.frames())[1]()
        if pixels is None:
            self._bad.append(path.name)
        return pixels

    def _open(self, path: Path) -> Picture:
        try:
            kind = self._kind(str(path))
        except OSError as error:
            raise ClipError(Status.UNREADABLE, f"{path} cannot be read: {error.strerror}") from error
        if kind is None:
            raise ClipError(Status.CORRUPT, f"{path} is no picture")
        return Picture(path, kind, self._max_pixels)


def _fault(path: Path, kind: str) -> str:
    """Return what is the matter with a GIF or PNG that Pillow decodes without a word, as a predicate."""
    if kind == "GIF":
        return "breaks off" if _breaks_off(path) else ""
    if kind == "PNG":
        try:
            with Image.open(path, formats=["PNG"]) as again:
                again.verify()
        except _DAMAGE as error:
            return f"is damaged: {_first_line(error)}"
    return ""


def _breaks_off(path: Path) -> bool:
    """Whether a GIF ends within one of its blocks."""

    def table(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    with path.open("rb") as file:
        head = file.read(13).ljust(13, b"\0")
        file.seek(table(head[10]), os.SEEK_CUR)
        while (kind := file.read(1)) in {b"!", b","}:
            if kind == b"!":
                file.seek(1, os.SEEK_CUR)
            else:
                file.seek(table(file.read(9).ljust(9, b"\0")[8]) + 1, os.SEEK_CUR)
            while length := file.read(1):
                if length == b"\0":
                    break
                file.seek(length[0], os.SEEK_CUR)
            else:
                return True
    return False


def _rgb(image: Any, orientation: int) -> Pixels:  # noqa: ANN401 - Pillow's classes differ by format
    """Return RGB `(H, W, 3)` uint8, upright, transparent parts white as on a page; 16 bits are scaled to 8."""
    image.load()
    if orientation in _OPERATIONS:
        image = image.transpose(_OPERATIONS[orientation])
    if image.mode.startswith("I"):
        gray = np.clip((np.asarray(image).astype(np.int64) * 255 + 32767) // 65535, 0, 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.ascontiguousarray(image.convert("RGB"), np.uint8)


_OPERATIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _first_line(error: BaseException) -> str:
    if isinstance(
        error, UnidentifiedImageError
    ):  # its text names the file, and what is stored is of any file of this content
        return "its head is damaged"
    return (str(error).splitlines() or [type(error).__name__])[0]
