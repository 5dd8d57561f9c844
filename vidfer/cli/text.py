"""Text of a given width in a terminal's cells, where wide characters take two and combining ones none."""

import unicodedata

from rich.cells import cell_len, set_cell_size


def shorten(text: str, width: int, mark: str = "…") -> str:
    """Leave out the middle of a text that is wider than `width` cells; its end, which tells files apart, keeps the larger half.

    The name of a path's file stays whole where it fits.

    Example:
        >>> shorten("holiday/2019/MVI_0012.mp4", 16)
        'hol…MVI_0012.mp4'
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(mark)
    if room <= 0:
        return mark[:width]
    name = cell_len(text.rpartition("/")[2])
    tail = _last_cells(text, max(room - room // 2, name if name <= room else 0))
    head = set_cell_size(text, room - cell_len(tail))
    return head + mark + tail


def _last_cells(text: str, width: int) -> str:
    """Return as much of a text's end as fits, which does not begin with a combining character."""
    start, free = len(text), width
    while start > 0 and cell_len(text[start - 1]) <= free:
        start -= 1
        free -= cell_len(text[start])
    while start < len(text) and unicodedata.category(text[start]) in ("Mn", "Me", "Cf"):
        start += 1
    return text[start:]
