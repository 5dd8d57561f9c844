"""What the REST service takes and answers, as OpenAPI describes it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vidfer.app.job import State
from vidfer.inference.decision import Answer, Pool
from vidfer.stages.choice import Preset, Prior, SpeechMode
from vidfer.stages.denoise import DenoiseMode
from vidfer.types import Status

TableName = Literal["frames", "seconds", "segments", "people", "windows", "clips"]
TableFormat = Literal["csv", "parquet"]


class JobOptions(BaseModel):
    """How a clip is analysed; what is not given is as the server was started."""

    model_config = ConfigDict(extra="forbid")

    fps: float | None = Field(default=None, gt=0, le=60, description="Frames per second that are looked at")
    denoise: DenoiseMode | None = Field(default=None, description="Denoise what is noisy, everything, or nothing")
    preset: Preset | None = Field(default=None, description="`paper` predicts as the paper does")
    answer: Answer | None = Field(default=None, description="Pool a person's face images, or count their votes")
    prior: Prior | None = Field(default=None, description="Whether the training set's class shares count")
    pool: Pool | None = Field(default=None, description="Pool the half of the face images with most expression, or all")
    voice: SpeechMode | None = Field(
        default=None, description="Use the sound where someone speaks, or wherever it is not silent"
    )
    abstain: float | None = Field(default=None, gt=0, lt=1, description="Predict `uncertain` below this probability")
    grid: float | None = Field(default=None, gt=0, le=3600, description="Seconds between the rows of table `seconds`")
    min_segment: float | None = Field(default=None, ge=0, le=3600, description="Seconds that a segment lasts at least")
    show_faces: bool = Field(default=False, description="Do not blur the pictures of people in the report")


class ClipFile(BaseModel):
    """The file of `POST /analyze`."""

    file: bytes = Field(description="The video, sound file or picture", json_schema_extra={"format": "binary"})


class AnalyzeForm(JobOptions, ClipFile):
    """The form of `POST /analyze`."""


class JobStatus(BaseModel):
    """Where a job stands."""

    id: str = Field(description="The job's secret: whoever knows it sees the job and its results")
    name: str = Field(description="What the file was called; text, never markup")
    status: State
    position: int = Field(description="Place in the queue: 1 for the next, 0 once it has begun")
    stage: str = Field(description="What is being done, in words, while it runs")
    progress: float = Field(ge=0, le=1, description="Share of the analysis that is done")
    message: str = Field(description="A sentence on what went wrong, or on what the clip lacks; may be empty")
    clip_status: Status | None = Field(
        description="What became of the clip, once it is known: docs/reference/statuses.md"
    )
    created_at: datetime
    expires_at: datetime | None = Field(description="When the job and its files are removed, once it has ended")
    summary: dict[str, Any] | None = Field(description="What summary.json holds, once the job is done")


class Limits(BaseModel):
    """What the server takes."""

    max_bytes: int = Field(description="Largest file, in bytes")
    max_duration_s: float = Field(description="Longest clip, in s")
    max_time_s: float = Field(description="Longest time of one analysis, in s")
    keep_s: float = Field(description="How long files are kept after a job ended, in s")
    jobs: int = Field(description="Jobs at once")
    max_queue: int = Field(description="Jobs that may wait")
    waiting: int = Field(description="Jobs that wait now")
    formats: list[str] = Field(description="Usual suffixes of files that are read; the content counts, not the name")


class Health(BaseModel):
    """That the server answers, and which version of vidfer it is."""

    status: Literal["ok"] = "ok"
    version: str


class Problem(BaseModel):
    """Why something was refused."""

    detail: str = Field(description="One sentence")
