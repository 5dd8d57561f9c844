"""Live mode: JPEG frames come over a WebSocket, the answer to each goes back; nothing is stored.

The client sends one JPEG as a binary message and waits for its answer before it sends the next, so that neither side queues.
Each message from the server is a JSON object whose `kind` is `loading`, `ready` (with `fps`, the most frames per second that are
answered), `answer` (see `as_json`) or `error` (with a sentence; the connection then closes).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from vidfer.limits import (
    LIVE_CONNECTIONS,
    LIVE_FPS,
    LIVE_FRAME_BYTES,
    LIVE_IDLE_SECONDS,
    LIVE_SECONDS,
    LIVE_SIDE_PIXELS,
)
from vidfer.types import DISPLAYED, VidferError

if TYPE_CHECKING:
    import numpy as np
    from fastapi import FastAPI, WebSocket
    from numpy.typing import NDArray

    from vidfer.api import LiveFrame
    from vidfer.stages.chain import ChainOptions

TRY_LATER: Final = 1013
NOT_TAKEN: Final = 1003
TOO_BIG: Final = 1009
GOING: Final = 1001


class LiveError(VidferError):
    """Why a live connection ends: a sentence for the user, and the WebSocket's close code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class LiveLimits:
    """What one live connection may use.

    Args:
        connections: At once.
        frame_bytes: Of one JPEG.
        min_side: The shortest side of a frame in px.
        max_side: The longest side of a frame in px.
        fps: Frames that are answered per second; more are slowed down.
        idle_s: Seconds without a frame after which a connection ends.
        total_s: Seconds after which it ends in any case, so that one that was forgotten does not keep others out.
    """

    connections: int = LIVE_CONNECTIONS
    frame_bytes: int = LIVE_FRAME_BYTES
    min_side: int = 32
    max_side: int = LIVE_SIDE_PIXELS
    fps: float = LIVE_FPS
    idle_s: float = LIVE_IDLE_SECONDS
    total_s: float = LIVE_SECONDS


class Streamer(Protocol):
    """What live mode needs of a `vidfer.Analyzer`."""

    def warm(self) -> Self:
        """Load the models."""

    def stream(self, frames: "Iterator[tuple[float, NDArray[np.uint8]]]") -> "Iterator[LiveFrame]":
        """Yield the answer to each frame before the next one is asked for."""


@dataclass(frozen=True)
class FaceAnalyzer:
    """A `Streamer` that loads only what reads faces: live mode hears no sound."""

    chain: "ChainOptions"

    def warm(self) -> Self:
        """Load the models."""
        from vidfer.stages.audio import AudioStage
        from vidfer.stages.chain import build_chain

        for stage in build_chain(self.chain):
            if not isinstance(stage, AudioStage):
                stage.warm()
        return self

    def stream(self, frames: "Iterator[tuple[float, NDArray[np.uint8]]]") -> "Iterator[LiveFrame]":
        """Answer as `vidfer.Analyzer.stream` does."""
        from vidfer.api.live import answer_frames
        from vidfer.stages.chain import build_chain

        return answer_frames(build_chain(self.chain), frames)


def add_live(app: "FastAPI", chain: "ChainOptions") -> None:
    """Serve live mode at `/live`."""
    from fastapi import WebSocket

    live = Live(lambda: FaceAnalyzer(chain))

    async def serve(socket: WebSocket) -> None:
        await live.serve(socket)

    app.add_api_websocket_route("/live", serve)


