"""Tables and settings of any content: each is read, or refused in a sentence, and nothing else."""

import json
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vidfer
from tests.faults.hostile import changed, jsons, tables, yamls
from vidfer.api.manifest_file import open_manifest
from vidfer.cli.options import load
from vidfer.pipeline.artifact import DamageError
from vidfer.pipeline.artifact import load as load_artifact
from vidfer.results.files import read_csv
from vidfer.results.markers import read_markers
from vidfer.results.people import read_people
from vidfer.results.study import read_study
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.training.config import read_configuration
from vidfer.training.sweep import read_sweep
from vidfer.types import UsageError, VidferError
from vidfer.weights.bundles import MANIFEST, read_bundle
from vidfer.weights.files import find_weights, read_calibration, read_heads, trained_weights
from vidfer.weights.hub import read_registry

ROOT = Path(__file__).parents[2]
SHIPPED = Path(vidfer.__file__).parent / "weights"
QUICK, MANY = 10, 200
REGISTRY = {
    "weights": {
        "mine": {
            **{"kind": "image", "licence": "x", "about": "y", "url": "https://example.org/", "size": 5},
            "sha256": {".json": "0" * 64, ".safetensors": "1" * 64},
        }
    }
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a link in a circle, and a bundle of the shipped weights."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "bundle").mkdir()
    for path in SHIPPED.glob("*.json"):
        if path.name != MANIFEST:
            (folder / "bundle" / path.name).write_bytes(path.read_bytes())
            (folder / "bundle" / path.with_suffix(".safetensors").name).symlink_to(path.with_suffix(".safetensors"))
    (folder / "mine.safetensors").write_bytes(b"x")
    return folder


def bundle(path):
    (path.parent / "bundle" / MANIFEST).write_bytes(path.read_bytes())
    read_bundle(path.parent / "bundle")
    build_chain(ChainOptions(models=path.parent / "bundle"))


def card(path):
    weights = path.with_name("mine.safetensors")
    weights.with_suffix(".json").write_bytes(path.read_bytes())
    trained_weights(weights)
    found = find_weights("image", weights)
    read_heads(found)
    read_calibration(found)


@lru_cache
def parser():
    return load("analyze", "vidfer.cli.analyze.run")[0]


def options(path):
    """What `--config` of `vidfer analyze` reads; wrong usage ends the command with status 2."""
    try:
        parser().parse(["clip.mp4", "--config", str(path)])
    except SystemExit as ended:
        if ended.code == 2:
            raise UsageError("told on standard error") from ended
        raise


STAGE, KEY = "probe", "ab" * 32


def artifact(path):
    place = path.parent / STAGE / KEY[:2] / KEY
    place.mkdir(parents=True, exist_ok=True)
    (place / "manifest.json").write_bytes(path.read_bytes())
    (place / "x.json").write_bytes(b"1")
    try:
        load_artifact(place, place, digests=True, sealed=False)
    except DamageError as error:
        raise VidferError(str(error)) from error


def parquet():
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"path": ["a", "b"], "id": ["1", "2"], "x": [1.5, None]}), sink)
    data = sink.getvalue().to_pybytes()
    return st.one_of(changed(st.just(data)), st.integers(0, len(data)).map(lambda end: data[:end]))


def text(*parts):
    return (ROOT / "configs").joinpath(*parts).read_text()


def clips(path):
    return {"a.mp4": path.parent / "a.mp4", "b/c.mp4": path.parent / "b/c.mp4"}


MANIFEST_OF_ARTIFACT = {
    **{
        "stage": STAGE,
        "key": KEY,
        "recipe": {"stage": STAGE},
        "status": "ok",
        "message": "",
        "meta": {},
        "seal": "0" * 64,
    },
    "files": [{"name": "x.json", "size": 1, "blake3": "0" * 64}],
}
READERS = {
    "participants.csv": (tables(["clip", "participant"]), lambda path: read_study([(path, clips(path))])),
    "markers.csv": (tables(["clip", "name", "start", "end"]), lambda path: read_markers(path, clips(path))),
    "people.csv": (tables(["clip_id", "person", "name", "same_as"]), read_people),
    "clips.csv": (tables(["clip_id", "status"]), lambda path: read_csv(path, "clips")),
    "manifest.csv": (tables(["path", "id"]), lambda path: list(open_manifest(path).parts(2))),
    "manifest.parquet": (parquet(), lambda path: list(open_manifest(path).parts(2))),
    "bundle.json": (jsons(json.loads((SHIPPED / MANIFEST).read_text()), ["../x.safetensors", "/etc/passwd"]), bundle),
    "card.json": (jsons(json.loads((SHIPPED / "compact.json").read_text())), card),
    "registry.json": (jsons(REGISTRY, ["file:///etc/passwd", "../x"]), lambda path: read_registry(str(path))),
    "artifact.json": (jsons(MANIFEST_OF_ARTIFACT, ["../x", "/etc/passwd"]), artifact),
    "sweep.yaml": (yamls(text("sweeps", "classify.yaml")), read_sweep),
    "pipeline.yaml": (yamls(text("pipeline_sample.yaml")), lambda path: read_configuration(path, [])),
    "options.yaml": (yamls("fps: 5.0\nout: here\nexcel: true\nparticipants: p.csv\n"), options),
}


def refused_or_read(folder, name, examples):
    """Try a reader on examples; return how many it read, and how many it refused."""
    made, read = READERS[name]
    path = folder / name
    counts = [0, 0]

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(made)
    def check(data):
        path.write_bytes(data)
        sentence = "read"
        try:
            read(path)
        except VidferError as error:
            sentence = str(error)
        assert sentence
        counts[sentence != "read"] += 1

    check()
    return counts


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_settings_is_read_or_refused_in_a_sentence(folder, name, capsys):
    refused_or_read(folder, name, QUICK)


@pytest.mark.slow
def test_many_files_of_settings(folder, figure, capsys):
    counts = {name: refused_or_read(folder, name, MANY) for name in READERS}
    few = [name for name, (_, refused) in counts.items() if refused < MANY / 20]
    assert not few, "too few were refused to try that"
    total, read = sum(map(sum, counts.values())), sum(each[0] for each in counts.values())
    figure(
        f"{total:,} generated tables and settings of {len(READERS)} kinds: {read:,} read, the others refused in a sentence"
    )
