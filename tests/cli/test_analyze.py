import csv
import io
import json
import re
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from vidfer.api import ClipResult, claimed_folders, write_result
from vidfer.cli.analyze import ending_in_order, exit_status
from vidfer.cli.main import main
from vidfer.cli.overview import marks, print_overview
from vidfer.pipeline.store import StoreError
from vidfer.results.names import clip_id
from vidfer.results.run import load_run
from vidfer.results.run_folder import rebuild
from vidfer.types import EMOTIONS, ClipError, Status

ROOT = Path(__file__).parents[2]


def analyze(tmp_path, *words):
    return main(["analyze", *map(str, words), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")])


def rows(tmp_path):
    with (tmp_path / "out" / "clips.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def statuses(tmp_path):
    return {row["clip_id"]: row["status"] for row in rows(tmp_path)}


def earlier(tmp_path, *names):
    """Write results of a run before, and return what the folder then holds."""
    out = tmp_path / "out"
    for name in names:
        failed = ClipResult.failed(tmp_path / name, ClipError(Status.CORRUPT, f"{name} is torn"), name)
        write_result(failed, out / name)
    rebuild(out)
    return content(out)


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def broken_clips(tmp_path, *names):
    clips = [tmp_path / name for name in names]
    for clip in clips:
        clip.write_bytes(b"no video")
    return clips


def test_missing_paths_are_named_before_anything_is_touched(tmp_path, capsys):
    before = earlier(tmp_path, "old.mp4")
    (clip,) = broken_clips(tmp_path, "new.mp4")
    assert analyze(tmp_path, clip, tmp_path / "none.mp4", tmp_path / "nothing.mp4") == 2
    told = capsys.readouterr().err
    assert "none.mp4" in told
    assert "nothing.mp4" in told
    assert content(tmp_path / "out") == before
    assert not (tmp_path / "store").exists()


def test_rows_of_other_clips_are_kept_and_own_ones_replaced(tmp_path, capsys):
    earlier(tmp_path, "old.mp4", "new.mp4", "other.mp4")
    (clip,) = broken_clips(tmp_path, "new.mp4")
    assert analyze(tmp_path, clip) == 1
    assert statuses(tmp_path) == {"new.mp4": "unsupported", "old.mp4": "corrupt", "other.mp4": "corrupt"}
    assert len(load_run(tmp_path / "out").clips) == 3
    assert f"Open {tmp_path / 'out' / 'index.html'}; each clip" in capsys.readouterr().out


@pytest.mark.parametrize(
    "ends",
    [KeyboardInterrupt(), StoreError("the store is full"), SystemExit(143)],
    ids=lambda ends: type(ends).__name__,
)
def test_what_was_finished_is_in_the_tables_however_a_run_ends(tmp_path, monkeypatch, capsys, ends):
    earlier(tmp_path, "old.mp4")

    def interrupted(work, clips, jobs, on_progress, **_):
        yield 0, work(clips[0], lambda *_: None)
        raise ends

    monkeypatch.setattr("vidfer.pipeline.workers.run_all", interrupted)
    with suppress(SystemExit):
        assert analyze(tmp_path, *broken_clips(tmp_path, "a.mp4", "b.mp4")) in (130, 1)
    assert statuses(tmp_path) == {"a.mp4": "unsupported", "old.mp4": "corrupt"}
    assert not list((tmp_path / "out").glob(".vidfer-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_lets_it_write_what_is_done(number):
    before = signal.signal(number, signal.SIG_DFL)  # nohup has the process ignore SIGHUP
    try:
        with pytest.raises(SystemExit) as ended, ending_in_order():
            signal.raise_signal(number)
        assert ended.value.code == 128 + number
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_clip_whose_worker_died_is_in_the_tables(tmp_path, monkeypatch, capsys):
    def died(work, clips, jobs, on_progress, **_):
        yield 0, ClipError(Status.CRASHED, "its worker process ended")

    monkeypatch.setattr("vidfer.pipeline.workers.run_all", died)
    assert analyze(tmp_path, *broken_clips(tmp_path, "a.mp4")) == 1
    assert statuses(tmp_path) == {"a.mp4": "crashed"}


def test_clips_of_one_name_keep_folders_of_their_own_in_one_run_and_in_several(tmp_path, capsys, monkeypatch):
    clips = [tmp_path / folder / "clip.mp4" for folder in ("a", "b", "c", "d/tree")]
    for clip in clips:
        clip.parent.mkdir(parents=True)
        clip.write_bytes(b"no video")
    for chosen in ([clips[0]], [clips[2], clips[1]], clips[:3], [clips[1]], clips[2::-1], [tmp_path / "d"]):
        analyze(tmp_path, *chosen)
    monkeypatch.chdir(tmp_path / "b")
    analyze(tmp_path, "clip.mp4")  # the same file by another path
    places = {place.parent: json.loads(place.read_text())["clip"] for place in tmp_path.glob("out/**/summary.json")}
    assert places == {
        tmp_path / "out" / "clip.mp4": str(clips[0]),
        tmp_path / "out" / "clip.mp4-2": str(clips[2]),
        tmp_path / "out" / "clip.mp4-3": "clip.mp4",
        tmp_path / "out" / "d" / "tree" / "clip.mp4": str(clips[3]),
    }


def test_a_folder_that_another_process_has_claimed_is_given_to_no_other_clip(tmp_path):
    clips = [(tmp_path / folder / "clip.mp4", Path("clip.mp4")) for folder in "abc"]
    with claimed_folders(clips[:1], tmp_path / "out") as first, claimed_folders(clips, tmp_path / "out") as second:
        assert [folder.name for folder in first.values()] == ["clip.mp4"]
        assert [folder.name for folder in second.values()] == ["clip.mp4", "clip.mp4-2", "clip.mp4-3"]
        with claimed_folders(clips[2:0:-1], tmp_path / "out") as third:
            assert [folder.name for folder in third.values()] == ["clip.mp4-3", "clip.mp4-2"]
    (tmp_path / "out" / ".vidfer-dead.claim").write_text(json.dumps({"clip.mp4": "/of/a/process/that/was/killed.mp4"}))
    with claimed_folders(clips[1:], tmp_path / "out") as later:
        assert [folder.name for folder in later.values()] == ["clip.mp4", "clip.mp4-2"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".vidfer.lock"]


@pytest.mark.parametrize(
    "names", [("a\nb.mp4", "a\\nb.mp4"), ("\x1b.mp4", "\\x1b.mp4"), ("\udcff", "\\xff"), ("é" * 127,) * 2]
)
def test_clips_whose_ids_would_be_the_same_have_folders_of_their_own(tmp_path, names):
    """Signs that no table can hold are escaped in ids; numbers make names longer."""
    clips = [(Path("/videos") / str(number) / name, Path(name)) for number, name in enumerate(names)]
    with claimed_folders(clips, tmp_path / "out") as folders:
        ids = [clip_id(folder, tmp_path / "out") for folder in folders.values()]
        for folder in folders.values():
            folder.mkdir()
    assert len(set(ids)) == len(names)
    assert ids == [str(folder.relative_to(tmp_path / "out")) for folder in folders.values()]


def test_a_clip_that_is_called_like_a_table_does_not_take_its_place(tmp_path, capsys):
    assert analyze(tmp_path, *broken_clips(tmp_path, "clips.csv", "summary.csv", ".hidden.mp4")) == 1
    assert statuses(tmp_path) == dict.fromkeys((".hidden.mp4", "clips.csv-2", "summary.csv-2"), "unsupported")


def test_columns_that_a_user_added_are_kept(tmp_path, capsys):
    earlier(tmp_path, "a.mp4", "b.mp4")
    path = tmp_path / "out" / "clips.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([f"\ufeff{header},note", *(f"{line},mine" for line in lines)]), "utf-8")
    analyze(tmp_path, *broken_clips(tmp_path, "b.mp4", "c.mp4"))
    assert [(row["clip_id"], row["note"]) for row in rows(tmp_path)] == [
        ("a.mp4", "mine"),
        ("b.mp4", "mine"),
        ("c.mp4", ""),
    ]
    analyze(tmp_path, tmp_path / "c.mp4", "--excel")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfclip_id,")
    assert (tmp_path / "out" / "c.mp4" / "frames.csv").read_bytes().startswith(b"\xef\xbb\xbfclip_id,")


@pytest.mark.parametrize(
    "text", [b"day,price\n1,2\n", b"\xff\xfe\x00", b'clip_id,status\n"a.mp4,ok\n', b"clip_id\na,b\n"]
)
def test_another_file_of_that_name_is_left_alone(tmp_path, text, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clips.csv").write_bytes(text)
    assert analyze(tmp_path, *broken_clips(tmp_path, "a.mp4")) == 1
    assert "clips.csv" in capsys.readouterr().err
    assert content(tmp_path / "out") == {tmp_path / "out" / "clips.csv": text}
    assert not (tmp_path / "store").exists()


def test_the_overview_of_an_older_version_is_left_alone(tmp_path, capsys):
    (tmp_path / "out" / "old.mp4").mkdir(parents=True)
    (tmp_path / "out" / "old.mp4" / "summary.json").write_text('{"clip": "old.mp4", "status": "ok"}')
    (tmp_path / "out" / "summary.csv").write_text("clip,status\nold.mp4,ok\n")
    before = content(tmp_path / "out")
    assert analyze(tmp_path, *broken_clips(tmp_path, "a.mp4")) == 1
    assert "old.mp4 is not in the tables: it was written by another version" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert statuses(tmp_path) == {"a.mp4": "unsupported"}


def test_sidecars_of_a_folder_are_no_failed_clips(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_bytes(b"no video")
    (tmp_path / "clips" / "a.srt").write_text("1")
    assert analyze(tmp_path, tmp_path / "clips", "--json") == 1
    told = capsys.readouterr()
    assert [Path(json.loads(line)["clip"]).name for line in told.out.splitlines()] == ["a.mp4"]
    assert "1 file that is no media was passed over: 1 .srt" in told.err


def test_the_overview_shows_ordinary_names_whole_on_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    summary = ClipResult.failed("clips/MVI_0012.mp4", ClipError(Status.PARTIAL, "")).summary
    part = {"predominant": "surprise", "distribution": {"surprise": 0.46}, "margin": 0.1}
    print_overview([{**summary, **part, "clip_id": "MVI_0012.mp4", "faces": part, "sound": part}])
    assert "MVI_0012.mp4 partial surprise" in " ".join(capsys.readouterr().out.split())


def voted(name, counts, uncertain=0):
    """A summary of a clip whose face images voted so, by class; the uncertain ones did not."""
    n = sum(counts.values())
    shares = {emotion: round(counts.get(emotion, 0) / n, 6) if n else 0.0 for emotion in EMOTIONS}
    summary = ClipResult.failed(name, ClipError(Status.OK, "")).summary
    first = max(shares, key=shares.get) if n else "uncertain"
    vote = {"predominant": first, "margin": 0.1, "distribution": shares if n else None}
    faces = {**summary["faces"], **vote, "distribution": shares, "vote": vote, "n_faces": n + uncertain}
    models = {
        "image": {"weights": "compact", "network": "compact"},
        "audio": {"weights": "/a/s.safetensors", "network": "gan"},
    }
    return {
        **summary, "clip_id": name.removeprefix("clips/"),
        "faces": {**faces, "n_uncertain": uncertain}, "settings": {"faces": "vote", "abstain": None},
        "bundle": "mine", "preset": "paper", "models": models,
    }  # fmt: skip


def test_the_votes_of_all_face_images_are_counted_on_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    one, two = voted("clips/01-01-03.mp4", {"happy": 11, "neutral": 3}), voted("clips/b.mp4", {"sad": 13}, uncertain=2)
    print_overview([one, two, voted("clips/c.mp4", {}, uncertain=4)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines[lines.index(next(x for x in lines if x.startswith("Votes"))) :]]
    assert ["clip", "faces", *EMOTIONS, "vote"] in rows
    assert ["01-01-03.mp4", "14", "0", "0", "0", "11", "0", "0", "3", "happy"] in rows
    assert ["b.mp4", "15", "0", "0", "0", "0", "13", "0", "0", "sad"] in rows
    assert ["c.mp4", "4", "0", "0", "0", "0", "0", "0", "0", "uncertain"] in rows
    assert ["all", "clips", "33", "0", "0", "0", "11", "13", "0", "3", "sad"] in rows
    told = " ".join(" ".join(lines).split())
    assert "Weights of the bundle mine, preset paper: image compact (compact), audio s.safetensors (gan)." in told


def documented():
    """Read from docs/reference/statuses.md which exit status each status has, as that of a clip and as that of its sound."""
    text = (ROOT / "docs" / "reference" / "statuses.md").read_text("utf-8")
    found = re.findall(r"^\| `(\w+)` \|.*\| ([01-]) \| ([01-]) \|$", text, re.MULTILINE)
    return {Status(name): (of_clip, of_sound) for name, of_clip, of_sound in found}


@pytest.mark.parametrize("status", Status)
def test_every_status_has_the_exit_status_that_is_documented(status, capsys):
    of_clip, of_sound = documented()[status]
    summary = ClipResult.failed("a.mp4", ClipError(Status.OK, "")).summary
    assert of_clip == "-" or exit_status([{**summary, "status": status}]) == int(of_clip)
    assert of_sound == "-" or exit_status([{**summary, "sound": {**summary["sound"], "status": status}}]) == int(
        of_sound
    )


def test_results_that_cannot_be_read_later_are_found_out_at_once(tmp_path, capsys):
    (tmp_path / "out" / "people.csv").mkdir(parents=True)
    assert analyze(tmp_path, *broken_clips(tmp_path, "a.mp4")) == 1
    assert "move it away" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def answered(name, shares, faces, sound, status="ok"):
    """A summary of a clip that got the most probable of these shares, its modalities the classes named."""
    distribution = {**dict.fromkeys(EMOTIONS, 0.0), **shares}
    first, second = sorted(distribution.values())[:-3:-1]
    answer = max(distribution, key=distribution.get)
    parts = [
        {"status": "ok", "predominant": each, "distribution": {each: 0.6}, "n_faces": 25} for each in (faces, sound)
    ]
    summary = ClipResult.failed(name, ClipError(Status(status), "")).summary
    return {
        **summary, "clip_id": name,
        "predominant": answer, "margin": first - second, "faces": parts[0], "sound": {**parts[1], "n_windows": 4},
        "fused": {**summary["fused"], "distribution": distribution}, "people": [{}, {}],
    }  # fmt: skip


def overview(summaries, capsys, monkeypatch, width, **environment):
    monkeypatch.setenv("COLUMNS", str(width))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    print_overview(summaries)
    return capsys.readouterr().out


LONG = "holiday/2019/" + "a very long name of a clip " * 4 + "MVI_0012.mp4"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "name", ["x.mp4", LONG, "旅行/" * 20 + "動画.mp4", "e\u0301" * 90 + ".mp4", "[red]" * 20 + ".mp4"]
)
def test_each_clip_takes_one_line_whatever_its_name(width, name, capsys, monkeypatch):
    worst = answered("", {"surprise": 0.46, "sad": 0.4}, "surprise", "surprise", "out_of_memory")
    worst = [{**worst, "clip_id": f"{number}/{name}"} for number in range(100)]
    lines = overview(worst, capsys, monkeypatch, width).splitlines()
    assert len(lines) == 3 + 100 + 2  # a title, the header and its line; the legend of the margin; what is measured
    assert all(cell_len(line) <= width for line in lines)
    assert all(re.search(rf"^{number}/.*out_of_memory +surprise~ ", line) for number, line in enumerate(lines[3:103]))
    assert all(line.count("surprise 0.60") == 2 for line in lines[3:103])


def test_a_modality_of_which_nothing_counts_is_excluded_and_not_ok(capsys, monkeypatch):
    clip = answered("a.mp4", {"happy": 0.7, "sad": 0.2}, "happy", "happy")
    gone = {"status": "ok", "predominant": None, "distribution": None, "n_windows": 0, "n_silent": 0, "n_no_voice": 0}
    assert overview([{**clip, "sound": gone}], capsys, monkeypatch, 80).splitlines()[3].split()[-1] == "excluded"
    silent = {**gone, "status": "silent"}
    assert overview([{**clip, "sound": silent}], capsys, monkeypatch, 80).splitlines()[3].split()[-1] == "silent"


def test_a_wide_terminal_shows_more(capsys, monkeypatch):
    clip = answered("a.mp4", {"happy": 0.7, "sad": 0.2}, "happy", "happy")
    assert "sad 0.20" not in overview([clip], capsys, monkeypatch, 80)
    text = overview([clip], capsys, monkeypatch, 120)
    header, row = text.splitlines()[1], text.splitlines()[3]
    assert header.split() == [
        "clip",
        "status",
        "predominant",
        "margin",
        "faces",
        "sound",
        "second",
        "people",
        "face",
        "images",
        "speech",
    ]
    assert row.split()[-5:] == ["sad", "0.20", "2", "25", "4/4"]


@pytest.mark.parametrize(
    ("shares", "faces", "sound", "mark"),
    [
        ({"neutral": 0.5, "sad": 0.3}, "sad", "disgust", "*"),
        ({"neutral": 0.5, "sad": 0.45}, "sad", "disgust", "*~"),
        ({"sad": 0.5, "neutral": 0.45}, "sad", "disgust", "~"),
        ({"sad": 0.5, "neutral": 0.4}, "sad", "disgust", ""),
        ({"disgust": 0.5, "neutral": 0.3}, "sad", "disgust", ""),
    ],
)
def test_answers_of_neither_modality_and_small_margins_are_marked(shares, faces, sound, mark, capsys, monkeypatch):
    clip = answered("a.mp4", shares, faces, sound)
    clip["margin"] = round(clip["margin"], 6)
    text = overview([clip], capsys, monkeypatch, 80)
    assert f"{max(shares, key=shares.get)}{mark} " in text.splitlines()[3]
    assert ("neither the faces" in text) == ("*" in mark)
    assert ("the margin is under 0.1" in text) == ("~" in mark)


@pytest.mark.parametrize("lacking", ["faces", "sound"])
def test_one_modality_alone_is_no_mark(lacking):
    clip = answered("a.mp4", {"neutral": 0.8}, "sad", "disgust")
    assert marks(clip) == "*"
    assert marks({**clip, lacking: {"status": "silent", "predominant": None, "distribution": None}}) == ""
    assert marks({**clip, "predominant": None, "margin": None}) == marks({**clip, "predominant": "uncertain"}) == ""


def test_no_colour_is_needed_and_none_used_where_it_is_not_wanted(capsys, monkeypatch):
    clips = [
        answered("a.mp4", {"sad": 0.5, "neutral": 0.45}, "sad", "disgust"),
        answered("b", {"sad": 1.0}, "sad", "sad", "partial"),
    ]
    plain = overview(clips, capsys, monkeypatch, 80)
    coloured = overview(clips, capsys, monkeypatch, 80, FORCE_COLOR="1", TERM="xterm")
    assert "\x1b[35m" in coloured  # magenta for what is not ok
    assert Text.from_ansi(coloured).plain.rstrip() == plain.rstrip()
    without = overview(clips, capsys, monkeypatch, 80, FORCE_COLOR="1", TERM="xterm", NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*3\dm", without)


def test_a_terminal_of_ascii_alone_gets_no_other_sign(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    monkeypatch.setenv("COLUMNS", "80")
    print_overview([answered(LONG, {"sad": 0.5, "neutral": 0.45}, "sad", "disgust")])
    sys.stdout.flush()
    assert b"..." in sys.stdout.buffer.getvalue()


@pytest.mark.parametrize("verb", [["analyze"], ["run", "faces"]])
def test_the_first_run_says_once_where_faces_are_kept(verb, tmp_path, capsys):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    store = tmp_path / "my store"
    words = [*verb, str(tmp_path / "a.mp4"), "--store", str(store)]
    words += ["--out", str(tmp_path / "out")] if verb == ["analyze"] else []
    line = f"Crops of faces are kept in {store}, for you alone"
    assert [main(words), main(words)] == [1, 1]
    told = capsys.readouterr().err
    assert told.count(line) == 1
    command = told[told.index(line) :].splitlines()[0].rpartition(": vidfer ")[2]
    assert main(shlex.split(command)) == 0
    assert not [path for path in store.rglob("*") if path.is_file()]


def test_a_camera_is_a_clip_named_after_its_start_and_its_recording_is_removed(tmp_path, monkeypatch, capsys):
    import tempfile

    import numpy as np

    from vidfer.media import camera
    from vidfer.media.record import record_frames

    record_frames(np.zeros((4, 48, 64, 3), np.uint8), tmp_path / "video7", fps=10)
    monkeypatch.setitem(camera.INPUTS, sys.platform, camera.CameraInput(None, str(tmp_path / "video{name}")))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert (
        analyze(tmp_path, "--camera", "7", "--seconds", "0.25", "--fps", "10", "--audio-model", "none", "--json") == 1
    )
    told = capsys.readouterr()
    (summary,) = map(json.loads, told.out.splitlines())
    assert summary["status"] == "no_face"
    assert "3 frames" in summary["message"]
    assert re.search(r"camera-7-\d{8}T\d{6}Z$", summary["clip"])
    assert "recording camera 7 until 0.25 s have passed, or Ctrl-C" in told.err
    assert not list((tmp_path / "temporary").glob("**/camera-*"))
    assert analyze(tmp_path, "--camera", "8") == 2
    assert "there is no camera 8" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        analyze(tmp_path)
