"""Writers killed at random moments, against the real store and a naive one.

Run as a program: `python storm.py FOLDER KILLS atomic|naive SEED` prints one JSON line with the number of kills that hit
a living writer, the runs brought to their end, how many of them had a damaged or lost artifact after a kill or ended with
wrong tables, and how many half-written drafts the kills left behind.
The stages are small, but the store and the runner are the real ones. Writers are forked from this one process,
which has everything imported, so that most kills land inside their work.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from vidfer.pipeline.runner import finished
from vidfer.pipeline.stage import Outcome, Progress, Stage
from vidfer.pipeline.store import MANIFEST, Artifact, Draft, Store

CLIPS = 10


@dataclass(frozen=True)
class Read(Stage):
    """Turn a clip's bytes into numbers, in shards."""

    name: ClassVar[str] = "read"
    version: ClassVar[int] = 1
    reads_clip: ClassVar[bool] = True

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        data = np.frombuffer(clip.read_bytes(), np.uint8)
        for shard in range(4):
            draft.write_arrays(f"part-{shard}.safetensors", {"x": data[shard::4]})
            time.sleep(0.002)
        return Outcome(meta={"n": int(data.size)})


@dataclass(frozen=True)
class Sum(Stage):
    """Add the shards up."""

    name: ClassVar[str] = "sum"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("read",)

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        read = inputs["read"]
        sums = [int(read.arrays(name)["x"].sum()) for name in read.names("part-")]
        draft.write_json("sums.json", sums)
        time.sleep(0.002)
        draft.write_json("total.json", {"total": sum(sums), "n": read.meta["n"]})
        return Outcome()


class NaiveDraft(Draft):
    """Writes where the artifact belongs, as most caches do."""

    def __init__(self, store: Store, stage: str, key: str) -> None:
        super().__init__(store.root, stage, key)
        self.path = store.path(stage, key)

    def __enter__(self) -> "NaiveDraft":
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        return None


class NaiveStore(Store):
    """Takes an artifact to be there when its folder is."""

    def draft(self, stage: str, key: str) -> Draft:
        return NaiveDraft(self, stage, key)

    def find(self, stage: str, key: str, **_) -> Artifact | None:
        manifest = self.path(stage, key) / MANIFEST
        if not manifest.parent.exists():
            return None
        return Artifact(manifest.parent, json.loads(manifest.read_bytes()))

    def publish(self, artifact: Artifact) -> Artifact:
        return artifact


CHAIN = (Read(), Sum())


def write_all(store: Store, clips: list[Path]) -> None:
    for clip in clips:
        with finished(CHAIN, "sum", clip, store):
            pass


def fork_writer(store_type: type[Store], root: Path, clips: list[Path]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            write_all(store_type(root), clips)
            code = 0
        finally:
            os._exit(code)
    return pid


def one_run(store_type: type[Store], root: Path, clips: list[Path], dice: random.Random) -> tuple[int, int, bool]:
    """Kill two writers again and again until both come to their end.

    Returns the numbers of kills and of drafts that they left, and whether after each kill every artifact was whole, and those of
    before were there.
    """
    kills, whole = 0, True
    torn: set[Path] = set()
    there: set[Path] = set()
    undisturbed_after = 50
    for attempt in range(undisturbed_after + 1):
        writers = [fork_writer(store_type, root, clips), fork_writer(store_type, root, clips[::-1])]
        if attempt < undisturbed_after:
            time.sleep(dice.uniform(0.0, 0.12))
            for pid in writers:
                os.kill(pid, signal.SIGKILL)  # a finished child not yet waited for can still be sent one
        codes = [os.waitpid(pid, 0)[1] for pid in writers]
        kills += sum(os.WIFSIGNALED(code) for code in codes)
        torn.update((root / "tmp").glob("*"))  # before the next writers remove them
        checker = Store(root)
        now = set(checker.folders())
        whole = whole and there <= now and not any(map(checker.fault, now))
        there = now
        if not any(map(os.WIFSIGNALED, codes)):
            break
    return kills, len(torn), whole


def tables(store_type: type[Store], root: Path, clips: list[Path]) -> list[object]:
    out: list[object] = []
    for clip in clips:
        with finished(CHAIN, "sum", clip, store_type(root)) as artifact:
            out.append([artifact.json("sums.json"), artifact.json("total.json")])
    return out


def storm(folder: Path, kills_wanted: int, store_type: type[Store], seed: int) -> dict[str, int]:
    dice = random.Random(seed)
    clips = [folder / f"clip{i}.bin" for i in range(CLIPS)]
    for clip in clips:
        clip.write_bytes(dice.randbytes(20_000))
        os.utime(clip, (0, 0))
    expected = tables(Store, folder / "undisturbed", clips)
    kills = runs = wrong = torn = 0
    while kills < kills_wanted:
        root = folder / f"store{runs}"
        killed, left, whole = one_run(store_type, root, clips, dice)
        kills, torn = kills + killed, torn + left
        runs += 1
        try:
            right = whole and tables(store_type, root, clips) == expected
        except (OSError, ValueError, KeyError):
            right = False
        checker = Store(root)
        right = right and not any(checker.fault(path) for path in checker.folders())
        wrong += not right
        shutil.rmtree(root)
    return {"kills": kills, "runs": runs, "wrong": wrong, "torn": torn}


if __name__ == "__main__":
    kind = {"atomic": Store, "naive": NaiveStore}[sys.argv[3]]
    print(json.dumps(storm(Path(sys.argv[1]), int(sys.argv[2]), kind, int(sys.argv[4]))))
