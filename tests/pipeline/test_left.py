import os
import subprocess
import sys

from vidfer.pipeline import left
from vidfer.pipeline.left import new_mark, remove_left
from vidfer.pipeline.store import Store


def test_only_what_an_ended_process_of_this_machine_left_is_removed(tmp_path):
    code = "from vidfer.pipeline.left import new_mark; print(new_mark())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    elsewhere = f"{int(ended[:8], 16) ^ 1:08x}{ended[8:]}"
    mine = new_mark()
    kept = [f"faces-7-{mine}", f"faces-7-{elsewhere}", f".vidfer-{mine}.tmp", "clips.csv", f"my-{ended}", "removed-1-2"]
    for name in [f"faces-7-{ended}", *kept[:2]]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_bytes(b"x")
    for name in [f".vidfer-{ended}.tmp", *kept[2:]]:
        (tmp_path / name).write_bytes(b"x")
    remove_left(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    remove_left(tmp_path / "nowhere")


def test_where_the_system_does_not_say_which_it_is_nothing_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(left, "_machine", lambda: "0" * 8)
    (tmp_path / f".vidfer-{'0' * 8}{2**31 - 1:08x}{'0' * 16}.tmp").touch()
    remove_left(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_first_draft_in_a_process_removes_those_of_killed_ones(tmp_path):
    pid = os.fork()
    if pid == 0:
        draft = Store(tmp_path).draft("faces", "0" * 64).__enter__()
        draft.write("half", b"a face")
        os._exit(0)  # as when it is killed
    os.waitpid(pid, 0)
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    with Store(tmp_path).draft("faces", "0" * 64) as draft:
        assert list((tmp_path / "tmp").iterdir()) == [draft.path]


def test_a_number_that_another_process_has_now_or_that_nobody_has_waited_for_is_of_an_ended_one(tmp_path):
    mine = new_mark()
    earlier = f"{mine[:16]}{int(mine[16:24], 16) - 1:08x}{mine[24:]}"
    (tmp_path / f".vidfer-{earlier}.tmp").touch()
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(into, new_mark().encode())
        os._exit(0)
    (tmp_path / f".vidfer-{os.read(out, 32).decode()}.tmp").touch()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and keeps its number
    remove_left(tmp_path)
    os.waitpid(pid, 0)
    assert list(tmp_path.iterdir()) == []
