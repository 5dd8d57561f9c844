"""The REST service: jobs and their results."""

import shutil
import zipfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from vidfer import __version__
from vidfer.app import upload
from vidfer.app.example import EXAMPLE, example_clip
from vidfer.app.intake import look_at, options_of, task_of
from vidfer.app.job import Job, State
from vidfer.app.jobs import Jobs, QueueFullError
from vidfer.app.schemas import AnalyzeForm, Health, JobOptions, JobStatus, Limits, Problem, TableFormat, TableName
from vidfer.app.settings import AppOptions
from vidfer.media.find import SUFFIXES
from vidfer.pipeline.atomic import replacing
from vidfer.results.clip_folder import REPORT

_RETRY_AFTER: Final = "30"

REPORT_POLICY: Final = "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; object-src 'none'"
"""What a report may not do beside what its own `meta` forbids, which allows its inlined script."""


def _refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    what = {
        404: "There is no such job, or it has expired",
        409: "The job has no results: it is not done",
        413: "The file or the clip is larger than the limit",
        415: "It is no multipart form",
        422: "There is no file, or an option or a name that cannot be",
        429: "The queue is full; `Retry-After` says in how many seconds to try again",
    }
    return {code: {"model": Problem, "description": what[code]} for code in codes}


router = APIRouter()


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _settings(request: Request) -> AppOptions:
    settings: AppOptions = request.app.state.settings
    return settings


def _job(job_id: str, request: Request) -> Job:
    job = _jobs(request).find(job_id)
    if job is None:
        raise HTTPException(404, "there is no such job: it may have expired, or been removed")
    return job


def _done(job: Annotated[Job, Depends(_job)]) -> Job:
    if job.state is not State.DONE:
        raise HTTPException(409, f"the job has no results: it is {job.state}" + f" ({job.message})" * bool(job.message))
    return job


AnyJob = Annotated[Job, Depends(_job)]
DoneJob = Annotated[Job, Depends(_done)]

_FORM_IN_OPENAPI: Final = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": AnalyzeForm.model_json_schema()}},
    }
}


@router.post(
    "/analyze",
    status_code=202,
    tags=["jobs"],
    responses=_refusals(413, 415, 422, 429),
    openapi_extra=_FORM_IN_OPENAPI,
)
async def analyze(request: Request) -> JobStatus:
    """Send a clip as the form's field `file`, and have it analysed.

    A file that cannot be read is a job that has failed already, with a message that says why.
    """
    jobs, settings, body = _jobs(request), _settings(request), upload.Body(request)
    try:
        job = _begin(jobs)
    except HTTPException:
        await body.hear_out()
        raise
    try:
        with ExitStack() as undo:
            undo.callback(jobs.discard, job)
            target = job.folder / "upload"
            form = await upload.receive(body, target, settings.max_bytes)
            job.name = form.file_name or ""
            suffix = Path(job.name).suffix[1:].lower()
            clip = target.rename(job.folder / (f"clip.{suffix}" if suffix in SUFFIXES else "clip"))
            options = options_of(form.fields)
            fault = await run_in_threadpool(look_at, job, clip, settings)
            task = task_of(job, clip, options, settings)
            undo.pop_all()
    except upload.UploadError as error:
        await body.hear_out()
        raise HTTPException(error.code, error.message) from error
    jobs.submit(job, task, fault)
    return _status(job, jobs)


@router.post("/example", status_code=202, tags=["jobs"], responses=_refusals(429))
def analyze_example(request: Request) -> JobStatus:
    """Have an example analysed: ten seconds of a public-domain portrait, with a synthetic voice."""
    jobs, settings = _jobs(request), _settings(request)
    job = _begin(jobs)
    with ExitStack() as undo:
        undo.callback(jobs.discard, job)
        clip = job.folder / "clip.mp4"
        shutil.copyfile(example_clip(request.app.state.folder), clip)
        job.name, job.media_type = EXAMPLE, "video/mp4"
        task = task_of(job, clip, JobOptions(), settings)
        undo.pop_all()
    jobs.submit(job, task)
    return _status(job, jobs)


@router.get("/jobs/{job_id}", tags=["jobs"], responses=_refusals(404))
def job_status(job: AnyJob, request: Request) -> JobStatus:
    """Say where a job stands; ask again every half second or so."""
    return _status(job, _jobs(request))


