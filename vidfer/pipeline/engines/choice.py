"""Which engine a user wants, as options of the command line."""

from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from vidfer.pipeline.engines.base import Engine
from vidfer.types import UsageError

ENGINE_GROUPS: Final = {
    "on a cluster (never changes a result)": (
        "engine",
        "address",
        "stall",
        "shard",
        "max_jobs",
        "minutes",
        "partition",
        "slurm",
    )
}
"""The title under which a command's help lists these options."""

_OF: Final = {"ray": ("address",), "slurm": ("shard", "max_jobs", "minutes", "partition", "slurm")}


@dataclass(frozen=True)
class EngineOptions:
    """Where many clips are analysed.

    Args:
        engine: `local` works in processes of this machine, `ray` on a Ray cluster, `slurm` in arrays of jobs. Clips, store and
            working folder then have the same path on every machine.
        address: Of `ray`: `ray://HOST:10001`, `HOST:6379`, or `auto` for the cluster that this machine is part of (default: one
            of this machine alone is started).
        stall: Seconds without progress after which a clip's worker is killed, and the clip is a `timeout` (default: 600; `local`
            waits for ever).
        shard: Of `slurm`: clips of a job.
        max_jobs: Of `slurm`: jobs that wait or run at once.
        minutes: Of `slurm`: time limit of a job.
        partition: Of `slurm`: where the jobs run (default: SLURM's own).
        slurm: Of `slurm`: a further option of sbatch, such as `account=lab`; may be repeated.
    """

    engine: Literal["local", "ray", "slurm"] = "local"
    address: str | None = None
    stall: float | None = None
    shard: int = 100
    max_jobs: int = 100
    minutes: int = 240
    partition: str | None = None
    slurm: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse options of another engine, and what cannot be."""
        for name in ("shard", "max_jobs", "minutes"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} has to be at least 1, not {getattr(self, name)}")
        if self.stall is not None and not 0 < self.stall < float("inf"):
            raise UsageError(f"--stall has to be above 0, not {self.stall:g}")
        for entry in self.slurm:
            if not all(entry.partition("=")):
                raise UsageError(f"--slurm has to be NAME=VALUE, such as account=lab, not {entry}")
        for engine, names in _OF.items():
            given = [each.name for each in fields(self) if each.name in names and self._given(each)]
            if given and self.engine != engine:
                raise UsageError(f"--{given[0].replace('_', '-')} goes with --engine {engine}")

    def _given(self, option: "Field[Any]") -> bool:
        default = [] if option.default is MISSING else option.default
        return bool(getattr(self, option.name) != default)

    def make(self, jobs: int, device: str, folder: Path, retries: int = 0) -> Engine:
        """Return the engine; `folder` is where `slurm` keeps the files of its jobs; `retries` are of `local`.

        Raises:
            UsageError: `jobs` means nothing to it.
        """
        from vidfer.pipeline.engines.local import LocalEngine
        from vidfer.pipeline.engines.ray_engine import STALL, RayEngine
        from vidfer.pipeline.engines.slurm_engine import SlurmEngine

        if self.engine == "local":
            return LocalEngine(jobs, self.stall, retries)
        gpus, stall = int(device.startswith("cuda")), self.stall or STALL
        if self.engine == "ray":
            if jobs > 1:
                raise UsageError(
                    "--jobs is of --engine local and slurm: ray works on as many clips as the cluster has CPUs"
                )
            return RayEngine(self.address, stall, gpus)
        further = dict(entry.split("=", 1) for entry in self.slurm)
        return SlurmEngine(folder, jobs, self.shard, self.max_jobs, self.minutes, self.partition, further, gpus, stall)
