"""Odd pictures and animations."""

import zlib

from tests.faults.odd.films import chunk, noise, spot
from tests.faults.odd.pictures import animated, gif, image, jpeg, piece, png, saved, webp
from tests.faults.odd.videos import content


def half(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


def _exif_in_a_circle() -> bytes:
    """A JPEG whose EXIF directory names itself as the next."""
    entry = b"\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00"
    tiff = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + b"\x08\0\0\0"
    return saved("JPEG", exif=tiff)


def _said(data: bytes) -> bytes:
    """A GIF that says that its pictures are 65535 px wide and high."""
    return data[:6] + b"\xff" * 4 + data[10:]


_TEXT = piece(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000 // 40), 9))

_MANY = piece(b"acTL", b"\x7f\xff\xff\xff\0\0\0\0")

PICTURES = (
    content("png_truncated", "png", half(saved("PNG")), "corrupt"),
    content("png_header_only", "png", saved("PNG")[:33], "corrupt"),
    content("png_bad_sum", "png", spot(saved("PNG"), b"IDAT", 40, noise(30)), "partial"),
    content("png_no_pixels", "png", png(0, 0), "corrupt"),
    content("png_16_bit", "png", saved("PNG", image(mode="I;16")), "no_face"),
    content("png_16_bit_rgb", "png", png(64, 48, depth=16), "no_face"),
    content("png_1_bit", "png", saved("PNG", image(mode="1")), "no_face"),
    content("png_gray_alpha", "png", saved("PNG", image(mode="LA")), "no_face"),
    content("png_palette_clear", "png", saved("PNG", image(mode="P"), transparency=3), "no_face"),
    content("png_one_pixel", "png", png(1, 1), "no_face"),
    content("png_a_row", "png", png(30_000, 1), "no_face"),
    content("png_a_column", "png", png(1, 30_000), "no_face"),
    content("png_text_bomb", "png", png(64, 48, _TEXT), "corrupt"),
    content("png_12288", "png", png(12_288, 12_288, depth=1, colour=0), "too_large"),
    content("png_says_4_giga", "png", png(2**31 - 1, 2**31 - 1, data=b""), "too_large"),
    content("png_says_many_frames", "png", png(64, 48, _MANY), ("no_face", "partial", "corrupt")),
    content("png_moves", "png", animated("PNG"), "no_face"),
    content("png_moves_truncated", "apng", half(animated("PNG")), "partial"),
    content("jpeg_truncated", "jpg", half(saved("JPEG")), "corrupt"),
    content("jpeg_progressive_truncated", "jpg", half(saved("JPEG", progressive=True)), "corrupt"),
    content("jpeg_header_only", "jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0", "corrupt"),
    content("jpeg_says_65500", "jpg", jpeg(65_500, 65_500), "too_large"),
    content("jpeg_no_height", "jpg", jpeg(96, 0), "corrupt"),
    content("jpeg_cmyk", "jpg", saved("JPEG", image(mode="CMYK")), "no_face"),
    content("jpeg_gray", "jpg", saved("JPEG", image(mode="L")), "no_face"),
    content("jpeg_exif_circle", "jpg", _exif_in_a_circle(), "no_face"),
    content("jpeg_exif_noise", "jpg", saved("JPEG", exif=b"Exif\0\0" + noise(500)), "no_face"),
    content("jpeg_two_in_one", "jpg", saved("MPO", image(), save_all=True, append_images=[image(64, 64)]), "no_face"),
    content("gif_moves", "gif", animated("GIF"), "no_face"),
    content("gif_no_delay", "gif", animated("GIF", duration=0), "no_face"),
    content("gif_truncated", "gif", half(animated("GIF")), "partial"),
    content("gif_no_frames", "gif", gif((10, 10)), "corrupt"),
    content("gif_huge_canvas", "gif", _said(animated("GIF")), "too_large"),
    content("gif_frame_beyond", "gif", gif((8, 8), (0, 0, 1, 1), (0, 0, 65_535, 65_535)), "too_large"),
    content("gif_first_beyond", "gif", gif((8, 8), (65_000, 65_000, 500, 500)), "too_large"),
    content("gif_empty_frame", "gif", gif((8, 8), (0, 0, 0, 0), (2, 2, 0, 3)), ("corrupt", "partial", "no_face")),
    content("webp_moves", "webp", animated("WEBP"), "no_face"),
    content("webp_truncated", "webp", half(saved("WEBP")), "corrupt"),
    content("webp_says_12288", "webp", webp(12_288, 12_288), ("too_large", "corrupt")),
    content("webp_header_only", "webp", chunk(b"RIFF", b"WEBP", size=2**32 - 1), "corrupt"),
    content("webp_moves_truncated", "webp", half(animated("WEBP")), ("partial", "corrupt")),
    content("gif_named_png", "png", animated("GIF"), "no_face"),
    content("a_bitmap", "png", b"BM" + noise(500), "unsupported"),
)
