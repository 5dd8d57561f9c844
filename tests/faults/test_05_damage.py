"""A byte flipped, or the tail cut, in every type of file that vidfer keeps and reads again."""

import json
import random
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from tests.faults.command import tree
from vidfer.api.parts import Parts, clip_table
from vidfer.cli.main import main
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.evaluation.cards import digests
from vidfer.media import silero
from vidfer.pipeline.digest import content_digest, file_digest
from vidfer.pipeline.gc import verify
from vidfer.pipeline.lock import is_locked, locked
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome
from vidfer.pipeline.store import Store
from vidfer.results.clip_folder import SUMMARY, FolderError, open_clip
from vidfer.results.schema import TABLES
from vidfer.types import VidferError
from vidfer.weights import files
from vidfer.weights.files import find_weights, weights_digest
from vidfer.weights.hub import shipped, shipped_digests


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Flip one bit, or cut the tail."""
    if dice.random() < 0.3:
        return data[: dice.randrange(len(data))]
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def run(*words) -> int:
    return main(list(map(str, words)))


def make(draft):
    """One of each type of file that stages write."""
    from vidfer.pipeline.columns import to_parquet

    draft.write_arrays("vectors.safetensors", {"x": np.arange(500, dtype=np.float32)})
    draft.write("table.parquet", to_parquet({"a": np.arange(50), "b": np.linspace(0, 1, 50)}))
    draft.write_json("numbers.json", list(range(50)))
    draft.write("poster.jpg", bytes(range(256)))
    return Outcome(meta={"n": 50})


STAGES = ("probe", "faces", "denoise", "finetune", "audio", "classify", "report")
RECIPE = {"stage": "numbers", "version": 1, "params": {"x": 1.5}}


def test_a_changed_file_of_an_artifact_is_found_put_away_and_made_again(tmp_path, figure):
    dice, whole = random.Random(0), cached(Store(tmp_path), RECIPE, make)
    before, trials = tree(whole.path), 30
    for number in range(trials):
        place = whole.path / dice.choice(sorted(before))
        place.write_bytes(damaged(before[place.name], dice))
        if number % 2:
            count, faults = verify(Store(tmp_path))
            assert (count, len(faults)) == (1, 1), place
        assert tree(cached(Store(tmp_path), RECIPE, make).path) == before
        assert len(list((tmp_path / "quarantine").iterdir())) == number + 1
    figure(f"{trials} of {trials} changed files of artifacts found, put into quarantine, and made again")


def test_a_changed_memo_gives_no_wrong_digest(tmp_path):
    dice, clip = random.Random(1), tmp_path / "clip.bin"
    clip.write_bytes(b"x" * 100)
    store = Store(tmp_path / "store")
    found = content_digest(clip, store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidfer.pipeline.digest._RACY_SECONDS", -1e9)
        assert content_digest(clip, store) == found
        (memo,) = (tmp_path / "store" / "memo").iterdir()
        data = memo.read_bytes()
        for _ in range(30):
            memo.write_bytes(damaged(data, dice))
            assert content_digest(clip, store) == found
            assert memo.read_bytes() == data


@pytest.fixture
def parts(tmp_path):
    """Two parts of a run of a manifest, and the digest of what they were made of."""
    clips = [tmp_path / f"{number}.bin" for number in range(3)]
    for clip in clips:
        clip.write_bytes(clip.name.encode())
    rows = [
        {
            "clip_id": clip.name,
            "path": str(clip),
            "status": "ok",
            "source_blake3": file_digest(clip),
            "warnings": "x" * 20,
        }
        for clip in clips
    ]
    analyzed = {"analyzed_at": datetime.now(UTC) + timedelta(days=1), "elapsed_s": 1.0}
    found = Parts(tmp_path, ("clips", "people"), "origin", Store(tmp_path / "store"))
    people = pa.table({"clip_id": [clip.name for clip in clips] * 50, "share": np.linspace(0, 1, 150)})
    with found.writing(0, "a" * 64) as add:
        add(
            "clips",
            clip_table([{**row, **analyzed} for row in rows], pa.table({"clip_id": [clip.name for clip in clips]}), {}),
        )
        add("people", people)
    return found


def test_a_changed_part_of_a_manifest_is_made_again(parts, figure):
    """What stands in its last bytes, where names and places of columns are, has no digest: there it is no error at least."""
    dice, origin, trials = random.Random(6), "a" * 64, 0
    for table in parts.tables:
        place = parts.place(table, 0)
        whole = place.read_bytes()
        end = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
        for number in range(40):
            data = damaged(whole, dice)
            if number % 2:
                data = damaged(whole[:end], dice)
                data += whole[end:] if len(data) == end else b""
            place.write_bytes(data)
            kept = parts.kept(0, origin)
            assert kept is None or data[:end] == whole[:end]
            trials += number % 2
        place.write_bytes(whole)
        assert parts.kept(0, origin) is not None
    figure(f"{trials} of {trials} changed parts of 2 tables of a manifest's run found and made again")


def damaged_in(*places):
    """Change each file in turn, some of them, and put it back."""
    dice = random.Random(7)
    for place in places:
        whole = place.read_bytes()
        for _ in range(8):
            place.write_bytes(damaged(whole, dice) if whole else dice.randbytes(20))
            yield place
        place.write_bytes(whole)


@pytest.fixture
def far(tmp_path, monkeypatch):
    """A store at an address, with two artifacts, seen from two machines."""
    fsspec.filesystem("memory").store.clear()

    def at(machine):
        monkeypatch.setenv("VIDFER_MIRRORS", str(tmp_path / machine))
        return Store("memory://bucket/prefix")

    yield at
    fsspec.filesystem("memory").store.clear()


def test_a_changed_file_of_a_mirror_or_of_what_it_mirrors_is_found_and_made_again(far, figure):
    whole = tree(cached(far("one"), RECIPE, make).path)
    key = cached(far("one"), RECIPE, make).key
    trials = 0
    for place in damaged_in(*sorted((far("one").path("numbers", key)).iterdir())):
        assert tree(cached(far("one"), RECIPE, make).path) == whole, place
        trials += 1
    assert far("one").remote is not None
    objects = fsspec.filesystem("memory").store
    dice = random.Random(8)
    for name in sorted(each for each in objects if "quarantine" not in each):
        before = objects[name].getvalue()
        for number in range(4):
            objects[name] = type(objects[name])(fsspec.filesystem("memory"), name, damaged(before, dice))
            assert tree(cached(far(f"two-{name.rpartition('-')[2]}-{number}"), RECIPE, make).path) == whole, name
            assert {each: objects[each].getvalue() for each in objects if "quarantine" not in each}[name] == before
            trials += 1
    assert any("quarantine" in name for name in objects)
    figure(f"{trials} of {trials} changed files of a mirror and of the store that it mirrors found and made again")


def test_what_a_lock_file_holds_means_nothing(tmp_path):
    """Whether it is locked is the system's to say; it is never read, and what is in it stays."""
    dice, lock = random.Random(9), tmp_path / "lock"
    for data in (b"", dice.randbytes(20), b"\0" * 5000, b"{}"):
        lock.write_bytes(data)
        assert not is_locked(lock)
        with locked(lock):
            assert is_locked(lock)
        assert not is_locked(lock)
        assert lock.read_bytes() == data


