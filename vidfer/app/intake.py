"""What is sent, made into a task: its options, what its file holds, and how it is to be analysed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fastapi import HTTPException
from pydantic import ValidationError

from vidfer.app.job import Job
from vidfer.app.schemas import JobOptions
from vidfer.app.settings import AppOptions
from vidfer.app.work import Task
from vidfer.media.decode import measure
from vidfer.results.tables import TableOptions
from vidfer.types import ClipError, UsageError

_SLACK: Final = 1.0
"""Seconds by which a clip may be too long: sound often ends a little later than the pictures."""

_PLAYED_AS: Final[Mapping[str, tuple[str, str]]] = {
    "mov": ("video/mp4", "audio/mp4"),
    "matroska": ("video/webm", "audio/webm"),
    "ogg": ("video/ogg", "audio/ogg"),
    "wav": ("audio/wav", "audio/wav"),
    "mp3": ("audio/mpeg", "audio/mpeg"),
    "flac": ("audio/flac", "audio/flac"),
}
"""By FFmpeg's name of the container: as what a clip is served, with moving pictures and without."""


def options_of(fields: Mapping[str, str]) -> JobOptions:
    """Read the fields of a form; empty ones count as not given.

    Raises:
        HTTPException: One is unknown, or its value cannot be.
    """
    try:
        return JobOptions.model_validate({name: value for name, value in fields.items() if value != ""})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "form"
        raise HTTPException(422, f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def task_of(job: Job, clip: Path, options: JobOptions, settings: AppOptions) -> Task:
    """Return what is to be done with a job's clip, once it was looked at.

    Raises:
        HTTPException: The options contradict each other, or those of the server.
    """
    given: dict[str, Any] = options.model_dump(exclude_none=True, exclude={"grid", "min_segment", "show_faces"})
    if "fps" in given:
        given["every"] = None
    tables = options.model_dump(exclude_none=True, include={"grid", "min_segment"})
    try:
        chain = replace(settings.chain, **given)
        return Task(
            clip,
            job.name,
            job.results,
            job.folder / "store",
            chain,
            TableOptions(**tables),
            show_faces=options.show_faces,
            played=bool(job.media_type),
        )
    except UsageError as error:
        raise HTTPException(422, str(error)) from error


def look_at(job: Job, clip: Path, settings: AppOptions) -> ClipError | None:
    """Refuse a clip that is too long; return the fault of one that cannot be read."""
    try:
        found, length = measure(clip)
    except ClipError as error:
        return error
    pictured, heard = _PLAYED_AS.get(found.container.partition(",")[0], ("", ""))
    job.media_type = pictured if found.video else heard
    length = length or found.duration or 0.0
    if length > settings.max_duration + _SLACK:
        raise HTTPException(
            413, f"the clip is too long: {length:.1f} s, and at most {settings.max_duration:g} s are taken"
        )
    return None
