import hashlib
import json
import re
import shutil
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from vidfer.cli.main import main
from vidfer.datasets.div2k import PARTS, find_div2k


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """A mirror of DIV2K with small images, as a folder of archives and its address."""
    folder = tmp_path_factory.mktemp("mirror")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)).save(folder / "image.png")
    for part in PARTS.values():
        with zipfile.ZipFile(folder / f"{part.folder}.zip", "w") as package:
            package.mkdir(part.folder)
            for name in part.names:
                package.write(folder / "image.png", f"{part.folder}/{name}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")

    def get(part, *more):
        archive = mirror[0] / f"{PARTS[part].folder}.zip"
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        out = ["--out", str(tmp_path / "DIV2K"), "--url", mirror[1]]
        return main(["download", "div2k", *out, "--part", part, *(more or ("--sha256", digest.upper()))])

    return get


def test_the_set_is_laid_out_and_recorded_once(get, mirror, tmp_path, capsys):
    assert get("train") == get("valid") == 0
    root = tmp_path / "DIV2K"
    train, valid, report = find_div2k(root)
    assert (len(train), len(valid), report.dropped, report.noted) == (800, 100, {}, {})
    assert sorted(path.name for path in root.iterdir()) == [
        "DIV2K_train_HR", "DIV2K_train_HR.json", "DIV2K_valid_HR", "DIV2K_valid_HR.json",
    ]  # fmt: skip
    digest = hashlib.sha256((mirror[0] / "DIV2K_valid_HR.zip").read_bytes()).hexdigest()
    record = json.loads((root / "DIV2K_valid_HR.json").read_text())
    assert record == {"url": f"{mirror[1]}DIV2K_valid_HR.zip", "sha256": digest, "files": 100}
    said = capsys.readouterr()
    assert "DIV2K_valid_HR: 100 photographs\n" in said.out
    assert re.search(r"DIV2K_valid_HR.zip .*165.1/165.1 kB", said.err)
    assert main(["download", "div2k", "--out", str(root), "--url", "http://127.0.0.1:1"]) == 0
    said = capsys.readouterr()
    assert said.out.count("are there already") == 2
    assert said.err.strip() == ""


def test_a_later_fetch_is_held_against_the_record(get, tmp_path, capsys):
    assert get("valid") == 0
    root = tmp_path / "DIV2K"
    (root / "DIV2K_valid_HR").rename(tmp_path / "away")
    assert get("valid", "--part", "valid") == 0  # the recorded checksum, not the publisher's
    (root / "DIV2K_valid_HR").rename(tmp_path / "away2")
    record = json.loads((root / "DIV2K_valid_HR.json").read_text())
    (root / "DIV2K_valid_HR.json").write_text(json.dumps({**record, "sha256": "0" * 64}))
    assert get("valid", "--part", "valid") == 1
    assert "holds a file of another sha256" in capsys.readouterr().err
    (root / "DIV2K_valid_HR.json").write_text("{}")
    assert get("valid", "--part", "valid") == 1
    assert "is damaged: delete it" in capsys.readouterr().err


def test_a_mirror_has_to_hold_the_publishers_archive(get, tmp_path, capsys):
    assert get("valid", "--part", "valid") == 1
    assert "bytes, not the 448993893 expected: try another address" in capsys.readouterr().err
    assert list((tmp_path / "DIV2K").iterdir()) == []


def test_a_folder_that_is_not_whole_is_not_touched(get, tmp_path, capsys):
    folder = tmp_path / "DIV2K" / "DIV2K_valid_HR"
    folder.mkdir(parents=True)
    (folder / "0801.png").write_bytes(b"mine")
    assert get("valid") == 1
    said = capsys.readouterr().err
    assert "is there, but not whole: move it away, then run the same command again" in said
    assert [path.name for path in folder.iterdir()] == ["0801.png"]


def test_room_on_the_disk_is_asked_for_first(get, monkeypatch, capsys, tmp_path):
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 800_000_000, 800_000_000))
    assert get("valid", "--part", "valid") == 1
    assert "has 0.8 GB free, 0.9 GB are needed: make room first" in capsys.readouterr().err
    assert not (tmp_path / "DIV2K").exists()


def test_wrong_usage_is_named(get, tmp_path, capsys):
    assert get("train", "--url", "ftp://mirror") == 2
    for words in (("--part", "all", "--sha256", "0" * 64), ("--sha256", "123")):
        with pytest.raises(SystemExit) as caught:
            get("train", *words)
        assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "--sha256 is the checksum of one archive: name it by --part train or --part valid" in said
    assert "'123' is no sha256: 64 hexadecimal digits" in said
    assert not (tmp_path / "DIV2K").exists()
