"""Jobs from their upload to their removal."""

import io
import os
import time
import zipfile

import pytest

from tests.app.conftest import CLIP, send, serving, wait
from vidfer.app import jobs
from vidfer.app.work import played_at

EVIL = '"><img src=x onerror=1>.mp4'


def folder_of(client, job):
    return client.app.state.jobs.find(job["id"]).folder


def test_a_clip_becomes_a_result(client):
    job = send(client)
    assert (job["status"], job["name"], job["summary"]) == ("queued", "a.mp4", None)
    done = wait(client, job)
    assert (done["status"], done["progress"], done["position"], done["clip_status"]) == ("done", 1, 0, "ok")
    place = f"/jobs/{job['id']}"
    assert client.get(f"{place}/summary").json() == done["summary"]
    table = client.get(f"{place}/tables/frames.csv")
    assert table.text == "clip_id\na.mp4\n"
    assert table.headers["content-disposition"] == 'attachment; filename="a.mp4-frames.csv"'
    assert client.get(f"{place}/tables/people.parquet").content == b"PAR1"
    packed = zipfile.ZipFile(io.BytesIO(client.get(f"{place}/tables.zip").content))
    assert len(packed.namelist()) == 13
    assert packed.read("clips.csv") == b"clip_id\na.mp4\n"
    assert "report" in client.get(f"{place}/report").text


