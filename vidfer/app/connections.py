"""Connections to the app before anything is known of who is there: how many there may be, and how long they may be silent."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from vidfer.limits import APP_CONNECTIONS, APP_REQUEST_SECONDS


class Connection(H11Protocol):
    """A connection of uvicorn's that is closed where no request comes, and at once where there are too many.

    Uvicorn itself waits for ever for the end of a request's head, and no token is needed to be waited for: some hundreds of
    half requests would take all files that the process may open.
    """

    _seen: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it."""
        super().connection_made(transport)
        if len(self.connections) > APP_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(APP_REQUEST_SECONDS, self._look)

    def _look(self) -> None:
        """Close the connection if no request has begun since the last look; one that is being answered is left alone."""
        if self.transport.is_closing() or self not in self.connections:  # or is a WebSocket's now
            return
        if self.cycle is self._seen and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()
            return
        self._seen = self.cycle
        self.loop.call_later(APP_REQUEST_SECONDS, self._look)
