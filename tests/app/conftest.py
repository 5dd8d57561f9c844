"""The server with work that takes no time, by processes that are real."""

import time
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from tests.app import fake
from vidfer.app.server import create_app
from vidfer.app.settings import AppOptions
from vidfer.media.decode import Probe
from vidfer.types import ClipError, Status

HERE = "http://127.0.0.1:7860"
CLIP = b"moving pictures"


@pytest.fixture(scope="package", autouse=True)
def quick_probe():
    """Take files for clips of 2 s, or what their bytes say; the real probe has tests of its own."""

    def measure(path):
        content = path.read_bytes()
        if content.startswith(b"not a video"):
            raise ClipError(Status.CORRUPT, f"{path}: cannot be opened")
        seconds = float(content.split()[1]) if content.startswith(b"seconds ") else 2.0
        return Probe("png" if content == b"a picture" else "mov,mp4", seconds, None, None), seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidfer.app.intake.measure", measure)
        yield


@pytest.fixture(scope="package")
def temporary(tmp_path_factory):
    """Keep the servers' folders where tests can look at them."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        yield folder


@contextmanager
def serving(token=None, clock=time.time, **limits):
    """Run a server of these limits, and lend a client."""
    app = create_app(AppOptions(**limits), token=token, work=fake.work, clock=clock)
    with TestClient(app, base_url=HERE) as client:
        yield client


@pytest.fixture(scope="module")
def client(temporary):
    """A client of a server with small limits, for all tests of a module that leave it as it was."""
    with serving(max_size=0.2, max_duration=60, max_queue=2) as client:
        yield client


def send(client, name="a.mp4", content=CLIP, status=202, **fields):
    """Send a file, and return the answer."""
    answer = client.post("/analyze", files={"file": (name, content)}, data=fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def wait(client, job, until=("done", "failed", "cancelled"), seconds=20):
    """Ask until a job stands as it should."""
    end = time.monotonic() + seconds
    while (found := client.get(f"/jobs/{job['id']}").json())["status"] not in until:
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found
