"""What is served of a clip, and what is left of a server's folder."""

import os
import random
import stat
import time

import pytest

from tests.app.conftest import send, wait
from vidfer.pipeline.lock import locked
from vidfer.pipeline.temporary import remove_stale, temporary_folder

CLIP = bytes(random.Random(0).randbytes(5000))


@pytest.fixture(scope="module")
def video(client):
    """The address of a clip that was sent."""
    return f"/jobs/{wait(client, send(client, content=CLIP))['id']}/video"


def ranges():
    """Ranges as players ask for them, with the bytes that they mean; None where there are none."""
    yield from [
        ("0-0", CLIP[:1]),
        ("0-", CLIP),
        ("4999-", CLIP[4999:]),
        ("-1", CLIP[-1:]),
        ("-9000", CLIP),
        ("0-99999", CLIP),
    ]
    yield from [("5000-", None), ("9000-9001", None)]
    for seed in range(6):
        start, end = sorted(random.Random(seed).sample(range(5000), 2))
        yield f"{start}-{end}", CLIP[start : end + 1]


@pytest.mark.parametrize(("asked", "meant"), list(ranges()), ids=[asked for asked, _ in ranges()])
def test_players_get_the_part_that_they_ask_for(client, video, asked, meant):
    answer = client.get(video, headers={"range": f"bytes={asked}"})
    assert answer.status_code == (416 if meant is None else 206)
    if meant is not None:
        assert answer.content == meant
        at = CLIP.index(meant) if len(meant) > 1 else 4999 if asked != "0-0" else 0
        assert answer.headers["content-range"] == f"bytes {at}-{at + len(meant) - 1}/5000"


def test_a_whole_clip_has_a_type_that_no_name_changes(client, video):
    whole = client.get(video)
    assert (whole.content, whole.headers["content-type"], whole.headers["accept-ranges"]) == (
        CLIP,
        "audio/mp4",
        "bytes",
    )
    page = f"/jobs/{wait(client, send(client, 'a.html', b'<script>alert(1)</script>'))['id']}/video"
    assert (
        client.get(page).headers["content-type"] == "audio/mp4"
    )  # as the container is, and nosniff says to believe it


def test_what_browsers_cannot_play_has_no_player(client):
    picture, clip = (wait(client, send(client, content=content)) for content in (b"a picture", CLIP))
    assert (picture["summary"]["played"], clip["summary"]["played"]) == (False, True)
    assert client.get(f"/jobs/{picture['id']}/video").headers["content-type"] == "application/octet-stream"


def test_a_server_keeps_its_folder_and_removes_those_of_the_dead(temporary):
    with temporary_folder("app") as alive:
        assert stat.S_IMODE(alive.stat().st_mode) == 0o700
        dead, starting, crashed = (temporary / f"vidfer-app-{name}" for name in ("dead", "starting", "crashed"))
        for folder in (dead, starting, crashed):
            (folder / "1").mkdir(parents=True)
        (dead / ".lock").touch()
        os.utime(crashed, (time.time() - 3600,) * 2)
        foreign, link = temporary / "other", temporary / "vidfer-app-link"
        foreign.mkdir()
        link.symlink_to(foreign)
        (alive / "file").touch()
        remove_stale()
        assert (alive / "file").exists()
        assert (dead.exists(), starting.exists(), crashed.exists(), foreign.exists()) == (False, True, False, True)
        with locked(starting / ".lock"):
            remove_stale()
            assert starting.exists()
        remove_stale()
        assert not starting.exists()
    assert not alive.exists()
    link.unlink()