@pytest.fixture
def copied_weights(tmp_path, monkeypatch):
    """The folder of shipped weights, copied, in the place of the package's own."""
    folder = tmp_path / "weights"
    shutil.copytree(Path(files.__file__).parent, folder)
    monkeypatch.setattr(files, "__file__", str(folder / "files.py"))
    return folder


def test_the_digests_of_the_package_are_those_of_its_files():
    assert shipped_digests() == digests(), "make cards"


def trial(folder, place, dice):
    whole = place.read_bytes()
    place.write_bytes(damaged(whole, dice))
    entry = place.name.split(".")[0]
    try:
        assert shipped()[entry].faults(), place
    except VidferError:  # its card cannot be read at all
        assert place.suffix == ".json"
    if place.suffix == ".safetensors":
        kind = next(kind for kind, names in files.SHIPPED.items() if entry in names)
        for use in (lambda: find_weights(kind, entry).arrays(), lambda: weights_digest(kind, entry)):
            with pytest.raises(VidferError, match="is not the file that its card"):
                use()
    if place.suffix == ".onnx":
        kind = next(kind for kind, names in files.SHIPPED.items() if entry in names)
        with pytest.raises(VidferError, match="is not the file that its card"):
            find_weights(kind, entry).graph()
    place.write_bytes(whole)


SMALL = ("mtcnn_pnet.safetensors", "mtcnn_pnet.onnx", "voice.json", "fusion.safetensors")


def test_changed_weights_are_found_before_they_are_used(copied_weights):
    dice = random.Random(2)
    for name in SMALL:
        for _ in range(3):
            trial(copied_weights, copied_weights / name, dice)


