"""The store over S3's own protocol, against moto's server, looked at by boto3."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

boto3 = pytest.importorskip("boto3", reason="needs boto3, which moto brings")
moto = pytest.importorskip("moto.server", reason="needs moto's server: pip install 'vidfer[dev]'")
pytest.importorskip("s3fs", reason="needs s3fs: pip install 'vidfer[s3]'")

from tests.pipeline.test_store import KEY, put  # noqa: E402
from vidfer.pipeline.gc import far_entries, verify  # noqa: E402
from vidfer.pipeline.mirror import is_due  # noqa: E402
from vidfer.pipeline.store import MANIFEST, Store, StoreError  # noqa: E402

ADDRESS = "s3://bucket/some/prefix"
FOLDER = f"some/prefix/thing/{KEY[:2]}/{KEY}"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server():
    """The address of a server, and boto3's client of it."""
    started = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    named = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        yield boto3.client("s3")
    started.stop()


@pytest.fixture
def machine(server, tmp_path, monkeypatch):
    """Open the store on a machine of that name, each with a mirror of its own; the bucket is empty."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    server.create_bucket(Bucket="bucket")

    def at(name):
        monkeypatch.setenv("VIDFER_MIRRORS", str(tmp_path / name))
        return Store(ADDRESS)

    yield at
    for name in names(server):
        server.delete_object(Bucket="bucket", Key=name)
    server.delete_bucket(Bucket="bucket")


def names(server):
    pages = server.get_paginator("list_objects_v2").paginate(Bucket="bucket")
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


def test_what_one_machine_puts_another_finds_and_nobody_puts_over_it(server, machine):
    made = put(machine("a"))
    digests = [f"{FOLDER}/{entry['blake3']}-{entry['name']}" for entry in made.manifest["files"]]
    assert names(server) == sorted([*digests, f"{FOLDER}/{MANIFEST}"])
    stored = server.get_object(Bucket="bucket", Key=f"{FOLDER}/{MANIFEST}")["Body"].read()
    assert stored == (made.path / MANIFEST).read_bytes()
    other = machine("b")
    found = other.find("thing", KEY)
    assert found.arrays("x.safetensors")["x"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert other.remote.create(f"thing/{KEY[:2]}/{KEY}/{MANIFEST}", b"mine") is False
    assert other.remote.probe() is True
    server.put_object(Bucket="bucket", Key=f"{FOLDER}/{MANIFEST}", Body=stored[:-1])
    assert machine("c").find("thing", KEY) is None
    assert sorted(name.split("/")[2] for name in names(server)) == ["quarantine"] * 3
    with pytest.raises(StoreError, match=r"s3://nosuchbucket/x has no bucket: make nosuchbucket, or give another"):
        Store("s3://nosuchbucket/x").find("thing", KEY)


WRITER = """
    import sys
    from tests.pipeline.test_store import KEY, Store, put
    import s3fs
    store = Store(sys.argv[1])
    store.remote.version("x")
    print("ready", flush=True)
    sys.stdin.readline()
    print(put(store, int(sys.argv[2])).meta["n"], flush=True)
"""


def writer(tmp_path, name, value):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), ADDRESS, str(value)],
        env={**os.environ, "VIDFER_MIRRORS": str(tmp_path / name)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(3))
def test_processes_that_race_for_one_key_agree(server, machine, tmp_path, turn):
    racing = [writer(tmp_path, f"m{value}", value) for value in (1000, 1001, 1002)]
    assert [process.stdout.readline() for process in racing] == ["ready\n"] * 3
    for process in racing:
        process.stdin.write("\n")
        process.stdin.flush()
    said = {process.communicate(timeout=60)[0] for process in racing}
    assert [process.returncode for process in racing] == [0, 0, 0]
    assert said == {f"{machine('late').find('thing', KEY).meta['n']}\n"}
    assert [name for name in names(server) if name.endswith(MANIFEST)] == [f"{FOLDER}/{MANIFEST}"]
    assert verify(machine("late")) == (2, [])


@pytest.mark.slow
def test_writers_killed_at_any_moment_leave_a_whole_artifact_or_none(server, machine, tmp_path):
    rng, states = random.Random(0), set()
    for turn, objects in enumerate((0, 1, 2, 3, 0, 1)):
        name = f"turn{turn}"
        killed = writer(tmp_path, name, 200_000)
        assert killed.stdout.readline() == "ready\n"
        killed.stdin.write("\n")
        killed.stdin.flush()
        deadline = time.monotonic() + 60
        while len(names(server)) < objects and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=60)
        other = machine(f"{name}-other")
        found = other.find("thing", KEY)
        assert found is None or found.names() == ["x.safetensors", "y.json"]
        assert other.quarantined == set()
        states.add((found is not None, bool(far_entries(other)[1])))
        again = machine(name)
        assert put(again, 200_000).meta["n"] == 200_000
        assert not is_due(again, "thing", KEY)
        assert other.find("thing", KEY) is not None
        for each in names(server):
            server.delete_object(Bucket="bucket", Key=each)
    assert len(states) > 1, "every writer was killed at the same step"


@pytest.mark.slow
def test_refused_or_no_credentials_and_no_server_are_one_sentence(server, machine, monkeypatch):
    import requests
    import s3fs

    place = os.environ["AWS_ENDPOINT_URL"]
    requests.post(f"{place}/moto-api/reset-auth", data=b"0", timeout=10)  # from now on every caller is checked
    try:
        with pytest.raises(StoreError, match=r"some/prefix cannot be read \(.*\): see that these credentials may list"):
            machine("a").find("thing", KEY)
    finally:
        requests.post(f"{place}/moto-api/reset-auth", data=b"inf", timeout=10)
    s3fs.S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StoreError, match=r"Could not connect .*see that it can be reached \(AWS_ENDPOINT_URL"):
            machine("a").find("thing", KEY)
    s3fs.S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nosuch")
        with pytest.raises(
            StoreError, match=r"Unable to locate credentials.*: give credentials, as by AWS_ACCESS_KEY_ID"
        ):
            machine("a").find("thing", KEY)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
def test_an_analysis_on_one_machine_is_there_for_another(machine, tmp_path, monkeypatch, capsys):
    import pandas

    from vidfer.cli.main import main
    from vidfer.datasets.synthetic import write_demo_clip
    from vidfer.pipeline import runner

    clip = tmp_path / "clip.mp4"
    write_demo_clip(clip)
    words = ["analyze", str(clip), "--store", ADDRESS, "--fps", "1"]
    machine("a")
    assert main([*words, "--out", str(tmp_path / "one")]) == 0

    def refuse(*_args, **_more):
        raise AssertionError("a stage was computed")

    monkeypatch.setattr(runner, "_computed", refuse)
    machine("b")
    assert main([*words, "--out", str(tmp_path / "two")]) == 0
    tables = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.csv"))
    assert len(tables) > 3
    for table in tables:
        one, two = (
            pandas.read_csv(tmp_path / name / table).drop(columns=["analyzed_at", "elapsed_s"], errors="ignore")
            for name in ("one", "two")
        )
        pandas.testing.assert_frame_equal(one, two, check_exact=True)
    capsys.readouterr()
    assert main(["purge", "--clip", str(clip), "--store", ADDRESS, "--yes"]) == 0
    assert names(boto3.client("s3")) == []
