"""The application, and the server that runs it."""

import asyncio
import errno
import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from vidfer import __version__
from vidfer.app.connections import Connection
from vidfer.app.description import add_description
from vidfer.app.guard import Guard
from vidfer.app.jobs import Jobs
from vidfer.app.live import add_live
from vidfer.app.page import add_page
from vidfer.app.routes import router
from vidfer.app.settings import USUAL_PORT, AppOptions
from vidfer.app.work import Analysis
from vidfer.limits import LIVE_MESSAGE_BYTES
from vidfer.pipeline.system import ENDING, WINDOWS
from vidfer.pipeline.temporary import temporary_folder
from vidfer.pipeline.worker import Work
from vidfer.stages.chain import build_chain
from vidfer.types import DISPLAYED, UsageError

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # nosec # only compared with what the user asks for

_ABOUT = f"""Send a video, and have the facial expressions that it shows as tables and as a report.

{DISPLAYED}"""

_TAGS = [
    {"name": "jobs", "description": "Jobs"},
    {"name": "results", "description": "Results of a job that is done"},
    {"name": "server", "description": "The server"},
]


def create_app(
    settings: AppOptions,
    *,
    token: str | None = None,
    work: Work[Any] | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """Make the application; its processes and its temporary folder live as long as it runs.

    Args:
        settings: Limits, and how clips are analysed.
        token: Secret that every request has to have; None for none.
        work: What is done with a `vidfer.app.work.Task`; the analysis by default.
        clock: The time in s since 1970, by which jobs expire.

    Raises:
        VidferError: Weights are unusable, or do not fit each other.
    """
    build_chain(settings.chain)

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            app.state.folder = stack.enter_context(temporary_folder("app"))
            app.state.jobs = Jobs(settings, app.state.folder, work or Analysis(settings.chain), clock)
            stack.callback(app.state.jobs.close)
            app.state.jobs.start()
            yield

    app = FastAPI(
        title="vidfer",
        version=__version__,
        description=_ABOUT,
        openapi_tags=_TAGS,
        generate_unique_id_function=lambda route: route.name,
        lifespan=alive,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.include_router(router)
    add_description(app, with_token=token is not None)
    add_page(app)
    add_live(app, settings.chain)
    app.add_middleware(Guard, host=settings.host, token=token, cookie=f"vidfer-{settings.port or 0}")
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    return app


async def _say_what_is_wrong(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg'][:1].lower()}{first['msg'][1:]}"}, 422)


def bound_socket(host: str, port: int | None) -> socket.socket:
    """Listen on a port, by default the usual one or, where that is taken, a free one.

    Raises:
        UsageError: The port is taken or may not be used, or there is no such host.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, USUAL_PORT if port is None else port, type=socket.SOCK_STREAM
        )[0]
    except OSError as error:
        raise UsageError(f"--host {host}: there is no such address on this machine") from error
    bound = socket.socket(family)
    if not WINDOWS:  # where it would take the port from another program
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE and port is None:
            return bound_socket(host, 0)
        reasons = {
            errno.EADDRINUSE: f"another program has port {port}: give another by --port, or 0 for any that is free",
            errno.EACCES: f"port {port} is the system's own: give one above 1023 by --port",
            errno.EADDRNOTAVAIL: f"--host {host}: this machine has no such address",
        }
        raise UsageError(reasons.get(error.errno or 0, f"--host {host} --port {port}: {error.strerror}")) from error
    return bound


class _Uvicorn(uvicorn.Server):
    """A server that always ends in order: a second Ctrl-C would leave people's recordings behind."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, once what is being answered is answered, or after two seconds."""
        self.should_exit = True


def _is_fault(record: logging.LogRecord) -> bool:
    """Tell whether a record of the server is to be told: that it breaks off what is under way when it ends is no fault."""
    broken_off = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not broken_off and not record.getMessage().startswith("Cancel ")


class Server:
    """The application at an address, listening from the start.

    Args:
        settings: Where to listen, and limits.

    Raises:
        VidferError: The port is taken, there is no such host, or weights are unusable.
    """

    def __init__(self, settings: AppOptions) -> None:
        self._host = settings.host
        self._socket = bound_socket(settings.host, settings.port)
        self.port: int = self._socket.getsockname()[1]
        self.token = None if settings.local else secrets.token_urlsafe(24)
        self._server = _Uvicorn(
            uvicorn.Config(
                create_app(replace(settings, port=self.port), token=self.token),
                log_level="warning",
                access_log=False,  # it would hold the token
                server_header=False,
                timeout_graceful_shutdown=2,
                http=Connection,
                ws="websockets-sansio",
                ws_max_size=LIVE_MESSAGE_BYTES,
                lifespan="on",
            )
        )

    @property
    def address(self) -> str:
        """Where the page is, with the token if there is one."""
        host = _EVERYWHERE.get(self._host, self._host)
        place = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"
        return place if self.token is None else f"{place}?token={self.token}"

    @property
    def everywhere(self) -> bool:
        """Whether it listens on all addresses of this machine, of which `address` has one that others cannot use."""
        return self._host in _EVERYWHERE

    def run(self) -> None:
        """Serve until Ctrl-C, SIGTERM or SIGHUP; then end the processes and remove all files."""
        logging.getLogger("uvicorn.error").addFilter(_is_fault)
        if threading.current_thread() is threading.main_thread():
            for number in {*ENDING} - {signal.SIGTERM}:  # which uvicorn handles as it does Ctrl-C
                signal.signal(number, self._server.handle_exit)
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Have `run` end, from another thread."""
        self._server.should_exit = True
