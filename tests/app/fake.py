"""Work that a server's process does in no time, as the name of the file asks."""

import os
import time

from vidfer.results.schema import TABLES
from vidfer.types import ClipError, Status, VidferError


def work(task, progress):
    """Do what stands in the upload's name: wait, fail in one way or another, or write results."""
    if task is None:
        return {}
    progress("faces", 0.5)
    kind = task.name.partition(".")[0]
    if kind == "slow":
        time.sleep(60)
    if kind == "dies":
        os._exit(3)
    if kind == "full":
        raise VidferError(f"the store {task.store} is full")
    if kind == "clip":
        raise ClipError(Status.CORRUPT, f"{task.clip}: nothing can be read")
    task.results.mkdir()
    for name in TABLES:
        (task.results / f"{name}.csv").write_text(f"clip_id\n{task.name}\n")
        (task.results / f"{name}.parquet").write_bytes(b"PAR1")
    (task.results / "report.html").write_text("<!doctype html><title>report</title>")
    task.store.mkdir()
    (task.store / "crop").write_bytes(b"a face")
    status = "no_face" if kind == "nobody" else "corrupt" if kind == "broken" else "ok"
    return {
        "status": status,
        "message": "",
        "clip": task.name,
        "pid": os.getpid(),
        "fps": task.chain.fps,
        "played": task.played,
    }
