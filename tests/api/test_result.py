"""What a result of a clip offers."""

import pickle
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from vidfer import EMOTIONS, ClipError, ClipResult, Status, UsageError, VidferError, load_run
from vidfer.pipeline.store import Store
from vidfer.results.schema import TABLES


def same(one, other):
    assert one.summary == other.summary
    assert list(one.pictures.files()) == list(other.pictures.files())
    assert list(one.tables) == list(other.tables) == list(TABLES)
    for name in TABLES:
        pd.testing.assert_frame_equal(one.tables[name], other.tables[name])


@pytest.fixture(scope="module")
def failed():
    return ClipResult.failed("<b>&.mp4", ClipError(Status.CORRUPT, "<script>alert()</script>"))


def test_a_result_is_told_in_one_short_line(analysed, failed):
    assert re.fullmatch(r"<ClipResult portrait\.mp4: happy, margin 0\.\d\d \(faces\), 1 person>", repr(analysed))
    assert repr(failed) == "<ClipResult <b>&.mp4: corrupt>"


class Cells(HTMLParser):
    """Reads the texts of cells, and refuses tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.cells, self.texts = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        assert not attrs
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data


def read_html(result):
    cells = Cells()
    cells.feed(result._repr_html_())
    cells.close()
    assert not cells.open
    return cells


def test_a_notebook_shows_a_small_table(analysed, failed):
    shown = read_html(analysed)
    rows = {row[0]: dict(zip(EMOTIONS, row[4:], strict=True)) for row in shown.cells[1:]}
    assert list(rows) == ["clip", "faces", "sound", "person 1"]
    people = analysed.people.iloc[0]
    assert rows["person 1"] == {name: f"{people[name]:.2f}" for name in EMOTIONS}
    assert set(rows["sound"].values()) == {""}
    assert len(shown.cells) < 12
    hostile = read_html(failed)
    assert not {"script"} & hostile.tags
    assert {"<b>&.mp4", "<script>alert()</script>"} <= set(hostile.texts)


def test_a_result_survives_a_pickle_and_a_folder(analysed, failed, tmp_path):
    for number, result in enumerate((analysed, failed)):
        same(pickle.loads(pickle.dumps(result)), result)
        result.save(tmp_path / str(number))
        same(ClipResult.load(tmp_path / str(number)), result)
    ClipResult.load(tmp_path / "0").save(tmp_path / "again", show_faces=True)
    assert (tmp_path / "again" / "person-1.jpg").read_bytes() == (tmp_path / "0" / "person-1.jpg").read_bytes()


def test_folders_that_cannot_be_used_are_told(analysed, tmp_path):
    with pytest.raises(VidferError, match=f"{tmp_path}.*"):
        ClipResult.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(VidferError, match="give another folder by the argument folder"):
        analysed.save(tmp_path / "file")
    analysed.save(tmp_path / "clip")
    (tmp_path / "clip" / "frames.parquet").write_bytes(b"other")
    with pytest.raises(VidferError, match=r"clip is damaged: frames\.parquet"):
        ClipResult.load(tmp_path / "clip")


def test_saved_results_are_a_run(analysed, failed, tmp_path):
    for result in (analysed, failed):
        result.save(tmp_path / result.clip_id)
    run = load_run(tmp_path)
    assert run.clips["clip_id"].tolist() == ["<b>&.mp4", "portrait.mp4"]
    pd.testing.assert_frame_equal(run.frames, analysed.frames)
    same(ClipResult.load(run.folders["portrait.mp4"]), analysed)
    with pytest.raises(VidferError, match="several clips: vidfer"):
        ClipResult.load(tmp_path)


def test_crops_and_embeddings_are_those_of_the_store(analysed, analyzer, tmp_path):
    faces = Store(analyzer._store.root).find("faces", analysed.summary["provenance"]["stages"]["faces"]["key"])
    images, time_s, person_id = analysed.crops()
    np.testing.assert_array_equal(images, faces.arrays("crops-00000.safetensors")["crops"])
    assert (images.dtype, images.shape[1:]) == (np.uint8, (160, 160, 3))
    read = analysed.frames[analysed.frames["status"] == "face"]
    assert time_s.tolist() == read["time_s"].tolist()
    assert person_id.tolist() == read["person_id"].tolist()
    vectors = analysed.embeddings("portrait.mp4#1")
    assert vectors.index.get_level_values("time_s").tolist() == time_s.tolist()
    assert vectors.shape == (len(images), 128)
    analysed.save(tmp_path)
    loaded = ClipResult.load(tmp_path, store=analyzer._store.root)
    np.testing.assert_array_equal(loaded.crops().images, images)


def test_crops_follow_people_who_were_renamed_or_left_out(analysed):
    frames = analysed.frames.iloc[10:30].reset_index(drop=True)
    frames["person_id"] = frames["person_id"].where(frames.index % 2 == 0, "ben").replace("portrait.mp4#1", "anna")
    people = pd.concat([analysed.people.assign(person_id=name) for name in ("anna", "ben")])
    tables = {**analysed.tables, "frames": frames, "people": people}
    renamed = ClipResult(analysed.summary, tables, analysed.store)
    every = analysed.crops()
    for name in ("anna", "ben"):
        images, time_s, person_id = renamed.crops(name)
        assert time_s.tolist() == frames["time_s"][frames["person_id"] == name].tolist()
        np.testing.assert_array_equal(images, every.images[np.isin(every.time_s, time_s)])
        assert set(person_id) == {name}
        vectors = analysed.embeddings().droplevel("person_id").loc[time_s]
        np.testing.assert_array_equal(renamed.embeddings(name), vectors)
    assert renamed.crops().person_id.tolist() == frames["person_id"].tolist()


def test_what_the_store_lost_and_people_who_are_not_there_are_told(analysed, failed, tmp_path):
    lost = ClipResult(analysed.summary, analysed.tables, tmp_path)
    for read in (lost.crops, lost.embeddings):
        with pytest.raises(VidferError, match=r"does not have the faces of portrait\.mp4.*analyse it again"):
            read()
    with pytest.raises(UsageError, match=r"no person 'anna': there is portrait\.mp4#1"):
        analysed.crops("anna")
    assert failed.crops().images.shape == (0, 160, 160, 3)
    assert len(failed.embeddings()) == 0


def test_a_fault_is_raised_on_demand(analysed, failed):
    assert analysed.raise_for_status() is analysed
    with pytest.raises(ClipError, match="script") as caught:
        failed.raise_for_status()
    assert caught.value.status is Status.CORRUPT


def test_a_plot_shows_people_gaps_and_sound(analysed, failed):
    figure = analysed.plot()
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    (band,) = figure.axes
    assert band.get_title("left") == "person 1"
    assert band.get_xlim() == (0, 2)
    assert [axes.get_title("left") for axes in failed.plot().axes] == ["nobody"]
