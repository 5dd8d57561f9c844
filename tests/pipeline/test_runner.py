import re
import shutil
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from tests.toy import RUNS, Count, Largest
from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.runner import cached, finished, plan
from vidfer.pipeline.stage import Outcome
from vidfer.pipeline.store import Store, StoreError
from vidfer.types import ClipError, Status, VidferError

CHAIN = (Count(), Largest())


@pytest.fixture(autouse=True)
def no_runs():
    RUNS.clear()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.bin"
    path.write_bytes(b"abcabca")
    return path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def answer(chain, clip, store):
    with finished(chain, "largest", clip, store) as artifact:
        return artifact.json("predictions.json")


def states(chain, clip, store):
    return [(step.stage.name, step.state, step.due) for step in plan(chain, "largest", clip, store)]


def test_run_then_hit(clip, store):
    assert states(CHAIN, clip, store) == [("count", "miss", True), ("largest", "miss", True)]
    assert answer(CHAIN, clip, store) == 1  # "a" is 97, 97 % 4 == 1, three times
    assert states(CHAIN, clip, store) == [("count", "hit", False), ("largest", "hit", False)]
    assert answer(CHAIN, clip, store) == 1
    assert RUNS == [("count", "clip.bin"), ("largest", "clip.bin")]


def test_each_stage_is_told_with_its_time_and_key(clip, store, caplog):
    caplog.set_level("DEBUG", "vidfer")
    answer(CHAIN, clip, store)
    answer(CHAIN, clip, store)
    keys = [step.key[:16] for step in plan(CHAIN, "largest", clip, store)]
    told = [re.sub(r"\d+\.\d\d s", "T s", record.getMessage()) for record in caplog.records]
    assert told == [
        *(
            f"clip.bin: {name} computed in T s (ok), key {key}"
            for name, key in zip(("count", "largest"), keys, strict=True)
        ),
        *(f"clip.bin: {name} is stored, key {key}" for name, key in zip(("count", "largest"), keys, strict=True)),
    ]


def test_the_same_content_elsewhere_hits(clip, store, tmp_path):
    answer(CHAIN, clip, store)
    twin = tmp_path / "elsewhere.bin"
    twin.write_bytes(clip.read_bytes())
    answer(CHAIN, twin, store)
    assert len(RUNS) == 2


def test_a_changed_clip_misses(clip, store):
    answer(CHAIN, clip, store)
    clip.write_bytes(b"bbbbbbb")
    assert answer(CHAIN, clip, store) == 2
    assert len(RUNS) == 4


def test_a_parameter_reruns_its_stage_and_those_after_it(clip, store):
    answer(CHAIN, clip, store)
    assert answer((Count(), Largest(offset=5)), clip, store) == 6
    assert RUNS[2:] == [("largest", "clip.bin")]
    answer((Count(bins=2), Largest()), clip, store)
    assert RUNS[3:] == [("count", "clip.bin"), ("largest", "clip.bin")]


def test_a_neutral_field_stays_out_of_the_key(clip, store):
    answer(CHAIN, clip, store)
    answer((replace(CHAIN[0], device="cuda"), Largest()), clip, store)
    assert len(RUNS) == 2


def test_a_bumped_version_misses(clip, store):
    @dataclass(frozen=True)
    class Newer(Largest):
        version: ClassVar[int] = 2

    answer(CHAIN, clip, store)
    answer((Count(), Newer()), clip, store)
    assert len(RUNS) == 3


def test_an_unknown_field_is_part_of_the_key(clip, store):
    @dataclass(frozen=True)
    class More(Largest):
        novelty: str = "x"

    answer(CHAIN, clip, store)
    assert states((Count(), More()), clip, store)[1][1] == "miss"


def test_a_failure_is_a_stored_result(clip, store):
    clip.write_bytes(b"corrupt!")
    for _ in range(2):
        with finished(CHAIN, "largest", clip, store) as artifact:
            assert (artifact.status, artifact.names()) == (Status.CORRUPT, [])
            assert "is corrupt" in artifact.message
    assert len(RUNS) == 2


