"""Blurred faces are found no more, in clips of real faces; and the overlay as users ask for it."""

import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.overlay.conftest import people_of, read_back
from tests.overlay.test_faults import assert_probed_alike
from vidfer import ClipResult, UsageError
from vidfer.overlay import write_overlay
from vidfer.results.clip_folder import open_clip
from vidfer.results.run_folder import rebuild

STEP = 0.2


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A clip of 1 s in which a face crosses the picture, and where it is at each sampled time."""
    from skimage.data import astronaut

    face = astronaut()[:200, 80:300]
    path, seen = tmp_path_factory.mktemp("moving") / "moving.mp4", []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 400, 240, "yuv420p"
        for number in range(26):
            x, y = 6 * number, 10 + number
            image = np.full((240, 400, 3), 90, np.uint8)
            image[y : y + 200, x : x + 220] = face
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            if number % 5 == 0:
                seen.append((number / 25, (x + 105.0, y + 70.0, x + 180.0, y + 170.0)))
        container.mux(stream.encode(None))
    return path, seen


def found(detector, frames):
    return [int((each.scores > 0.6).sum()) for each in detector.detect(frames)]


def test_a_blurred_face_is_not_found_at_sampled_times_nor_between(tmp_path, in_process, detector, moving):
    path, seen = moving
    for blur, faces in ((None, 1), ("all", 0)):
        write_overlay(path, *people_of({1: seen}, duration=1.0), tmp_path / "overlay.mp4", blur=blur)
        frames = [frame.to_ndarray(format="rgb24") for frame in read_back(tmp_path / "overlay.mp4")["frames"]]
        assert len(frames) == 26
        assert found(detector, [frames[at] for at in (0, 2, 8, 12, 23, 25)]) == [faces] * 6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["petercunha_dinner/dinner.mp4", "pyfeat_testdata/WolfgangLanger_Pexels.mp4"])
def test_no_face_of_a_real_clip_is_left(data_dir, tmp_path, detector, name):
    """Faces that were read are hidden in every frame; those that were not found when it was analysed may be found now."""
    from vidfer import analyze

    result = analyze(data_dir / "clips" / name)
    result.save(tmp_path, overlay=True, blur_faces="all")
    frames = [frame.to_ndarray(format="rgb24") for frame in read_back(tmp_path / "overlay.mp4")["frames"]]
    times = result.frames.dropna(subset=["x0"])
    left = 0
    for _, row in times.iloc[::7].iterrows():
        found_now = detector.detect([frames[int(row["frame"])]])[0]
        for box, score in zip(found_now.boxes, found_now.scores, strict=True):
            middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            left += score > 0.6 and row["x0"] < middle[0] < row["x1"] and row["y0"] < middle[1] < row["y1"]
    assert left == 0


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """The demo's clip, short, analysed."""
    from vidfer import analyze
    from vidfer.datasets.synthetic import write_demo_clip

    clip = tmp_path_factory.mktemp("demo") / "demo.mp4"
    write_demo_clip(clip, seconds=1.2)
    return analyze(clip)


def test_the_demo_has_an_overlay_of_as_many_frames_and_the_same_sound(tmp_path, in_process, result):
    result.save(tmp_path / "demo.mp4", overlay=True)
    source, made = read_back(result.summary["clip"]), read_back(tmp_path / "demo.mp4" / "overlay.mp4")
    assert len(made["frames"]) == len(source["frames"]) == 30
    assert made["times"] == pytest.approx(source["times"], abs=1e-4)
    assert made["packets"] == source["packets"]
    for at in (0, 10, 29):  # where nothing is drawn, a frame is its source's
        one, other = (
            cv2.resize(each["frames"][at].to_ndarray(format="rgb24")[:80, :80], (20, 20)) for each in (source, made)
        )
        assert np.abs(one.astype(int) - other).mean() < 3
    if shutil.which("ffprobe"):
        assert_probed_alike(result.summary["clip"], tmp_path / "demo.mp4" / "overlay.mp4")


def test_it_is_a_file_of_the_clip_and_goes_with_results_that_have_none(tmp_path, in_process, result):
    folder = tmp_path / "demo.mp4"
    result.save(folder, overlay=True)
    opened = open_clip(folder)
    assert opened.overlay == "overlay.mp4"
    assert opened.summary["overlay"] == {"status": "ok", "message": "", "n_frames": 30, "blurred": None}
    assert len(opened.read("overlay.mp4")) == (folder / "overlay.mp4").stat().st_size
    assert not list(folder.glob(".vidfer*"))
    result.save(folder)
    assert not (folder / "overlay.mp4").exists()
    assert open_clip(folder).overlay is None
    assert ClipResult.load(folder).summary.keys() == result.summary.keys()


def test_people_are_called_as_in_the_run(tmp_path, monkeypatch, result):
    """The plan has the name that people.csv gives, also where that was written after the analysis."""
    folder, plans = tmp_path / "run" / result.clip_id, []
    result.save(folder)
    rebuild(tmp_path / "run")
    people = tmp_path / "run" / "people.csv"
    header, row = people.read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True)) | {"name": "Eileen"}
    people.write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n")
    from tests.overlay.conftest import InProcess
    from vidfer.overlay import write

    class Noting(InProcess):
        def send(self, request):
            plans.append(json.loads(Path(request["plan"]).read_bytes()))
            super().send(request)

    monkeypatch.setattr(write, "Child", Noting)
    result.save(folder, overlay=True, blur_faces="others")
    assert [(each["name"], each["blurred"]) for each in plans[0]["people"]] == [("Eileen", False)]


def test_results_are_not_drawn_on_another_file(tmp_path, in_process, result):
    other = tmp_path / "demo.mp4"
    other.write_bytes(Path(result.summary["clip"]).read_bytes() + b"more")
    for clip, said in ((other, "is not the file any more"), (tmp_path / "gone.mp4", "No such file")):
        changed = ClipResult({**result.summary, "clip": str(clip)}, result.tables)
        changed.save(tmp_path / "out", overlay=True)
        told = open_clip(tmp_path / "out").summary["overlay"]
        assert (told["status"], said in told["message"]) == ("unreadable", True)
        assert not (tmp_path / "out" / "overlay.mp4").exists()


def test_blurring_without_an_overlay_is_refused(tmp_path, result):
    from vidfer.cli.analyze import AnalyzeOptions

    with pytest.raises(UsageError, match="overlay=True"):
        result.save(tmp_path, blur_faces="all")
    with pytest.raises(UsageError, match="add --overlay"):
        AnalyzeOptions([tmp_path], blur_faces="all")


def test_a_full_disk_names_the_folder_and_the_remedy(tmp_path, monkeypatch, result):
    from tests.overlay.conftest import InProcess
    from vidfer import VidferError
    from vidfer.overlay import write

    class Full(InProcess):
        def send(self, request):
            super().send({**request, "out": "/dev/full"})

    monkeypatch.setattr(write, "Child", Full)
    with pytest.raises(VidferError, match=r"results cannot be written to .*its disk is full.*free some space"):
        result.save(tmp_path / "demo.mp4", overlay=True)
    assert not list((tmp_path / "demo.mp4").iterdir())
