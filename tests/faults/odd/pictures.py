"""Pictures by Pillow and by hand: broken ones, and small files that stand for many pixels."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from tests.faults.odd.films import chunk, images


def image(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    """Blocks of noise in a mode of Pillow's."""
    plain = Image.fromarray(images(1, width, height)[0])
    if mode == "I;16":
        return Image.fromarray(np.asarray(plain.convert("L")).astype(np.uint16) * 257)
    return plain.convert(mode)


def saved(kind: str, picture: Image.Image | None = None, **how: Any) -> bytes:
    """The bytes of a picture in a format."""
    out = io.BytesIO()
    (picture or image()).save(out, kind, **how)
    return out.getvalue()


def animated(kind: str, count: int = 5, **how: Any) -> bytes:
    """The bytes of an animation, 100 ms a frame unless said otherwise."""
    frames = [Image.fromarray(each) for each in images(count, 96, 64)]
    return saved(kind, frames[0], save_all=True, append_images=frames[1:], **{"duration": 100, **how})


def piece(kind: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    """A chunk of PNG."""
    check = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(width: int, height: int, *more: bytes, depth: int = 8, colour: int = 2, data: bytes | None = None) -> bytes:
    """A PNG of black pixels, or of `data` as its compressed rows; `more` are chunks before them."""
    head = piece(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    if data is None:
        bits = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * depth
        packer = zlib.compressobj(9)
        row = bytes(1 + (width * bits + 7) // 8)
        data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + piece(b"IDAT", data) + piece(b"IEND", b"")


def gif(canvas: tuple[int, int], *frames: tuple[int, int, int, int], delay: int = 0) -> bytes:
    """A GIF of frames at `(left, top, width, height)`, each with the data of one pixel."""
    out = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    for place in frames:
        out += b"!\xf9\x04\x04" + struct.pack("<H", delay) + b"\0\0"
        out += b"," + struct.pack("<HHHHB", *place, 0) + b"\x02\x02\x44\x01\x00"
    return out + b";"


def webp(width: int, height: int) -> bytes:
    """A lossless WebP that says it is so large, and holds nothing."""
    bits = (width - 1) | (height - 1) << 14
    return chunk(b"RIFF", b"WEBP", chunk(b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(20)))


def jpeg(width: int, height: int) -> bytes:
    """A JPEG that says that it is so large, and holds 96x64 pixels."""
    data = saved("JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