@pytest.mark.parametrize("status", [Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CRASHED])
def test_a_transient_failure_and_what_follows_it_are_not_stored(clip, store, status):
    clip.write_bytes(status.encode())
    for _ in range(2):
        with finished(CHAIN, "largest", clip, store) as artifact:
            assert artifact.status is status
    assert RUNS == [("count", "clip.bin"), ("largest", "clip.bin")] * 2
    assert list(store.folders()) == []
    assert list((store.root / "tmp").iterdir()) == []


def test_damage_anywhere_in_the_chain_is_mended(clip, store):
    answer(CHAIN, clip, store)
    for folder in list(store.folders()):
        RUNS.clear()
        stage = folder.parent.parent.name
        file = next(path for path in folder.iterdir() if path.name != "manifest.json")
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        assert answer(CHAIN, clip, Store(store.root)) == 1
        assert [(stage, "clip.bin")] == RUNS
    assert len(list((store.root / "quarantine").iterdir())) == 2


def test_what_nothing_reads_any_more_is_not_computed(clip, store):
    answer(CHAIN, clip, store)
    step = plan(CHAIN, "count", clip, store)[0]
    for path in step.artifact.path.iterdir():
        path.unlink()
    step.artifact.path.rmdir()
    assert states(CHAIN, clip, store) == [("count", "miss", False), ("largest", "hit", False)]
    assert answer(CHAIN, clip, store) == 1
    assert len(RUNS) == 2


def test_a_missing_clip_is_unreadable(tmp_path, store):
    with pytest.raises(ClipError) as caught, finished(CHAIN, "largest", tmp_path / "none.mp4", store):
        pass
    assert caught.value.status is Status.UNREADABLE


def test_a_full_store_stops_the_run_and_it_goes_on_later(clip, store, monkeypatch):
    from tests.pipeline.test_store import full

    with finished((Count(),), "count", clip, store):
        pass
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="full"):
        answer(CHAIN, clip, store)
    monkeypatch.undo()
    assert answer(CHAIN, clip, store) == 1
    assert [stage for stage, _ in RUNS].count("count") == 1


def test_a_clip_that_changes_under_way_is_not_stored(clip, store, monkeypatch):
    real = Count.run

    def run_and_change(self, path, *rest):
        done = real(self, path, *rest)
        path.write_bytes(b"something else")
        return done

    monkeypatch.setattr(Count, "run", run_and_change)
    with finished(CHAIN, "largest", clip, store) as artifact:
        assert artifact.status is Status.UNREADABLE
    assert list(store.folders()) == []


def test_an_input_removed_under_way_is_a_clear_error(clip, store, monkeypatch):
    with finished((Count(),), "count", clip, store) as artifact:
        folder = artifact.path
    real = Largest.run

    def remove_and_run(self, *rest):
        shutil.rmtree(folder)
        return real(self, *rest)

    monkeypatch.setattr(Largest, "run", remove_and_run)
    with pytest.raises(StoreError, match=r"removed while it was in use.*run the same command again"):
        answer(CHAIN, clip, store)


