"""A stage of the chain: what it is called, what enters its key, and its work on one clip."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from vidfer.pipeline.store import Artifact, Draft
from vidfer.types import Status

Progress = Callable[[float], None]
"""Called now and then with the share of a clip that a stage has done, in [0, 1]."""


@dataclass(frozen=True)
class Outcome:
    """What a stage says of its work, once its files are written; `meta` has small facts for later stages, as JSON."""

    status: Status = Status.OK
    message: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


class Stage(ABC):
    """One step from artifacts to an artifact: a pure function of its recipe and its inputs.

    A concrete stage is a frozen dataclass. Every field enters the key unless it is made by `neutral` or `later`: a needless
    rerun is safe, a false hit is not. Bump `version` by hand whenever the same recipe would give another result.

    Attributes:
        name: Also the folder of its artifacts.
        inputs: Names of the stages whose artifacts it reads.
        reads_clip: Whether it reads the clip itself, so that the clip's content enters the key.
        packages: Distributions whose versions enter the key.
        apart: Whether a child process does its work, so that it can run in a thread beside other stages; it has no `inputs` then,
            and reports its progress often.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    inputs: ClassVar[tuple[str, ...]] = ()
    reads_clip: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()
    apart: ClassVar[bool] = False

    def tools(self) -> Mapping[str, str | None]:
        """Name what else decides the result, with its version."""
        return tool_versions(*self.packages)

    def reads_passing(self) -> tuple[str, ...]:
        """Name the inputs of which `run` reads files that may not be kept, see `Draft.write`."""
        return ()

    def recipe(self, source: str, input_keys: Mapping[str, str]) -> dict[str, Any]:
        """Return everything that decides this stage's result for a clip with that content digest, as JSON."""
        return {
            **self._of_all_clips,
            "inputs": {name: input_keys[name] for name in self.inputs},
            "source": source if self.reads_clip else None,
        }

    @cached_property
    def _of_all_clips(self) -> dict[str, Any]:
        values = asdict(self)  # type: ignore[call-overload]
        kept = {
            spec.name
            for spec in fields(self)  # type: ignore[arg-type]
            if not spec.metadata.get("neutral")
            and not (spec.metadata.get("later") and values[spec.name] == spec.default)
        }
        params = {name: values[name] for name in sorted(kept)}
        return {"stage": self.name, "version": self.version, "params": params, "tools": dict(self.tools())}

    def warm(self) -> None:  # noqa: B027 - most stages have nothing to load
        """Load what `run` needs and keeps, so that the first clip, or frame, takes no longer than the next."""

    @abstractmethod
    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Write the result for one clip into the draft; the status of an input may be anything.

        Raises:
            ClipError: The clip could not be processed. Unless the status is transient, that is the stored result.
        """


def neutral(default: Any) -> Any:  # noqa: ANN401 - stands for a field of any type
    """Declare a field that cannot change the result (device, time limits), so that it stays out of the key."""
    return field(default=default, metadata={"neutral": True})


def later(default: Any) -> Any:  # noqa: ANN401 - stands for a field of any type
    """Declare a field that enters the key only where it is not its default, so that keys from before there was one stay."""
    return field(default=default, metadata={"later": True})


def tool_versions(*names: str) -> dict[str, str | None]:
    """Return the installed version of each distribution, such as `facenet-pytorch`, without importing it; None if missing."""
    return {name: _version(name) for name in names}


@cache  # it reads a file and parses it as a mail
def _version(name: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(name)
    return None
