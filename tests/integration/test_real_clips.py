"""Statuses on real recordings, where `data/` is laid out."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from vidfer import EMOTIONS, analyze
from vidfer.results.repool import repool

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_no_face(data_dir, store):
    result = analyze(data_dir / "clips/pyfeat_testdata/no_face.mp4", store=store)
    assert result.status == "no_face"
    assert result.summary["sound"]["status"] in {"ok", "no_voice"}
    assert result.summary["modalities"] == (["sound"] if result.summary["sound"]["status"] == "ok" else [])


def test_sound_without_pictures_is_answered(data_dir, store):
    result = analyze(data_dir / "clips/eamm_samples/00015.mov", store=store)
    assert result.status == "no_video"
    assert result.summary["sound"]["status"] == "ok"
    assert result.predominant == result.summary["sound"]["predominant"] is not None


def test_a_corrupted_clip(data_dir, store):
    assert analyze(data_dir / "clips/decord_testdata/corrupted.mp4", store=store).status in {"corrupt", "partial"}


def test_a_digitally_silent_track_is_not_used(data_dir, store):
    clip = next((data_dir / "ravdess_av/actor01_mp4_360p").glob("02-*.mp4"))
    result = analyze(clip, store=store)
    assert result.status == "ok"
    assert result.summary["sound"]["status"] == "silent"
    assert result.summary["modalities"] == ["faces"]


@pytest.mark.slow
def test_every_file_has_a_status_and_the_second_run_is_idle(data_dir, tmp_path):
    command = [
        sys.executable,
        "-m",
        "vidfer.cli.main",
        "analyze",
        str(data_dir / "clips"),
        str(data_dir / "ravdess_av"),
    ]
    command += ["--store", str(tmp_path / "store"), "--jobs", "2", "--json"]
    first = subprocess.run([*command, "--out", str(tmp_path / "a")], capture_output=True, text=True, check=False)
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    summaries = {summary["clip"]: summary for summary in map(json.loads, first.stdout.splitlines())}
    files = [path for name in ("clips", "ravdess_av") for path in (data_dir / name).rglob("*") if path.is_file()]
    assert set(summaries) == {str(path) for path in files}
    for clip, summary in summaries.items():
        if clip.endswith((".jpg", ".png")):
            assert summary["status"] == "unsupported"
        if "/actor01_mp4_360p/02-" in clip:
            assert summary["sound"]["status"] == "silent"
    assert len(summaries[str(data_dir / "clips/petercunha_dinner/dinner.mp4")]["people"]) >= 3
    began = time.perf_counter()
    second = subprocess.run([*command, "--out", str(tmp_path / "b")], capture_output=True, text=True, check=False)
    assert time.perf_counter() - began < 30
    assert second.stdout == first.stdout
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*") if path.is_file())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_rows_pool_to_the_predictions_that_were_stored(data_dir, store):
    """Faces and sound of a real clip, by the settings that its summary names."""
    result = analyze(data_dir / "ravdess_av/actor01_mp4_360p/01-01-08-01-01-02-01.mp4", store=store)
    emptied = {
        name: rows.assign(**dict.fromkeys(EMOTIONS))
        for name, rows in result.tables.items()
        if name in ("people", "clips")
    }
    found, notes = repool({**result.tables, **emptied}, result.summary["settings"])
    assert result.clips["modalities"].tolist() == ["faces+sound"]
    for table, prefixes in (("people", ("", "vote_")), ("clips", ("", "faces_", "sound_"))):
        for columns in ([f"{prefix}{name}" for name in EMOTIONS] for prefix in prefixes):
            before, after = (tables[table][columns].to_numpy(float) for tables in (result.tables, found))
            np.testing.assert_allclose(after, before, atol=1e-9)
    same = [
        "n_frames",
        "n_faces",
        "n_unusable",
        "n_uncertain",
        "n_people",
        "n_windows",
        "agreement",
        "predominant",
        "person_id",
    ]
    assert found["clips"][same].equals(result.clips[same])
    assert notes == []
