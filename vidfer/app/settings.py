"""What `vidfer app` can be told."""

import ipaddress
from dataclasses import dataclass, field
from typing import Final

from vidfer.limits import JOB_SECONDS, JOBS_WAITING, UPLOAD_CLIP_SECONDS, UPLOAD_MEGABYTES
from vidfer.stages.chain import OPTION_GROUPS, ChainOptions
from vidfer.types import UsageError

USUAL_PORT: Final = 7860
"""The port that is taken where none is named, unless another program has it."""

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class AppOptions:
    """Serve a web page, and a REST service, that analyse videos on this machine.

    It listens on 127.0.0.1, which only this machine reaches. Uploads, face crops and results lie in a temporary folder; a job's
    are removed an hour after it ended, and all when the server ends. See docs/how-to/app.md.

    Args:
        host: Address to listen on; any but this machine's own needs the token that is printed.
        port: Port to listen on, 0 for any that is free (default: 7860, or a free one).
        open: Open the page in a browser.
        max_size: Largest file that is taken, in MB.
        max_duration: Longest clip that is taken, in s.
        max_queue: Jobs that may wait.
        max_time: Longest time of one job's analysis, in s.
        keep: How long a job's files are kept after it ended, in s.
        jobs: Jobs at once; each has a process of its own with the models.

    Raises:
        UsageError: A value is out of range.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    open: bool = False
    max_size: float = field(default=UPLOAD_MEGABYTES, metadata={"metavar": "MB"})
    max_duration: float = field(default=UPLOAD_CLIP_SECONDS, metadata={"metavar": "S"})
    max_queue: int = JOBS_WAITING
    max_time: float = field(default=JOB_SECONDS, metadata={"metavar": "S"})
    keep: float = field(default=3600.0, metadata={"metavar": "S"})
    jobs: int = 1
    chain: ChainOptions = field(
        default_factory=ChainOptions, metadata={"groups": OPTION_GROUPS, "exclusive": ("fps", "every")}
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("max_size", "max_duration", "max_time", "keep"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"--{name.replace('_', '-')} has to be above 0, not {getattr(self, name):g}")
        for name in ("jobs", "max_queue"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} has to be at least 1, not {getattr(self, name)}")
        if self.port is not None and not 0 <= self.port <= 65535:
            raise UsageError(f"--port has to be from 0 to 65535, not {self.port}")

    @property
    def max_bytes(self) -> int:
        """The largest file in bytes."""
        return round(self.max_size * MEGABYTE)

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_local(self.host)


def is_local(host: str) -> bool:
    """Tell whether a host, as it stands in an address, is this machine's own loopback.

    Example:
        >>> [is_local(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "example.org")]
        [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