def test_ids_are_secrets_and_nobody_lists_them(client):
    ids = {send(client)["id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(len(each) >= 32 for each in ids)
    for each in ids:
        wait(client, {"id": each})
    known = ids.pop()
    near = known[:-1] + ("y" if known.endswith("x") else "x")
    for path in ("/jobs", "/jobs/", "/jobs/1", "/jobs/../1", f"/jobs/{near}"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("name", "state", "status", "told"),
    [
        ("broken.mp4", "failed", "corrupt", ""),
        ("nobody.mp4", "done", "no_face", ""),
        ("clip.mp4", "failed", "corrupt", "clip.mp4: nothing can be read"),
        ("dies.mp4", "failed", "crashed", "broke off"),
        ("full.mp4", "failed", None, "store"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(client, temporary, name, state, status, told):
    job = wait(client, send(client, name))
    assert (job["status"], job["clip_status"]) == (state, status)
    assert told in job["message"]
    assert str(temporary) not in job["message"]
    assert client.get(f"/jobs/{job['id']}/report").status_code == (200 if state == "done" else 409)
    assert wait(client, send(client))["status"] == "done"  # the next one does not suffer
    assert folder_of(client, job).exists() == (state == "done")


def test_a_file_that_cannot_be_opened_has_failed_without_waiting(client, temporary):
    job = send(client, "x.mp4", b"not a video")
    assert (job["status"], job["clip_status"], job["message"]) == ("failed", "corrupt", "x.mp4: cannot be opened")
    assert not folder_of(client, job).exists()


def test_models_stay_loaded_and_options_count(client):
    first, second = (wait(client, send(client, **fields))["summary"] for fields in ({}, {"fps": "10"}))
    assert first["pid"] == second["pid"] != os.getpid()
    assert (first["fps"], second["fps"]) == (5, 10)


def test_cancelling_frees_the_process_at_once(client):
    job, behind = send(client, "slow.mp4"), send(client)
    running = wait(client, job, ["running"])
    assert client.get(f"/jobs/{behind['id']}").json()["position"] == 1
    began = time.monotonic()
    assert client.delete(f"/jobs/{job['id']}").status_code == 204
    assert running["position"] == 0
    assert wait(client, job)["status"] == "cancelled"
    assert wait(client, behind)["status"] == "done"
    assert time.monotonic() - began < 10  # a slow job takes 60 s
    assert client.get(f"/jobs/{job['id']}/video").status_code == 404
    assert not folder_of(client, job).exists()


def test_a_job_that_waits_is_cancelled_and_one_that_ended_is_forgotten(client):
    slow, waits = send(client, "slow.mp4"), send(client)
    client.delete(f"/jobs/{waits['id']}")
    assert wait(client, waits)["status"] == "cancelled"
    wait(client, slow, ["running"])
    client.delete(f"/jobs/{slow['id']}")
    done = wait(client, send(client))
    folder = folder_of(client, done)
    assert (folder / "results").exists()
    client.delete(f"/jobs/{done['id']}")
    assert client.get(f"/jobs/{done['id']}").status_code == 404
    assert not folder.exists()


def test_jobs_come_in_order_and_a_full_queue_says_when_to_try_again(client):
    slow = send(client, "slow.mp4")
    wait(client, slow, ["running"])
    first, second = send(client, "1.mp4"), send(client, "2.mp4")
    assert (first["position"], second["position"]) == (1, 2)
    answer = client.post("/analyze", files={"file": ("3.mp4", b"x")})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert "queue is full" in answer.json()["detail"]
    assert client.post("/example").status_code == 429
    assert client.get("/limits").json()["waiting"] == 2
    client.delete(f"/jobs/{slow['id']}")
    wait(client, second)
    assert (
        client.get(f"/jobs/{first['id']}").json()["expires_at"]
        < client.get(f"/jobs/{second['id']}").json()["expires_at"]
    )


def test_two_jobs_at_once_and_a_limit_of_time(temporary):
    with serving(jobs=2, max_time=3.0) as client:
        slow = send(client, "slow.mp4")
        wait(client, slow, ["running"])
        assert wait(client, send(client))["status"] == "done"
        stopped = wait(client, slow)
        assert (stopped["status"], stopped["clip_status"]) == ("failed", "timeout")
        assert "longer than 3 s" in stopped["message"]
        assert wait(client, send(client))["status"] == "done"


def test_a_system_without_room_for_a_process_is_asked_again(temporary, monkeypatch):
    start, asked = jobs.Worker.start, []

    def starting(work, processes):
        asked.append(work)
        if len(asked) < 3:
            raise OSError(11, "Resource temporarily unavailable")
        return start(work, processes)

    monkeypatch.setattr(jobs, "_SECONDS_UNTIL_AGAIN", 0.01)
    monkeypatch.setattr(jobs.Worker, "start", starting)
    with serving() as client:
        assert wait(client, send(client))["status"] == "done"
    assert len(asked) == 3


def test_a_process_that_dies_while_nobody_asks_is_replaced(client):
    first = wait(client, send(client))["summary"]["pid"]
    os.kill(first, 9)
    time.sleep(0.2)
    assert wait(client, send(client))["summary"]["pid"] != first


def test_a_process_that_the_server_ends_is_not_called_dead(temporary, caplog):
    with serving() as client:
        running = send(client, "slow.mp4")
        wait(client, running, ["running"])
    assert [record.message for record in caplog.records if record.name.startswith("vidfer")] == []


def test_files_go_after_an_hour_and_all_when_the_server_ends(temporary):
    now = [1000.0]
    with serving(clock=lambda: now[0]) as client:
        job = wait(client, send(client))
        folder = folder_of(client, job).parent
        assert folder.parent == temporary
        assert (folder / "1" / "store" / "crop").exists()
        assert folder.stat().st_mode & 0o777 == 0o700
        now[0] += 3599
        client.app.state.jobs.sweep()
        assert client.get(f"/jobs/{job['id']}/report").status_code == 200
        now[0] += 1
        assert client.get(f"/jobs/{job['id']}/report").status_code == 404
        client.app.state.jobs.sweep()
        assert not (folder / "1").exists()
        running = send(client, "slow.mp4")
        wait(client, running, ["running"])
    assert not folder.exists()


@pytest.mark.parametrize(
    "name", [EVIL, "../../etc/passwd", "a/../b.mp4", "C:\\x\\b.mp4", "\u202egnp.mp4", "a\nb.mp4", ".mp4"]
)
def test_names_are_shown_and_are_no_paths(client, temporary, name):
    job = wait(client, send(client, name))
    assert job["status"] == "done"
    assert "/" not in job["name"]
    assert client.get(f"/jobs/{job['id']}/{played_at(job['name'])}").content == CLIP
    assert client.get(f"/jobs/{job['id']}/other.mp4").status_code == 404
    assert "\n" not in job["name"]
    if name == EVIL:
        assert job["name"] == EVIL
    assert {each.name for each in temporary.glob("*/*/clip*")} <= {"clip", "clip.mp4"}
    header = client.get(f"/jobs/{job['id']}/tables/frames.csv").headers["content-disposition"]
    assert not set('<>"\n') & set(header.replace('filename="', "").rstrip('"'))
