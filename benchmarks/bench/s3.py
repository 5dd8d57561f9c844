"""Requests of a store on S3 for one clip, counted by a server on this machine (moto)."""

import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .clips import Clip
from .cost import run, vidfer
from .figures import Figure, Measurement
from .plan import Plan
from .seconds import LENGTH, SIZES

NAME: Final = "a clip in a store on S3"
_REQUEST: Final = re.compile(r"(GET|PUT|HEAD|POST|DELETE) \S*?/bucket/\S+ HTTP/1")


def measure(plan: Plan) -> Iterator[Measurement]:
    """Count the requests of a clip that nobody has analysed, and those of another machine that finds it in the store."""
    if plan.quick:
        return
    folder = plan.folder("s3")
    figures: dict[str, Figure] = {}
    with _server(folder / "log") as env:
        for name in ("new", "found"):
            before = len((folder / "log").read_text())
            places = ("--store", "s3://bucket/store", "--out", folder / name / "out")
            mirror = {**env, "XDG_CACHE_HOME": str(folder / name)}  # each a machine of its own
            run(vidfer("analyze", Clip(*SIZES[0], LENGTH).path(), *places), env=mirror)
            counted = Counter(_REQUEST.findall((folder / "log").read_text()[before:]))
            figures |= {f"{name}, {method}": Figure.of([count]) for method, count in sorted(counted.items())}
    yield Measurement("s3", NAME, figures)


@contextmanager
def _server(log: Path) -> Iterator[dict[str, str]]:
    """Serve one empty bucket; yield the variables that lead there."""
    import s3fs

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
    env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    with log.open("w") as file:
        command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        for _ in range(100):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        s3fs.S3FileSystem(key="any", secret="any", endpoint_url=env["AWS_ENDPOINT_URL"]).mkdir("bucket")
        yield env
    finally:
        server.terminate()
        server.wait()
