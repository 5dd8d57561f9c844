"""The packets of an open file."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

_LEAST_PIECE: Final = 1024  # bytes of a file that one call passes over at least, of those that pass over any


def demux(
    container: "InputContainer", streams: "Iterable[Stream]" = (), skipped: Callable[[], None] = lambda: None
) -> "Iterator[Packet[Any]]":
    """Yield packets as `container.demux` does, those behind a stretch of the file that holds none, too.

    FFmpeg gives such a stretch up piece by piece, each with an error that asks for another call (EAGAIN): `skipped` hears of it.
    """
    pieces = max(container.size, 0) // _LEAST_PIECE
    while True:
        try:
            yield from container.demux(*streams)
            return
        except av.error.BlockingIOError:
            pieces -= 1
            if pieces < 0:
                raise
            skipped()
