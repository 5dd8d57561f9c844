"""Small, full and other file systems for tests."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

SHM = Path("/dev/shm")


@contextmanager
def elsewhere(folder: Path) -> Iterator[Path]:
    """Lend a new folder on another file system than `folder`; the test is skipped where there is none to write on."""
    if not os.access(SHM, os.W_OK) or SHM.stat().st_dev == folder.stat().st_dev:
        pytest.skip("needs a second file system that can be written, as /dev/shm is")
    with TemporaryDirectory(prefix="vidfer-test-", dir=SHM) as place:
        yield Path(place)


class SmallDisk:
    """A file system in memory, whose size can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, kib: int) -> None:
        """Set its size; what it holds has to fit."""
        subprocess.run(["mount", "-o", f"remount,size={kib}k", str(self.path)], check=True)

    @property
    def used(self) -> int:
        """KiB that its files take."""
        found = os.statvfs(self.path)
        return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024


@contextmanager
def small_disk(path: Path, kib: int) -> Iterator[SmallDisk]:
    """Mount a file system of so many KiB at a new folder; the test is skipped where that is not allowed."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(path)]
    try:
        done = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("mounting a small file system needs root")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