ERRORS = [
    FileNotFoundError(2, "No such file or directory"),
    PermissionError(13, "Permission denied"),
    OSError(24, "Too many"),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("stage", [Count, Largest])
def test_a_file_elsewhere_is_not_blamed_on_the_store(clip, store, monkeypatch, error, stage):
    def fail(self, *_):
        raise type(error)(error.errno, error.strerror, "/elsewhere/weights.bin")

    monkeypatch.setattr(stage, "run", fail)
    with pytest.raises(VidferError, match=r"cannot use /elsewhere/weights.bin: ") as caught:
        answer(CHAIN, clip, store)
    assert not isinstance(caught.value, StoreError)
    assert error.strerror in str(caught.value)
    assert "cache" not in str(caught.value)


def test_a_file_that_an_error_does_not_name_is_nobodys(clip, store, monkeypatch):
    def fail(self, *_):
        raise FileNotFoundError("no usable temporary folder")

    monkeypatch.setattr(Count, "run", fail)
    with pytest.raises(FileNotFoundError, match="no usable"):
        answer(CHAIN, clip, store)


@pytest.mark.parametrize("name", ["predictions.json", "counts.safetensors"])
def test_an_artifact_removed_while_it_is_lent_is_a_clear_error(clip, store, name):
    target = "largest" if name == "predictions.json" else "count"

    def read():
        with finished(CHAIN, target, clip, store) as artifact:
            shutil.rmtree(artifact.path)
            return artifact.json(name) if name.endswith("json") else artifact.arrays(name)

    with pytest.raises(StoreError, match=rf"{name} was removed while it was in use"):
        read()


RECIPE = {"stage": "vectors", "version": 1, "source": "abc"}


def counted(outcome, calls):
    def make(draft):
        calls.append(1)
        draft.write_json("x.json", len(calls))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return make


@pytest.mark.parametrize("status", [Status.OK, Status.PARTIAL])
def test_a_cached_step_is_made_once(store, status):
    calls = []
    for _ in range(3):
        artifact = cached(store, RECIPE, counted(Outcome(status, "why", {"n": 5}), calls))
        assert (artifact.json("x.json"), artifact.status, artifact.meta["n"]) == (1, status, 5)
    assert artifact.path.is_relative_to(store.root / "vectors")
    assert cached(store, {**RECIPE, "version": 2}, counted(Outcome(), calls)).json("x.json") == 2
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("kind", [Outcome, ClipError])
def test_a_failure_of_a_cached_step_is_stored_and_raised_again(store, kind):
    calls = []
    for _ in range(2):
        with pytest.raises(ClipError, match="nobody speaks") as caught:
            cached(store, RECIPE, counted(kind(Status.NO_VOICE, "nobody speaks"), calls))
        assert caught.value.status is Status.NO_VOICE
    assert len(calls) == 1
    assert store.find("vectors", recipe_key(RECIPE)).names() == ([] if kind is ClipError else ["x.json"])


@pytest.mark.parametrize("kind", [Outcome, ClipError])
@pytest.mark.parametrize("status", [Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CRASHED, Status.UNREADABLE])
def test_a_transient_failure_of_a_cached_step_is_tried_again(store, kind, status):
    calls = []
    for _ in range(2):
        with pytest.raises(ClipError):
            cached(store, RECIPE, counted(kind(status, "busy"), calls))
    assert cached(store, RECIPE, counted(Outcome(), calls)).json("x.json") == 3
    assert list((store.root / "tmp").iterdir()) == []


def test_running_out_of_memory_is_tried_again_and_leaves_no_file(store):
    with pytest.raises(ClipError, match="stage vectors ran out of memory") as caught:
        cached(store, RECIPE, counted(MemoryError(), []))
    assert caught.value.status is Status.OUT_OF_MEMORY
    assert list(store.folders()) == []
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("error", [VidferError("no data"), ZeroDivisionError(), KeyboardInterrupt()])
def test_other_errors_of_a_cached_step_pass_and_store_nothing(store, error):
    def make(draft):
        raise error

    with pytest.raises(type(error)):
        cached(store, RECIPE, make)
    assert list(store.folders()) == []
    assert list((store.root / "tmp").iterdir()) == []


def test_a_cached_artifact_removed_before_it_is_read_is_a_clear_error(store):
    artifact = cached(store, RECIPE, counted(Outcome(), []))
    shutil.rmtree(artifact.path)
    for read in (artifact.json, artifact.arrays):
        with pytest.raises(StoreError, match=r"x.json was removed while it was in use.*run the same command again"):
            read("x.json")
