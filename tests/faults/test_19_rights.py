"""Folders and files of someone else, which may be read at most: as another user, since root may do anything."""

import os
import subprocess
import sys
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from tests.faults.clips.plain import write_face_clip
from tests.faults.command import environment, tree
from tests.faults.other_user import another_user, as_another_user, open_folder
from tests.faults.surroundings import possible, script
from vidfer.media.audio import read_windows
from vidfer.media.find import find_clips
from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.store import Store, StoreError
from vidfer.types import ClipError, Status

OPEN = ("a.mp4", "z.mp4")
CLOSED = ("closed.mp4", "written.mp4", "inside/c.mp4", "entered/d.mp4", "link.mp4")
"""Clips that others may not read: for themselves, for writing alone, by their folder, and through a link into it."""


@pytest.fixture
def given():
    """A folder that others may read, of clips of which they may not read some, beside folders that they may write."""
    with open_folder() as folder:
        for name in ("in", "in/inside", "in/entered", "work"):
            (folder / name).mkdir(mode=0o755)
        for number, name in enumerate(OPEN):
            write_face_clip(folder / "in" / name, number, frames=4)
        for name in CLOSED[:-1]:
            (folder / "in" / name).write_bytes((folder / "in" / OPEN[0]).read_bytes() + name.encode())
        for name in (*OPEN, *CLOSED[:-1]):
            (folder / "in" / name).chmod(0o444)
        (folder / "in" / "link.mp4").symlink_to("inside/c.mp4")
        modes = {"closed.mp4": 0o000, "written.mp4": 0o222, "inside": 0o000, "entered": 0o444, "": 0o555}
        for name, mode in modes.items():
            (folder / "in" / name).chmod(mode)
        (folder / "work").chmod(0o777)
        yield folder
        for name in modes:
            (folder / "in" / name).chmod(0o755)


def test_what_may_not_be_read_is_named_and_no_more(given):
    def look():
        clips = {str(path.relative_to(given / "in")): path for path, _ in find_clips([given / "in"])}
        assert {*OPEN, "closed.mp4", "written.mp4", "link.mp4"} <= clips.keys()
        for name in OPEN:
            assert content_digest(clips.pop(name), Store(given / "work" / "store"))
        digest = partial(content_digest, store=Store(given / "work" / "store"))
        closed = [given / "in" / name for name in CLOSED]
        for read, path in [*product([digest], clips.values()), *product([digest, read_windows], closed)]:
            with pytest.raises(ClipError) as told:
                read(path)
            assert told.value.status is Status.UNREADABLE
            assert str(path) in told.value.message

    assert as_another_user(look)


@pytest.mark.parametrize("closed", ["", "tmp", "faces"])
def test_a_store_that_may_not_be_written_is_refused(closed):
    with open_folder() as folder:
        refuse_store(folder / "store", closed)


def refuse_store(store, closed):
    def write(key):
        with Store(store).draft("faces", 64 * key) as draft:
            Store(store).publish(draft.seal({}))

    write("a")  # by who may; what is imported for it is there for who may not read it
    for each in ("", "tmp", "faces"):
        (store / each).chmod(0o555 if each == closed else 0o777)

    def look():
        with pytest.raises(StoreError, match=r"store.*cannot be written.*--store"):
            write("b")

    assert as_another_user(look)


def run(folder, *words, cwd):
    """Run `vidfer WORDS` as another user, whose home, store and temporary files lie in `folder/work`."""
    places = {"HOME": folder / "work" / "home", "TMPDIR": folder / "work" / "tmp"}
    for place in places.values():
        place.mkdir(exist_ok=True)
        place.chmod(0o777)
    env = environment(VIDFER_STORE=None, XDG_CACHE_HOME=None, **{name: str(place) for name, place in places.items()})
    user = another_user(folder)
    if not possible(user, folder):
        pytest.skip("this system does not let another user be")
    command = script([user], folder, [sys.executable, "-m", "vidfer", *words])
    command[-1] = command[-1].replace('cd "$W/work"', f'cd "$W/{cwd}"')
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in said, done.stderr[-1500:]
    return done.returncode, said


@pytest.mark.slow
def test_a_run_over_a_read_only_folder_of_another_user_reads_what_it_may(given, figure):
    before, out = tree(given / "in"), given / "work" / "out"
    status, said = run(given, "analyze", given / "in", "--out", out, cwd="work")
    assert status == 1, said
    found = pd.read_csv(out / "clips.csv").set_index("clip_id")["status"].to_dict()
    assert found.pop("in/a.mp4") == found.pop("in/z.mp4") == "ok"
    assert set(found.values()) == {"unreadable"}
    assert {"in/closed.mp4", "in/written.mp4", "in/link.mp4"} <= found.keys()
    for name in found:
        assert f"{given / name}: unreadable" in said
    assert tree(given / "in") == before
    assert {path.name for path in given.iterdir()} <= {"in", "work", "aside"}
    assert list((given / "work" / "home").rglob("manifest.json")), "its store is at home"
    assert not list((given / "work" / "tmp").iterdir())
    owners = {path.stat().st_uid for path in out.rglob("*")}
    assert os.geteuid() not in owners or os.geteuid()
    figure(f"a read-only folder of another user: 2 clips analysed, {len(found)} that may not be read are named")


@pytest.mark.slow
def test_results_do_not_fit_into_a_read_only_folder(given):
    before = tree(given / "in")
    status, said = run(given, "analyze", Path("a.mp4"), cwd="in")
    assert status in (1, 2)
    assert "--out" in said
    assert tree(given / "in") == before
