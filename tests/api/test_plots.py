"""Figures and files of a clip, from Python; embeddings come from the store."""

import pytest
from pympi.Elan import Eaf

import vidfer
from tests.plots.svg import drawn, texts
from vidfer.api import kept
from vidfer.api.result import ClipResult


def test_a_clip_is_drawn_in_three_kinds(analysed):
    failed = ClipResult.failed("clip.mp4", vidfer.ClipError(vidfer.Status.UNREADABLE, "there is no such file"))
    said = texts(drawn(analysed.plot("embedding")))
    n = int(analysed.clips["n_faces"].iloc[0])
    assert f"Embeddings of {n} face images" in said
    assert analysed.clip_id in said
    assert (
        "person 1" in texts(drawn(analysed.plot("distribution", width="single")))[0] or analysed.people.empty is False
    )
    assert analysed.plot(width="single").get_size_inches()[0] == 3.5
    with pytest.raises(vidfer.VidferError, match="no face was read"):
        failed.plot("embedding")
    with pytest.raises(vidfer.UsageError, match="kind 'confusion' is none of a clip"):
        analysed.plot("confusion")


def test_a_run_s_embeddings_are_thinned_evenly_and_named_by_what_the_images_show(analysed, monkeypatch):
    n = int(analysed.clips["n_faces"].iloc[0])
    vectors, expressions = kept.read_vectors([analysed, analysed], 2 * n)
    assert len(vectors) == len(expressions) == 2 * n
    monkeypatch.setattr(kept, "FACES", -(-2 * n // 3))  # every third, across clips
    some, names = kept.read_vectors([analysed, analysed], 2 * n)
    assert (some == vectors[::3]).all()
    assert names == expressions[::3]


def test_a_store_without_the_embeddings_is_named(analysed, tmp_path):
    analysed.save(tmp_path / "run" / "a.mp4")
    loaded = ClipResult.load(tmp_path / "run" / "a.mp4", store=tmp_path / "none")
    with pytest.raises(vidfer.VidferError, match=r"the store .*none does not have the faces of .*: analyse it again"):
        loaded.plot("embedding")


def test_images_of_two_networks_are_not_drawn_together(analysed):
    models = analysed.summary["models"]
    other = {**analysed.summary, "models": {**models, "image": {**models["image"], "digest": "0"}}}
    with pytest.raises(vidfer.VidferError, match="read by different image models"):
        kept.read_vectors([analysed, ClipResult(other, analysed.tables, analysed.store)], 10)


def test_a_run_of_several_clips_needs_a_clip_for_a_timeline(tmp_path):
    from tests.plots.clips_made import write_run

    run = write_run(tmp_path / "run", a={"seconds": 1.0}, b={"seconds": 1.0})
    with pytest.raises(vidfer.UsageError, match="has 2 clips: clip names the one to draw"):
        vidfer.plot(run, "timeline")
    assert "a.mp4" in " ".join(texts(drawn(vidfer.plot(tmp_path / "run", "timeline", clip="a.mp4"))))
    with pytest.raises(vidfer.UsageError, match="truth is of confusion"):
        vidfer.plot(run, "timeline", truth="x")


def test_a_clip_s_file_for_elan_finds_the_video(analysed, tmp_path):
    source = tmp_path / "portrait.mp4"
    source.touch()
    analysed = ClipResult({**analysed.summary, "clip": str(source)}, analysed.tables)
    for absolute in (False, True):
        analysed.export("elan", tmp_path / "deep" / "a.eaf", absolute=absolute)
        (media,) = Eaf(str(tmp_path / "deep" / "a.eaf")).get_linked_files()
        assert (tmp_path / "deep" / media["RELATIVE_MEDIA_URL"]).resolve() == source.resolve()
        assert media["MEDIA_URL"].startswith("file:///") == absolute
