"""Odd files and mutants of good ones: a typed status in time, whatever they hold, and a process that lives on."""

import csv
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.faults.clips import Kind
from tests.faults.clips.odd import KINDS
from tests.faults.command import vidfer
from tests.faults.odd.films import box, chunk, element
from tests.faults.odd.mutants import MUTATIONS, SEEDS, mutant
from tests.faults.odd.seen import FAULTS, Seen
from vidfer.types import Status

QUICK = [kind for number, kind in enumerate(KINDS) if number % 8 == 0]


def test_odd_files_have_their_status(tmp_path):
    seen = Seen()
    wrong = [(kind.name, status) for kind in QUICK if (status := seen.read(kind.make(tmp_path))) not in kind.statuses]
    assert not wrong
    seen.check()


def test_each_kind_has_its_name_and_its_bytes(tmp_path):
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 45
    for kind in QUICK[::3]:
        assert kind.make(tmp_path).read_bytes() == kind.make(tmp_path).read_bytes()


@pytest.mark.slow
def test_a_run_over_all_odd_files_says_of_each_what_it_is(tmp_path, figure):
    clips, aside = tmp_path / "clips", tmp_path / "aside"
    clips.mkdir()
    aside.mkdir()
    expected = {kind.make(clips).name: kind for kind in KINDS}
    rows, run = analysed(clips, tmp_path / "out", aside)
    wrong = {
        name: rows.get(name, {}).get("status") for name, kind in expected.items() if not right(kind, rows.get(name))
    }
    assert not wrong
    assert run.returncode == 1
    assert not list(aside.iterdir()), "temporary files were left behind"
    figure(f"{len(rows)} odd files by `vidfer analyze`: each with its status, no traceback")


def right(kind: Kind, row: dict[str, str] | None) -> bool:
    return row is not None and row["status"] in kind.statuses


def analysed(clips: Path, out: Path, aside: Path) -> tuple[dict[str, dict[str, str]], object]:
    """Run `vidfer analyze` over a folder; return the rows of its clips by their files' names, and the run."""
    from tests.faults.command import environment

    env = environment(TMPDIR=str(aside), VIDFER_STORE=str(out.with_name("store")))
    run = vidfer("analyze", clips, "--out", out, env=env, timeout=1500)
    assert "Traceback" not in run.stderr + run.stdout
    with (out / "clips.csv").open(newline="") as file:
        return {Path(row["clip_id"]).name: row for row in csv.DictReader(file)}, run


def test_some_mutants_have_a_status(tmp_path):
    seen, dice = Seen(), random.Random(3)
    for number in range(11):
        seen.read(mutant(tmp_path, dice, number))
    seen.check()


@pytest.mark.slow
def test_five_hundred_mutants_have_a_status(tmp_path, figure):
    seen, dice = Seen(), random.Random(18)
    count = 500
    for number in range(count):
        path = mutant(tmp_path, dice, number)
        seen.read(path)
        path.unlink()
    seen.check()
    assert {Status.CORRUPT, Status.PARTIAL, Status.OK} <= set(seen.statuses), "mutants were all alike"
    figure(f"{count} mutants of {len(SEEDS)} good files by {len(MUTATIONS)} kinds of damage: {seen.told()}")


@pytest.mark.slow
def test_a_run_over_mutants_ends_with_a_row_for_each(tmp_path, figure):
    clips, aside = tmp_path / "clips", tmp_path / "aside"
    clips.mkdir()
    aside.mkdir()
    dice = random.Random(5)
    names = {mutant(clips, dice, number).name for number in range(60)}
    rows, _ = analysed(clips, tmp_path / "out", aside)
    assert set(rows) == names
    found = {row["status"] for row in rows.values()}
    assert not found & FAULTS
    assert found <= set(Status)
    assert not list(aside.iterdir()), "temporary files were left behind"
    figure(f"{len(names)} mutants by `vidfer analyze`: {len(found)} statuses")


_LIES = st.sampled_from([None, None, None, 0, 1, 7, 8, 9, 2**31 - 1, 2**32 - 1])
_BYTES = st.binary(max_size=60)
_MP4 = st.sampled_from(
    [b"ftyp", b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"co64",
     b"edts", b"elst", b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"mdat", b"avc1", b"mp4a", b"udta", b"meta", b"ilst", b"moof",
     b"mvex", b"traf", b"tfhd", b"trun", b"sidx", b"chpl", b"cmov", b"free"]
)  # fmt: skip
_EBML = st.sampled_from(
    [0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xD7, 0x83, 0x86, 0xE0, 0xE1, 0xB0, 0xBA, 0xB5, 0x9F, 0x63A2,
     0x1F43B675, 0xE7, 0xA3, 0xA0, 0xA1, 0x1C53BB6B, 0xBB, 0x114D9B74, 0x1043A770, 0x1941A469, 0x1254C367, 0x2AD7B1, 0x4489]
)  # fmt: skip
_RIFF = st.sampled_from([b"LIST", b"hdrl", b"avih", b"strl", b"strh", b"strf", b"movi", b"00dc", b"01wb", b"idx1", b"fmt ",
                         b"data", b"fact", b"JUNK", b"odml", b"indx"])  # fmt: skip


def _tree(kinds, build):
    def node(children):
        return st.builds(lambda kind, parts, size: build(kind, *parts, size=size), kinds, children, _LIES)

    return st.recursive(_BYTES, lambda inner: node(st.lists(inner, max_size=5)), max_leaves=25)


FILES = st.one_of(
    _tree(_MP4, box).map(lambda body: box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov", body)),
    _tree(_EBML, element).map(lambda body: element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, body)),
    _tree(_RIFF, chunk).map(lambda body: chunk(b"RIFF", b"AVI ", chunk(b"LIST", b"hdrl", body))),
    _tree(_RIFF, chunk).map(lambda body: chunk(b"RIFF", b"WAVE", body)),
)
"""Files of boxes in boxes, of right and of false sizes."""


def probes(folder: Path, examples: int) -> Seen:
    seen = Seen()

    @seed(18)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(FILES)
    def fuzz(data: bytes) -> None:
        (folder / "a.mp4").write_bytes(data)
        assert seen.probe(folder / "a.mp4") not in FAULTS

    fuzz()
    return seen


def test_the_probe_takes_boxes_of_any_kind(tmp_path):
    probes(tmp_path, 8).check()


@pytest.mark.slow
def test_the_probe_takes_boxes_of_any_kind_for_long(tmp_path, figure):
    seen = probes(tmp_path, 1500)
    seen.check()
    figure(f"probe fuzzed by {seen.statuses.total()} files of boxes: {seen.told()}")
