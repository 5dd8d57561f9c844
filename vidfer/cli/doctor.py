"""`vidfer doctor`: what is installed, what works, and how to mend what does not."""

from dataclasses import dataclass, field

from vidfer.cli.put import put
from vidfer.inference.network import Backend
from vidfer.stages.selfcheck import check_installation


@dataclass(frozen=True)
class DoctorOptions:
    """Say what is installed, what works, and how to mend the rest.

    Args:
        backend: What weights are loaded by; `torch` also looks for CUDA devices.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    backend: Backend = "auto"
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})


def run(options: DoctorOptions) -> int:
    """Print a line for each check, and return 1 if one fails."""
    failed = 0
    for name, works, text in check_installation(options.store, options.backend):
        failed += not works
        put(f"  {'ok  ' if works else 'FAIL'}  {name}: {text}", indent=" " * 8, flush=True)
    put("everything works" if not failed else f"{failed} of the checks failed")
    return 1 if failed else 0