@router.delete("/jobs/{job_id}", status_code=204, tags=["jobs"], responses=_refusals(404))
def cancel_job(job: AnyJob, request: Request) -> Response:
    """Stop a job that waits or runs, and remove its files; one that has ended is removed and forgotten."""
    _jobs(request).cancel(job)
    return Response(status_code=204)


@router.get("/jobs/{job_id}/summary", tags=["results"], responses=_refusals(404, 409))
def job_summary(job: DoneJob) -> dict[str, Any]:
    """Return what summary.json holds."""
    return job.summary or {}


@router.get(
    "/jobs/{job_id}/report",
    tags=["results"],
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}}, **_refusals(404, 409)},
)
def job_report(job: DoneJob) -> FileResponse:
    """Return the report: a page with the clip's player, a timeline in step with it, and what was found."""
    return _file(job.results / REPORT, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


@router.get(
    "/jobs/{job_id}/video",
    tags=["results"],
    response_class=FileResponse,
    responses={200: {"content": {"video/*": {}}}, 206: {"content": {"video/*": {}}}, **_refusals(404)},
)
def job_video(job: AnyJob) -> FileResponse:
    """Return the clip as it was sent; `Range` is understood."""
    if job.task is None:
        raise HTTPException(404, "the clip has been removed")
    return _file(job.task.clip, media_type=job.media_type or "application/octet-stream")


@router.get(
    "/jobs/{job_id}/tables.zip",
    tags=["results"],
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}}, **_refusals(404, 409)},
)
def job_tables(job: DoneJob) -> FileResponse:
    """Return all tables as CSV and Parquet, with the data dictionary, the summary, the report and its pictures."""
    archive = job.folder / "tables.zip"
    if not archive.exists():
        with replacing(archive) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(job.results.iterdir()):
                if file.is_file() and not file.name.startswith("."):
                    packed.write(file, file.name)
    return _file(archive, media_type="application/zip", filename=f"{job.name}.zip")


@router.get(
    "/jobs/{job_id}/tables/{table}.{table_format}",
    tags=["results"],
    response_class=FileResponse,
    responses={200: {"content": {"text/csv": {}, "application/vnd.apache.parquet": {}}}, **_refusals(404, 409, 422)},
)
def job_table(job: DoneJob, table: TableName, table_format: TableFormat) -> FileResponse:
    """Return one of the six tables; docs/reference/columns.md says what their columns are."""
    kind = "text/csv; charset=utf-8" if table_format == "csv" else "application/vnd.apache.parquet"
    name = f"{table}.{table_format}"
    return _file(job.results / name, media_type=kind, filename=f"{job.name}-{name}")


@router.get("/jobs/{job_id}/{name}", include_in_schema=False)
def job_clip(job: AnyJob, name: str) -> FileResponse:
    """Return the clip by its name, as its report asks for it."""
    if name != job.name:
        raise HTTPException(404, "a job has nothing of that name")
    return job_video(job)


@router.get("/limits", tags=["server"])
def limits(request: Request) -> Limits:
    """Say what the server takes."""
    settings = _settings(request)
    return Limits(
        max_bytes=settings.max_bytes,
        max_duration_s=settings.max_duration,
        max_time_s=settings.max_time,
        keep_s=settings.keep,
        jobs=settings.jobs,
        max_queue=settings.max_queue,
        waiting=_jobs(request).waiting(),
        formats=list(SUFFIXES),
    )


@router.get("/health", tags=["server"])
def health() -> Health:
    """Say that the server answers."""
    return Health(version=__version__)


def _begin(jobs: Jobs) -> Job:
    try:
        return jobs.begin()
    except QueueFullError as error:
        full = "the queue is full: try again in half a minute"
        raise HTTPException(429, full, {"Retry-After": _RETRY_AFTER}) from error


def _status(job: Job, jobs: Jobs) -> JobStatus:
    expires = jobs.expires(job)
    return JobStatus(
        id=job.id,
        name=job.name,
        status=job.state,
        position=jobs.position(job),
        stage=job.stage,
        progress=job.progress,
        message=job.message,
        clip_status=job.clip_status,
        created_at=datetime.fromtimestamp(job.created, UTC),
        expires_at=None if expires is None else datetime.fromtimestamp(expires, UTC),
        summary=job.summary if job.state is State.DONE else None,
    )


def _file(path: Path, **options: Any) -> FileResponse:  # noqa: ANN401 - starlette's own
    if not path.is_file():
        raise HTTPException(404, "the file has been removed")
    return FileResponse(path, **options)
