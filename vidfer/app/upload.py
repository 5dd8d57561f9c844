"""Uploads: a form whose file goes to the disk as it comes, and is given up as soon as it is too large."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from vidfer.app.settings import MEGABYTE
from vidfer.limits import UPLOAD_FORM_BYTES, UPLOAD_NAME_CHARACTERS, UPLOAD_SECONDS, UPLOAD_SILENCE
from vidfer.pipeline.shortage import FULL
from vidfer.results.names import shown

_SECONDS_OF_FAREWELL: Final = 5.0
_SECONDS_OF_SILENCE: Final = 0.5


class UploadError(Exception):
    """An upload that is not taken: the HTTP status, and a sentence for its sender."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class Form:
    """What came: the fields by name, and what the file was called."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None


class Body:
    """The body of a request, piece by piece."""

    def __init__(self, request: Request) -> None:
        self.headers = request.headers
        self._receive, self._ended = request.receive, False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what comes.

        Raises:
            UploadError: The sender breaks off, falls silent, or takes too long.
        """
        end = time.monotonic() + UPLOAD_SECONDS
        while not self._ended:
            if time.monotonic() > end:
                raise UploadError(408, f"the file took longer than {UPLOAD_SECONDS:g} s: send a smaller one")
            try:
                yield await self._next(UPLOAD_SILENCE)
            except TimeoutError as error:
                raise UploadError(408, f"nothing came for {UPLOAD_SILENCE:g} s: send the file again") from error

    async def hear_out(self) -> None:
        """Drop what is still being sent, for some seconds: many clients read no answer before they have sent all."""
        if self.headers.get("expect") is not None:  # such a client waits for the answer, or for leave to send
            return
        end = time.monotonic() + _SECONDS_OF_FAREWELL
        with suppress(TimeoutError, UploadError):
            while not self._ended and time.monotonic() < end:
                await self._next(_SECONDS_OF_SILENCE)

    async def _next(self, patience: float) -> bytes:
        message = await asyncio.wait_for(self._receive(), patience)
        self._ended = not message.get("more_body")
        if message["type"] == "http.disconnect":
            raise UploadError(400, "the connection broke off")
        return bytes(message.get("body", b""))


async def receive(body: Body, target: Path, max_bytes: int) -> Form:
    """Read a multipart form, and write its part `file` to `target`.

    Args:
        body: Its `Content-Length` is believed where it says that the form is too large, and counted where it does not.
        target: A path for the file.
        max_bytes: The largest file.

    Raises:
        UploadError: The form is none, too large, or ends too early; or the disk is full.
    """
    announced = body.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes + UPLOAD_FORM_BYTES:
        raise _too_large(max_bytes)
    boundary = _boundary(body.headers)
    try:
        with target.open("xb") as file:
            reader = _Reader(boundary, file.write, max_bytes)
            async for chunk in body.chunks():
                await run_in_threadpool(reader.write, chunk)
    except FormParserError as error:
        raise UploadError(400, "the form cannot be read: its parts are not divided as they should be") from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UploadError(507, "the server's disk is full: try again later") from error
    if not reader.ended:
        raise UploadError(400, "the form broke off before its end: send it again")
    if reader.form.file_name is None:
        raise UploadError(422, "there is no file: send the video as the form's field file")
    return reader.form


def _boundary(headers: Headers) -> bytes:
    kind, parameters = parse_options_header(headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in parameters:
        raise UploadError(415, "send a form, multipart/form-data, with the video as its field file")
    return parameters[b"boundary"]


def _too_large(max_bytes: int) -> UploadError:
    return UploadError(413, f"the file is too large: at most {max_bytes / MEGABYTE:g} MB are taken")


class _Reader:
    """The state of a form that is being read; the parser calls back for each piece.

    All that is not the file's bytes is kept in memory, and so is limited.
    """

    def __init__(self, boundary: bytes, write: Callable[[bytes], int], max_bytes: int) -> None:
        self.form, self.ended = Form(), False
        self._write_file, self._max_bytes = write, max_bytes
        self._in_file = self._beside = 0
        self._header = self._disposition = b""
        self._field: str | None = None  # None in the file
        self._text = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name_header,
                "on_header_value": self._read_header,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_body,
                "on_part_data": self._read_body,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        """Read the next piece."""
        before = self._in_file
        self._parser.write(chunk)
        self._beside += len(chunk) - (self._in_file - before)
        if self._beside > UPLOAD_FORM_BYTES:
            raise UploadError(413, f"the form's fields are too large: at most {UPLOAD_FORM_BYTES} bytes are taken")

    def _begin(self) -> None:
        self._header = self._disposition = self._text = b""

    def _name_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _read_header(self, data: bytes, start: int, end: int) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition += data[start:end]

    def _end_header(self) -> None:
        self._header = b""

    def _begin_body(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        if self._field != "file":
            return
        if self.form.file_name is not None:
            raise UploadError(422, "there are several files: send one at a time")
        self._field, self.form.file_name = None, file_name(options.get(b"filename", b"").decode("utf-8", "replace"))

    def _read_body(self, data: bytes, start: int, end: int) -> None:
        if self._field is not None:
            self._text += data[start:end]
            return
        self._in_file += end - start
        if self._in_file > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._write_file(data[start:end])

    def _end_part(self) -> None:
        if self._field is None:
            return
        if self._field in self.form.fields:
            raise UploadError(422, f"the field {shown(self._field)} is given twice")
        self.form.fields[self._field] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self.ended = True


def file_name(sent: str) -> str:
    """Return what a file is to be called in results: the last part of what its sender says, as a text that can be shown anywhere.

    Browsers write quotation marks and line ends as `%22`, `%0D` and `%0A`.

    Example:
        >>> [file_name(sent) for sent in ("../a/b.mp4", "%22><img src=x>.mp4", "..", "")]
        ['b.mp4', '"><img src=x>.mp4', 'video', 'video']
    """
    for escape, sign in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        sent = sent.replace(escape, sign)
    last = sent.replace("\\", "/").rpartition("/")[2].replace("\0", "")
    name = shown(last)[-UPLOAD_NAME_CHARACTERS:]
    return "video" if name in ("", ".", "..") else name