@pytest.mark.slow
def test_any_changed_file_of_shipped_weights_is_found(copied_weights, figure):
    dice = random.Random(3)
    names = sorted(set(shipped_digests()) - {"bundle.json", "identity.onnx"})
    for name in names:
        for _ in range(4):
            trial(copied_weights, copied_weights / name, dice)
    began, size = time.process_time(), 0
    for kind, entries in files.SHIPPED.items():
        size += sum(len(find_weights(kind, entry).read()) + len(find_weights(kind, entry).graph()) for entry in entries)
    took = 1000 * (time.process_time() - began)
    figure(f"reading and checking all shipped weights, {size / 1e6:.1f} MB: {took:.0f} ms of processor time")
    figure(
        f"{4 * len(names)} of {4 * len(names)} changed files of shipped weights found; sound, graph and tensors before use"
    )


def test_the_speech_detector_is_checked_before_it_is_used(tmp_path, monkeypatch):
    dice, data = random.Random(4), silero.WEIGHTS.read_bytes()
    monkeypatch.setattr(silero, "WEIGHTS", tmp_path / "silero.safetensors")
    for _ in range(10):
        silero.WEIGHTS.write_bytes(damaged(data, dice))
        with pytest.raises(VidferError, match="reinstall vidfer"):
            silero._weights.__wrapped__()


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """The folders of a run over a clip of a second, and of its store."""
    folder = tmp_path_factory.mktemp("analysed")
    write_demo_clip(folder / "clip.mp4", seconds=1.0)
    assert run("analyze", folder / "clip.mp4", "--store", folder / "store", "--out", folder / "out", "-q") == 0
    return folder


@pytest.mark.slow
def test_changed_results_and_artifacts_of_a_clip_are_found_and_made_again(analysed, tmp_path, figure, capsys):
    """The next run over the clip mends whatever was changed in its chain or its folder."""
    dice, store = random.Random(5), analysed / "store"
    results, artifacts = tree(analysed / "out"), {}
    for folder in Store(store).folders():
        artifacts |= {path.relative_to(analysed): path.read_bytes() for path in folder.iterdir()}
    trials, words = 0, ("analyze", analysed / "clip.mp4", "--store", store, "--out", analysed / "out", "-q")
    for name in sorted(artifacts):
        _write(analysed, {**artifacts, name: damaged(artifacts[name], dice)})
        assert run("cache", "verify", "--store", store) == 1, name
        trials += 1
    for name in [next(each for each in sorted(artifacts) if each.parts[1] == stage) for stage in STAGES]:
        _write(analysed, {**artifacts, name: damaged(artifacts[name], dice)})
        shutil.rmtree(analysed / "out")
        assert run(*words) == 0
        assert {each: (analysed / each).read_bytes() for each in artifacts} == artifacts
    results = tree(analysed / "out")
    of_clip = sorted(name for name in results if name.startswith("clip.mp4/"))
    for name in of_clip:
        (analysed / "out" / name).write_bytes(damaged(results[name], dice))
        try:
            clip = open_clip(analysed / "out" / "clip.mp4")
            if name != f"clip.mp4/{SUMMARY}" and not name.endswith("report.html"):
                with pytest.raises(FolderError, match="is damaged"):
                    clip.read(Path(name).name)
        except FolderError:
            assert name == f"clip.mp4/{SUMMARY}"
        assert run(*words) == 0
        assert tree(analysed / "out") | {"clip.mp4/" + SUMMARY: b"", "index.html": b""} == results | {
            "clip.mp4/" + SUMMARY: b"", "index.html": b"",
        } or _same_but_for_times(analysed / "out", results), name  # fmt: skip
        trials += 1
    capsys.readouterr()
    figure(f"{trials} of {trials} changed files of a clip's artifacts and results found and made again")


def _write(folder, contents):
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _same_but_for_times(folder, results) -> bool:
    """Tell whether the tables are the same but for when the clip was analysed."""
    from vidfer.results.files import read_table

    for name in TABLES:
        now = read_table((folder / "clip.mp4" / f"{name}.parquet").read_bytes())
        before = read_table(results[f"clip.mp4/{name}.parquet"])
        drop = [each for each in ("analyzed_at", "elapsed_s") if each in now]
        if not now.drop(columns=drop).equals(before.drop(columns=drop)):
            return False
    return json.loads((folder / "clip.mp4" / SUMMARY).read_bytes())["seal"] is not None
