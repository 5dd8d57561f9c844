"""Files that announce much: refused, or read within bounds, before memory is spent."""

import os
import signal
import time

import numpy as np
import pytest

from tests.faults.command import environment, vidfer
from tests.faults.odd.headers import HEADERS
from tests.faults.odd.seen import TIMEOUT, Seen, own_peak
from tests.faults.odd.sizes import FILES, packets, pauses
from vidfer.limits import MAX_SOUND_SECONDS
from vidfer.media import container, decode
from vidfer.media.audio import read_windows
from vidfer.media.child import Child
from vidfer.media.decode import probe
from vidfer.media.face_stream import FaceSettings, iter_faces
from vidfer.media.find import find_clips
from vidfer.types import ClipError, Status

MB = 1 << 20
QUICK = (
    "pixels_mov",
    "pixels_grow",
    "pixels_gif_later",
    "tags",
    "last_date",
    "times_beyond",
    "sound_at_1_hz",
    "sound_beyond",
)


def read(name, folder, seen):
    make, pictures, sound = FILES[name]
    path = make(folder)
    found = seen.probe(path)
    found = seen.frames(path) if found is Status.OK else found
    assert (name, found, seen.sound(path)) == (name, pictures, sound)


@pytest.mark.parametrize("name", QUICK)
def test_what_a_file_announces_takes_no_memory(name, tmp_path):
    seen, before = Seen(), own_peak()
    read(name, tmp_path, seen)
    seen.check(memory=400 * MB)
    assert own_peak() - before < 50 * MB


@pytest.mark.slow
def test_all_that_files_announce_takes_no_memory(tmp_path, figure):
    most = {}
    for name in FILES:
        decode.CHILD.end()
        seen, before = Seen(), own_peak()
        read(name, tmp_path, seen)
        seen.check(memory=400 * MB)
        assert own_peak() - before < 50 * MB, name
        most[name] = seen.memory / MB
    worst = max(most, key=most.__getitem__)
    figure(f"{len(most)} files of a few bytes: at most {most[worst]:.0f} MB in a child ({worst.replace('_', ' ')})")


@pytest.mark.slow
def test_a_run_over_them_ends_with_a_row_for_each(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    for make, _, _ in FILES.values():
        make(clips)
    env = environment(VIDFER_STORE=str(tmp_path / "store"))
    run = vidfer("analyze", clips, "--out", tmp_path / "out", env=env, timeout=900)
    assert "Traceback" not in run.stderr + run.stdout
    assert len((tmp_path / "out/clips.csv").read_text().splitlines()) == 1 + len(FILES)


@pytest.mark.slow
def test_a_million_packets_without_a_frame(tmp_path, figure):
    decode.CHILD.end()
    seen, path = Seen(), packets(tmp_path, 1_000_000)
    assert seen.frames(path) is Status.CORRUPT
    seen.check()
    figure(f"1,000,000 packets without a frame: {seen.told()}")


@pytest.mark.slow
def test_pauses_of_days_are_no_sound_of_days(tmp_path, monkeypatch):
    from vidfer.media import audio_child

    monkeypatch.setattr(audio_child, "MAX_SOUND_SECONDS", 7200.0)
    request = {"path": str(pauses(tmp_path, 40)), "win_dur": 2.0, "hop_dur": 1.0, "speed": 1.0, "vad": False}
    *answers, (end, _) = audio_child.handle({**request, "loudness": None, "augment": ""})
    assert len(answers) <= 7200 + 3600
    assert end["end"].startswith("is longer than 2 h")
    assert MAX_SOUND_SECONDS <= 86_400


def test_windows_before_a_jump_keep_their_times(tmp_path):
    from tests.faults.odd.films import tone
    from tests.faults.odd.sizes import cluster, mkv, sounds

    parts = [cluster(at, (1, 0, tone(2.0)[0].tobytes())) for at in (0, 90_000_000)]
    (tmp_path / "jump.mkv").write_bytes(mkv([sounds(1)], *parts))
    windows = read_windows(tmp_path / "jump.mkv", vad=False)
    assert windows.status is Status.PARTIAL
    np.testing.assert_allclose(windows.times, [[0, 2], [1, 3], [90_000, 90_002]], atol=0.01)


@pytest.mark.slow
def test_a_folder_of_a_hundred_thousand_names(tmp_path, figure):
    from PIL import Image

    folder = tmp_path / "take"
    folder.mkdir()
    for number in range(100_000):  # a file takes 65,000 links
        if number % 50_000:
            os.link(folder / f"f_{number // 50_000 * 50_000:06}.png", folder / f"f_{number:06}.png")
        else:
            Image.new("RGB", (32, 24)).save(folder / f"f_{number:06}.png")
    before, started = own_peak(), time.process_time()
    assert find_clips([folder], picture_fps=25) == [(folder, folder.relative_to(tmp_path))]
    assert probe(folder, picture_fps=25, timeout=TIMEOUT).duration == pytest.approx(4000)
    took, grown = time.process_time() - started, (own_peak() - before) / MB
    assert grown < 300
    figure(f"a folder of 100,000 pictures: {took:.1f} s and {grown:.0f} MB to find it")


def test_pictures_whose_numbers_lie_far_apart_are_no_clip_of_years(tmp_path):
    from PIL import Image

    for number in (1, 10**17):
        Image.new("RGB", (32, 24)).save(tmp_path / f"f_{number}.png")
    with pytest.raises(ClipError, match="jumps to") as told:
        list(decode.read_frames(tmp_path, picture_fps=25))
    assert told.value.status is Status.PARTIAL


@pytest.mark.slow
def test_two_hundred_faces_in_a_frame(portrait, detector, figure):
    import cv2

    face = cv2.resize(portrait[20:220, 130:310], (90, 100), interpolation=cv2.INTER_AREA)
    crowd = np.tile(face, (10, 20, 1))
    before = own_peak()
    (found,) = iter_faces([decode.Frame(0, 0.0, crowd)], detector, FaceSettings())
    grown = (own_peak() - before) / MB
    assert grown < 600
    figure(f"200 faces in a frame of {crowd.shape[1]}x{crowd.shape[0]}: {len(found.faces)} found, {grown:.0f} MB more")


def test_a_child_waits_no_longer_than_its_limit_however_far_a_clock_jumps(tmp_path):
    make, _, _ = FILES["a_frame_in_a_day"]
    left = []
    taken = Child.receive

    def receive(self):
        left.append(self.left)
        return taken(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Child, "receive", receive)
        assert len(list(decode.read_frames(make(tmp_path), timeout=TIMEOUT))) == 4
    assert max(left) <= TIMEOUT


@pytest.mark.parametrize("name", HEADERS)
def test_opening_a_file_ends_with_its_process_where_it_takes_too_long(name, tmp_path):
    """In a process of its own, with a limit that is shorter than the usual one."""
    make, count, _ = HEADERS[name]
    statuses = []
    for names in (10, count):
        path = make(tmp_path, names)
        pid = os.fork()
        if pid == 0:
            container.MAX_OPEN_SECONDS = 0.1
            container.open_media(str(path)).close()
            os._exit(0)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    assert statuses == [0, -signal.SIGVTALRM]


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_very_many_names_are_refused_in_time(name, tmp_path):
    make, _, count = HEADERS[name]
    with pytest.raises(ClipError, match="its header holds so much") as told:
        probe(make(tmp_path, count), timeout=120.0)
    assert told.value.status is Status.TOO_LARGE
