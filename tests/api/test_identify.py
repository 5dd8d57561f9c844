"""Persons of a run linked by what the store has of them, with embeddings made by hand."""

import numpy as np
import pandas as pd
import pytest

from tests.results.fake import SUMMARY, tables_of
from vidfer.api.identify import link_run
from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.store import Store
from vidfer.results.clip_folder import write_clip
from vidfer.results.run_folder import rebuild

ANN, BEA, CAT = np.eye(3, dtype=np.float32)


@pytest.fixture
def place(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def clip(tmp_path, place):
    """Write a clip of two persons into a run's folder, and their embeddings into the store."""

    def write(clip_id, *points, weights="w", spans=None):
        recipe = {"stage": "identify", "version": 1, "inputs": {}, "source": clip_id, "weights": weights}
        number = np.arange(1, len(points) + 1)
        spans = np.array(spans or [(10.0 * at, 10.0 * at + 5) for at in number])
        with place.draft("identify", recipe_key(recipe)) as draft:
            arrays = {"person": number, "embedding": np.array(points), "span": spans}
            draft.write_arrays("identities.safetensors", arrays)
            key = place.publish(draft.seal(recipe)).key
        summary = {**SUMMARY, "clip": clip_id, "identify": {"key": key, "weights": weights}}
        write_clip(tmp_path / "run" / clip_id, clip_id, tables_of(clip_id), summary)
        return key

    return write


def test_persons_are_linked_across_cuts_and_clips_and_runs(clip, place, tmp_path):
    run = tmp_path / "run"
    clip("a.mp4", ANN, BEA)
    clip("b/c.mp4", BEA, BEA)
    links = link_run(run, "w", place.root)
    assert links == {"b/c.mp4#1": "a.mp4#2", "b/c.mp4#2": "a.mp4#2"}
    clip("z.mp4", CAT, ANN)  # added later
    assert link_run(run, "w", place.root) == {**links, "z.mp4#2": "a.mp4#1"}


def test_links_stay_where_the_store_has_nothing_any_more(clip, place, tmp_path):
    run = tmp_path / "run"
    clip("a.mp4", ANN, BEA)
    key = clip("b.mp4", BEA, CAT)
    rebuild(run, links=link_run(run, "w", place.root))
    for path in place.path("identify", key).iterdir():
        path.unlink()
    place.path("identify", key).rmdir()
    fresh = Store(place.root)
    assert link_run(run, "w", fresh.root) == {"b.mp4#1": "a.mp4#2"}
    assert link_run(run, "other", fresh.root) == {"b.mp4#1": "a.mp4#2"}


def test_what_the_user_wrote_is_not_overruled(clip, place, tmp_path):
    run = tmp_path / "run"
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        clip(name, ANN, BEA)
    rebuild(run)
    path = run / "people.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows["same_as"] = ["", "", "nobody", "", "", "b.mp4#1"]
    rows.to_csv(path, index=False)
    links = link_run(run, "w", place.root)
    assert links == {"b.mp4#2": "a.mp4#2", "c.mp4#1": "a.mp4#1"}
    rebuild(run, links=links)
    ids = pd.read_parquet(run / "people.parquet")["person_id"].tolist()
    assert ids == ["a.mp4#1", "a.mp4#2", "b.mp4#1", "a.mp4#2", "a.mp4#1", "b.mp4#1"]
