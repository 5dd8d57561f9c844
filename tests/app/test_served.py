"""The server as a program: the examples of its page in the documentation, and how it ends."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from tests.conftest import ROOT
from tests.docs.blocks import Page
from vidfer.app.server import Server
from vidfer.app.settings import AppOptions

EXAMPLES = ROOT / "docs" / "how-to" / "app.md"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A folder with a second of the demo's clip."""
    from vidfer.datasets.synthetic import write_demo_clip

    folder = tmp_path_factory.mktemp("examples")
    write_demo_clip(folder / "clip.mp4", seconds=1)
    return folder


@pytest.fixture(scope="module")
def address():
    """A server that analyses."""
    server = Server(AppOptions(port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.address.rstrip("/")
    server.stop()
    thread.join()


def of_this_server(block, address):
    assert "http://127.0.0.1:7860" in block or "vidfer" not in block
    return block.replace("http://127.0.0.1:7860", address)


@pytest.mark.slow
def test_the_examples_run(clip, address, monkeypatch):
    page = Page(EXAMPLES.relative_to(ROOT), clip)
    script = "\n".join(of_this_server(block, address) for block in page.blocks("bash"))
    if shutil.which("curl") is None:
        pytest.skip("needs curl, which is not installed")
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=clip, check=True, timeout=120)
    assert (clip / "seconds.csv").read_text().startswith("clip_id,person_id,")
    assert (clip / "tables.zip").read_bytes().startswith(b"PK")
    report = (clip / "report.html").read_text()
    assert "clip.mp4" in report
    names = {}
    monkeypatch.chdir(clip)
    for block in page.blocks("python"):
        exec(of_this_server(block, address), names)
    assert names["job"]["status"] == "done"
    assert names["summary"]["predominant"] is not None
    assert len(names["table"]) >= 1


@pytest.mark.slow
def test_a_report_knows_its_clip_and_nothing_of_this_machine(clip, address, tmp_path):
    import httpx

    with httpx.Client(base_url=address, timeout=60) as server:
        evil = '"><img src=x onerror=1>.mp4'
        job = server.post("/analyze", files={"file": (evil, (clip / "clip.mp4").read_bytes())}, data={"fps": 2}).json()
        while job["status"] in ("queued", "running"):
            time.sleep(0.2)
            job = server.get(f"/jobs/{job['id']}").json()
        assert (job["status"], job["name"]) == ("done", evil)
        report = server.get(f"/jobs/{job['id']}/report").text
        assert "<img src=x" not in report
        assert "/tmp" not in json.dumps(job)
        assert "vidfer-app-" not in report + json.dumps(job)
        assert re.search(r'src="\./%22%3E%3Cimg%20src%3Dx%20onerror%3D1%3E\.mp4"', report)
        assert server.get(f"/jobs/{job['id']}/video", headers={"range": "bytes=4-7"}).content == b"ftyp"


def started(temporary, *options):
    """Start the command, and return it with its address when it listens."""
    words = [sys.executable, "-m", "vidfer", "app", "--port", "0", *options]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    line = program.stdout.readline()
    return program, re.fullmatch(r"vidfer app: (http://\S+)\n", line)[1]


def ready(address):
    return json.load(urllib.request.urlopen(f"{address}health", timeout=60))["status"] == "ok"


@pytest.mark.slow
def test_however_it_ends_nothing_is_left(tmp_path):
    program, address = started(tmp_path)
    assert ready(address)
    program.kill()  # leaves its folder behind
    program.communicate(timeout=30)
    (left,) = tmp_path.glob("vidfer-app-*")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        program, address = started(tmp_path)
        assert ready(address)
        (folder,) = tmp_path.glob("vidfer-app-*")
        assert folder != left
        port = int(re.search(r":(\d+)/", address)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            head = f"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5000\r\n"
            connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
            while not list(folder.glob("*/upload")):
                time.sleep(0.05)
            program.send_signal(number)
            program.send_signal(number)
            _, told = program.communicate(timeout=60)
        assert program.returncode == 0
        assert "uploads and results are removed" in told
        assert "Traceback" not in told
        assert "ERROR" not in told
        assert not list(tmp_path.glob("vidfer-app-*"))


@pytest.mark.slow
def test_others_need_the_token_and_are_told_of(tmp_path):
    program, address = started(tmp_path, "--host", "0.0.0.0")
    port = int(re.search(r":(\d+)/\?token=\S{20,}$", address)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 401 " in connection.recv(4096).splitlines()[0]
    assert b"http-equiv" in urllib.request.urlopen(address, timeout=60).read()
    program.terminate()
    _, told = program.communicate(timeout=60)
    assert "plain HTTP" in told
    assert "faces" in told
    assert "On other machines the address has this machine's name" in told