@dataclass
class Live:
    """Answers live connections by one analyzer, which is made, and loads its models, when the first comes.

    Args:
        analyzer: Makes the analyzer; called at most once.
        limits: Of each connection.
    """

    analyzer: "Callable[[], Streamer]"
    limits: LiveLimits = field(default_factory=LiveLimits)
    _made: "Streamer | None" = None
    _open: int = 0
    _making: Lock = field(default_factory=Lock)

    async def serve(self, socket: "WebSocket") -> None:
        """Accept a connection and answer its frames until it ends; every fault is told in a sentence before it closes."""
        from fastapi import WebSocketDisconnect

        await socket.accept()
        try:
            async with self._place():
                await self._answer(socket)
        except WebSocketDisconnect:
            return
        except VidferError as error:
            await _end(socket, error)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Take one of the places, or say that there is none."""
        most = self.limits.connections
        if self._open >= most:
            taken = "The live place is" if most == 1 else f"All {most} live places are"
            raise LiveError(f"{taken} taken: try again in a minute, or record a clip and analyse that.", TRY_LATER)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def _answer(self, socket: "WebSocket") -> None:
        """Read frames and send answers. A thread of its own does the work: a stream is one computation after the other."""
        loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, "vidfer-live")
        slot: list[tuple[float, NDArray[np.uint8]]] = []
        try:
            await socket.send_json({"kind": "loading"})
            analyzer = await loop.run_in_executor(thread, self._load)
            answers = analyzer.stream(_taken(slot))
            await socket.send_json({"kind": "ready", "fps": self.limits.fps, "about": DISPLAYED})
            start = last = time.monotonic()
            while True:
                data = await self._receive(socket)
                await asyncio.sleep(last + 1 / self.limits.fps - time.monotonic())
                last = time.monotonic()
                if last - start > self.limits.total_s:
                    raise LiveError(
                        f"Live mode ends after {self.limits.total_s / 60:g} minutes: start it again.", GOING
                    )
                answer = await loop.run_in_executor(thread, self._next, slot, last - start, data, answers)
                await socket.send_json(as_json(answer))
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> "Streamer":
        with self._making:
            if self._made is None:
                self._made = self.analyzer().warm()
            return self._made

    async def _receive(self, socket: "WebSocket") -> bytes:
        """Wait for the next frame's bytes."""
        from fastapi import WebSocketDisconnect

        try:
            message = await asyncio.wait_for(socket.receive(), self.limits.idle_s)
        except TimeoutError:
            idle = f"No picture came for {self.limits.idle_s:g} s, so live mode ended: start it again."
            raise LiveError(idle, GOING) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", GOING))
        data: bytes | None = message.get("bytes")
        if data is None:
            raise LiveError("Live mode takes JPEG pictures, each as one binary message.", NOT_TAKEN)
        if len(data) > self.limits.frame_bytes:
            size = f"{len(data) / 1e6:.1f} MB, and at most {self.limits.frame_bytes / 1e6:g} MB are taken"
            raise LiveError(f"A picture has {size}: send smaller ones.", TOO_BIG)
        return data

    def _next(
        self,
        slot: "list[tuple[float, NDArray[np.uint8]]]",
        at: float,
        data: bytes,
        answers: "Iterator[LiveFrame]",
    ) -> "LiveFrame":
        slot.append((at, read_jpeg(data, self.limits)))
        return next(answers)


def _taken(slot: list[Any]) -> Iterator[Any]:
    """Yield what lies in the slot each time the next one is asked for."""
    while True:
        yield slot.pop()


async def _end(socket: "WebSocket", error: VidferError) -> None:
    """Tell why, and close; a client that is gone needs neither."""
    from fastapi import WebSocketDisconnect

    code = error.code if isinstance(error, LiveError) else 1011
    try:
        await socket.send_json({"kind": "error", "message": str(error)})
        await socket.close(code)
    except WebSocketDisconnect:
        return


def read_jpeg(data: bytes, limits: LiveLimits) -> "NDArray[np.uint8]":
    """Decode a JPEG to RGB `(H, W, 3)` uint8; its size is looked at before its pixels are.

    Raises:
        LiveError: It is none, is damaged, or a side is out of bounds.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=["JPEG"]) as image:
            if min(image.size) < limits.min_side or max(image.size) > limits.max_side:
                sides = f"sides have to be from {limits.min_side} to {limits.max_side} px"
                raise LiveError(f"A picture has {image.width} x {image.height} px: its {sides}.", TOO_BIG)
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise LiveError("A picture is damaged, or no JPEG: start live mode again.", NOT_TAKEN) from error


def as_json(frame: "LiveFrame") -> dict[str, Any]:
    """Return an answer as the page gets it: times in s, boxes in px, probabilities to three decimals."""
    return {
        "kind": "answer",
        "index": frame.index,
        "time_s": round(frame.time_s, 3),
        "latency_s": round(frame.latency_s, 4),
        "people": [
            {
                "person": person.person,
                "box": [round(edge, 1) for edge in person.box],
                "expression": person.expression,
                "smooth_expression": person.smooth_expression,
                "probabilities": {name: round(value, 3) for name, value in person.probabilities.items()},
                "smooth": person.smooth and {name: round(value, 3) for name, value in person.smooth.items()},
                "flaws": person.flaws,
            }
            for person in frame.people
        ],
    }
