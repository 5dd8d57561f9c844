"""`--no-keep-faces`: the same tables and embeddings, and no pixel anywhere, however the run ends."""

import io
import random
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load

import vidfer
from tests.faults.command import environment, kill_session, start
from tests.faults.command import vidfer as command
from vidfer.api.elsewhere import StoredWork
from vidfer.cli.main import main
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.pipeline.runner import finished, plan
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.types import VidferError

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"data:image/jp", b"data:image/png", b"data:image/webp")
CONTAINERS = (b"ftyp", b"WEBP", b"\x1a\x45\xdf\xa3", b"nut/multimedia")
OF_RUN = ["analyzed_at", "elapsed_s", "thumbnail"]


def pixels(*roots: Path) -> list[str]:
    """Name the files below folders that hold a picture, a video, or an array that could be one."""
    found = []
    for path in (path for root in roots for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        marks = [mark for mark in SIGNATURES if mark in data] + [mark for mark in CONTAINERS if mark in data[:64]]
        if data[8:10] == b'{"':  # safetensors, whatever it is called
            marks += [
                (name, each.shape) for name, each in load(data).items() if each.dtype == np.uint8 and each.ndim > 1
            ]
        if path.suffix == ".parquet":
            marks += [field.name for field in pq.read_schema(io.BytesIO(data)) if str(field.type) == "binary"]
        found += [f"{path}: {marks}"] if marks else []
    return found


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "face.mp4"
    write_demo_clip(path, seconds=1.0)
    return path


def run(folder: Path, clip: Path, *words: str) -> tuple[Path, Path]:
    out, store = folder / "out", folder / "store"
    assert main(["analyze", str(clip), "--out", str(out), "--store", str(store), "--fps", "3", *words]) == 0
    return out, store


@pytest.fixture(scope="module")
def both(tmp_path_factory, clip):
    kept = run(tmp_path_factory.mktemp("kept"), clip, "--denoise", "on")
    without = run(tmp_path_factory.mktemp("without"), clip, "--denoise", "on", "--no-keep-faces")
    return kept, without


def test_tables_are_the_same_to_the_bit_and_no_file_holds_a_pixel(both):
    (kept, kept_store), (without, store) = both
    tables = sorted(path.relative_to(kept) for path in kept.rglob("*.parquet"))
    assert len(tables) == 12
    for name in tables:
        expected, found = (pd.read_parquet(run / name) for run in (kept, without))
        drop = [column for column in OF_RUN if column in found]
        pd.testing.assert_frame_equal(found.drop(columns=drop), expected.drop(columns=drop), check_exact=True)
    assert pd.read_parquet(without / "people.parquet")["thumbnail"].isna().all()
    assert pixels(without, store) == []
    assert len(pixels(kept, kept_store)) >= 6, "the search would not see what it looks for"


def test_embeddings_are_there_and_images_are_said_not_to_be(both):
    results = [vidfer.ClipResult.load(out / "face.mp4", store=store) for out, store in both]
    expected, found = (result.embeddings() for result in results)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert len(results[0].crops().images) == len(found)
    with pytest.raises(VidferError, match=r"no face images of face\.mp4 were kept.*keep_faces=True"):
        results[1].crops()


def test_what_needs_pixels_later_reads_the_clip_again_and_nothing_else_does(both, clip):
    _, (_, place) = both
    store = Store(place)

    def due(target="report", **more):
        options = ChainOptions(fps=3, denoise="on", keep_faces=False, **more)
        return [step.stage.name for step in plan(build_chain(options), target, clip, store) if step.due]

    assert due() == []
    assert due(abstain=0.4) == ["classify", "report"]  # no pixel is needed for that
    other = ChainOptions(fps=3, denoise="off", keep_faces=False)
    chain, before = build_chain(other), pixels(place)
    with finished(chain, "report", clip, store) as found:
        assert found.status == "ok"
    assert before == pixels(place) == []
    with finished(
        build_chain(ChainOptions(fps=3, denoise="off")), "finetune", clip, Store(place.parent / "again")
    ) as one:
        expected = one.arrays("embeddings.safetensors")
    with finished(chain, "finetune", clip, store) as one:
        for name, array in one.arrays("embeddings.safetensors").items():
            np.testing.assert_array_equal(array, expected[name])


def test_every_way_in_keeps_no_pixel(tmp_path, clip, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    analyzer = vidfer.Analyzer(store=tmp_path / "a", fps=2, keep_faces=False)
    analyzer.analyze(clip).save(tmp_path / "saved", show_faces=True)
    (tmp_path / "clips.csv").write_text(f"path\n{clip}\n")
    places = ["--manifest", tmp_path / "clips.csv", "--out", tmp_path / "many", "--store", tmp_path / "b"]
    words = ["--fps", "2", "--no-keep-faces", "--parts", "frames,people"]
    assert main(["analyze", *map(str, places), *words]) == 0
    options = ChainOptions(fps=2, keep_faces=False)
    work = StoredWork(options, analyzer._work.tables, str(tmp_path / "c"))
    named = vidfer.api.named.NamedClip(clip, "face.mp4", analyzer._design({"face.mp4": clip}).of("face.mp4"))
    work.prepare(named, lambda *_: None)
    assert work(named, lambda *_: None)["status"] == "ok"
    assert pixels(tmp_path) == []


@pytest.mark.parametrize("word", ["--overlay", "--show-faces"])
def test_pictures_cannot_be_asked_for_and_not_kept(tmp_path, clip, capsys, word):
    with pytest.raises(SystemExit):
        main(["analyze", str(clip), "--no-keep-faces", word])
    assert f"--no-keep-faces keeps no pixels, and {word} asks for some" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_no_pixel(tmp_path):
    clip, temporary, dice = tmp_path / "clips/face.mp4", tmp_path / "tmp", random.Random(18)
    temporary.mkdir()
    clip.parent.mkdir()
    write_demo_clip(clip, seconds=6.0)
    env, killed, drafts = environment(TMPDIR=str(temporary)), 0, 0

    def words(number: int) -> list[str | Path]:
        places = ["--out", tmp_path / f"out{number}", "--store", tmp_path / f"store{number}"]
        return ["analyze", clip, *places, "--no-keep-faces", "--denoise", "on", "--fps", "10"]

    began = time.monotonic()
    assert command(*words(0), env=env).returncode == 0
    whole = time.monotonic() - began
    for number in range(1, 9):
        process = start(*words(number), env=env)
        time.sleep(dice.uniform(0.3, 0.9) * whole)
        killed += process.poll() is None
        kill_session(process.pid)
        process.communicate()
        drafts += len(list((tmp_path / f"store{number}").glob("tmp/*")))
        assert pixels(temporary, *tmp_path.glob("out*"), *tmp_path.glob("store*")) == []
    assert killed >= 4
    assert drafts >= 1, "no kill came while a stage was at work"
    assert command(*words(8), env=env).returncode == 0
    assert pixels(temporary, *tmp_path.glob("out*"), *tmp_path.glob("store*")) == []
