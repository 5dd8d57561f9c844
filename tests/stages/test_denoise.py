"""Stage `denoise` and what the later stages make of it, on artifacts and networks made by hand."""

import numpy as np
import pytest

from tests.stages.made import probed
from vidfer.inference.models import ImageModel
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.classify import ClassifyStage
from vidfer.stages.denoise import DenoiseStage
from vidfer.stages.faces import Denoising
from vidfer.stages.finetune import ImageStage
from vidfer.stages.report import ReportStage, read_report
from vidfer.types import Status, VidferError
from vidfer.weights.files import weights_digest

RECIPE = {"mode", "scope", "threshold", "faces", "denoised", "mean_change"}


def table(artifact):
    return artifact.table("denoise.parquet")


def stage(weights, threshold=10.0, scope="face"):
    path, digest = weights
    return DenoiseStage(Denoising(digest, threshold), scope, denoise_model=path)


def image_stage():
    return ImageStage(weights_digest("image", "compact"))


def test_off_loads_nothing_and_writes_nothing(faces, ran, loaded):
    loaded["denoise"] = None
    done = ran(DenoiseStage(), {"faces": faces([50.0, 1.0])[0]})
    assert done.names() == []
    facts = {"mode": "off", "scope": None, "threshold": None, "faces": 2, "denoised": 0, "mean_change": None}
    assert done.meta == facts


def test_a_clip_without_faces_keeps_its_status(artifact, ran, save_denoiser):
    done = ran(stage(save_denoiser()), {"faces": artifact("faces", status=Status.NO_FACE, message="none")})
    assert (done.status, done.message, done.names()) == (Status.NO_FACE, "none", [])
    assert set(done.meta) == RECIPE


def test_above_the_threshold_only_and_not_where_nothing_is_known(faces, ran, save_denoiser):
    sigmas = [10.0, np.nextafter(10.0, 11.0), np.nan, 0.0, 90.0]
    done = ran(stage(save_denoiser("brighter", 3.0)), {"faces": faces(sigmas)[0]})
    rows = table(done)
    assert rows["denoised"].tolist() == [False, True, False, False, True]
    np.testing.assert_array_equal(rows["sigma"], sigmas)
    assert np.isnan(rows["change"]).tolist() == [True, False, True, True, False]
    assert done.arrays("denoised-00000.safetensors")["rows"].tolist() == [1, 4]
    assert (done.meta["mode"], done.meta["threshold"], done.meta["denoised"]) == ("auto", 10.0, 2)


def test_on_takes_all(faces, ran, save_denoiser):
    done = ran(stage(save_denoiser(), threshold=None), {"faces": faces([0.0, np.nan])[0]})
    assert table(done)["denoised"].all()
    assert (done.meta["mode"], done.meta["threshold"]) == ("on", None)


def test_the_change_is_the_mean_over_pixels(faces, ran, save_denoiser):
    given, crops = faces([50.0, 1.0])
    done = ran(stage(save_denoiser("brighter", 8.0)), {"faces": given})
    expected = np.clip(crops[0].astype(int) + 8, 0, 255)
    np.testing.assert_array_equal(done.arrays("denoised-00000.safetensors")["crops"], expected[None])
    change = np.abs(expected - crops[0]).mean()
    assert table(done)["change"][0] == pytest.approx(change)
    assert done.meta["mean_change"] == pytest.approx(change, abs=1e-6)


def test_a_network_that_changes_nothing_changes_nothing(faces, ran, save_denoiser):
    given, crops = faces([50.0, 50.0], magnified=[1.0, 0.4])
    done = ran(stage(save_denoiser()), {"faces": given})
    np.testing.assert_array_equal(done.arrays("denoised-00000.safetensors")["crops"], crops)
    assert done.meta["mean_change"] == 0
    finetune = ran(image_stage(), {"faces": given, "denoise": done})
    assert finetune.meta == {"answers_changed": 0}


def test_magnified_faces_are_denoised_at_the_size_they_have_in_the_frame(faces, ran, loaded):
    sides = []

    def network(images):
        sides.append(images.shape)
        return images

    network.parallel = False
    loaded["denoise"] = network
    given, crops = faces([50.0] * 4, magnified=[4.0, 2.0, 1.0, 0.3])
    done = ran(stage(("any", "digest")), {"faces": given})
    assert sides == [(1, side, side, 3) for side in (40, 80, 160, 160)]
    clean = done.arrays("denoised-00000.safetensors")["crops"]
    assert clean.shape == crops.shape
    np.testing.assert_array_equal(clean[2:], crops[2:])
    middle = slice(40, 120)
    blocks = crops[0].reshape(40, 4, 40, 4, 3).mean(axis=(1, 3))
    assert np.corrcoef(clean[0, 2::4, 2::4].ravel(), blocks.ravel())[0, 1] > 0.9
    assert clean[0][middle].std() < 0.5 * crops[0][middle].std()


def test_rows_count_inside_their_shard(faces, ran, save_denoiser):
    sigmas = np.zeros(600)
    noisy = [3, 255, 256, 599]
    sigmas[noisy] = 40.0
    given, crops = faces(sigmas)
    done = ran(stage(save_denoiser("brighter", 8.0)), {"faces": given})
    names = [f"denoised-{number:05}.safetensors" for number in range(3)]
    assert done.names("denoised-") == names
    assert [done.arrays(name)["rows"].tolist() for name in names] == [[3, 255], [0], [87]]
    np.testing.assert_array_equal(
        np.concatenate([done.arrays(name)["crops"] for name in names]), np.clip(crops[noisy].astype(int) + 8, 0, 255)
    )
    assert np.flatnonzero(table(done)["denoised"]).tolist() == noisy


def test_a_shard_without_noise_is_not_read(faces, ran, save_denoiser):
    given, _ = faces(np.zeros(300))
    for name in given.names("crops-"):
        (given.path / name).unlink()
    done = ran(stage(save_denoiser()), {"faces": given})
    assert done.names() == ["denoise.parquet"]
    assert (done.meta["denoised"], done.meta["mean_change"]) == (0, None)


def test_frames_denoised_by_stage_faces_are_only_compared(faces, ran, loaded):
    loaded["denoise"] = None

    def written(crops):
        return {"rows": np.array([1]), "crops": crops[1:2] // 2}

    given, crops = faces([1.0, 1.0], denoised=written, frame_sigma=np.array([2.0, 30.0]))
    done = ran(stage(("small", "digest"), scope="frame"), {"faces": given})
    assert done.names() == ["denoise.parquet"]
    assert table(done)["change"][1] == pytest.approx((crops[1] - crops[1] // 2).mean())
    assert done.meta["scope"] == "frame"
    finetune = ran(image_stage(), {"faces": given, "denoise": done})
    alone = ImageModel("compact")
    expected = alone(np.stack([crops[0], crops[1] // 2]), tta="flip")[1]
    np.testing.assert_allclose(finetune.arrays("embeddings.safetensors")["logits"], expected, atol=1e-5)


def test_nothing_noisy_gives_the_same_bytes_as_off(faces, ran, save_denoiser):
    given, _ = faces([1.0, 2.0, np.nan])
    done = [
        ran(image_stage(), {"faces": given, "denoise": ran(denoise, {"faces": given})})
        for denoise in (DenoiseStage(), stage(save_denoiser("brighter", 90.0)))
    ]
    first, second = ((artifact.path / "embeddings.safetensors").read_bytes() for artifact in done)
    assert first == second
    assert done[0].key != done[1].key


def test_changed_answers_are_counted(faces, ran, save_denoiser, loaded):
    """A stand-in for the image model says class 0 for dark crops and class 1 for bright ones."""

    def model(crops, *, tta):
        bright = crops.mean(axis=(1, 2, 3)) > 140
        return np.zeros((len(crops), 2), np.float32), np.eye(7, dtype=np.float32)[bright.astype(int)]

    loaded["image"] = model
    given, _ = faces([50.0, 1.0, 50.0])  # pixels from 0 to 255, 127.5 on average
    denoise = ran(stage(save_denoiser("brighter", 60.0)), {"faces": given})
    finetune = ran(image_stage(), {"faces": given, "denoise": denoise})
    assert finetune.arrays("embeddings.safetensors")["logits"].argmax(1).tolist() == [1, 0, 1]
    assert finetune.meta == {"answers_changed": 2}
    denoise = ran(stage(save_denoiser("brighter", 60.0), threshold=None), {"faces": given})
    assert denoise.meta["denoised"] == 3
    assert ran(image_stage(), {"faces": given, "denoise": denoise}).meta == {"answers_changed": None}


def test_the_report_says_what_was_changed(faces, ran, artifact, save_denoiser, store):
    given, _ = faces([50.0, 1.0])
    inputs = {"probe": probed(store), "faces": given, "audio": artifact("audio", status=Status.NO_AUDIO)}
    inputs["denoise"] = ran(stage(save_denoiser("brighter", 60.0)), inputs)
    inputs["finetune"] = ran(image_stage(), inputs)
    inputs["classify"] = ran(ClassifyStage("digest"), inputs)
    done = ran(ReportStage(), inputs)
    frames = read_report(done).frames
    assert frames["denoised"].tolist() == [True, False]
    assert frames["noise_sigma"].tolist() == [50.0, 1.0]
    summary = done.json("summary.json")
    assert summary["denoise"] == {**inputs["denoise"].meta, **inputs["finetune"].meta}
    assert summary["denoise"]["denoised"] == 1
    assert len(summary["provenance"]["stages"]["denoise"]["params"]["denoise"]["weights"]) == 64
    assert "psnr" not in str(summary).lower()


def test_a_failed_denoiser_is_no_answer(faces, ran, artifact, store):
    """Out of memory, say: raw crops must not pass for denoised ones."""
    given, _ = faces([50.0])
    failed = artifact("denoise", status=Status.OUT_OF_MEMORY, message="no memory")
    inputs = {"faces": given, "denoise": failed, "audio": artifact("audio", status=Status.NO_AUDIO)}
    inputs["probe"] = probed(store)
    inputs["finetune"] = ran(image_stage(), inputs)
    assert (inputs["finetune"].status, inputs["finetune"].names()) == (Status.OUT_OF_MEMORY, [])
    inputs["classify"] = ran(ClassifyStage("digest"), inputs)
    summary = ran(ReportStage(), inputs).json("summary.json")
    assert (summary["status"], summary["faces"]["status"]) == ("out_of_memory", "out_of_memory")
    assert (summary["predominant"], summary["denoise"]) == (None, None)


def keys(**options):
    chain = build_chain(ChainOptions(**options))
    found = {}
    for step in chain:
        from vidfer.pipeline.digest import recipe_key

        found[step.name] = recipe_key(step.recipe("s", found))
    return found


def differ(one, two):
    return [name for name in one if one[name] != two[name]]


AFTER = ["denoise", "finetune", "classify", "report"]


@pytest.mark.parametrize(
    ("one", "two", "recomputed"),
    [
        ({"denoise": "off"}, {"denoise": "auto"}, AFTER),
        ({"denoise": "auto"}, {"denoise": "on"}, AFTER),
        ({"denoise": "auto"}, {"denoise_threshold": 12.0}, AFTER),
        ({"denoise_threshold": 10}, {"denoise_threshold": 10.0}, []),
        ({"denoise": "auto"}, {"denoise_scope": "frame"}, ["faces", *AFTER]),
        ({"denoise_scope": "frame"}, {"denoise_scope": "frame", "denoise_threshold": 12.0}, ["faces", *AFTER]),
        ({"denoise": "on"}, {"denoise": "on", "denoise_threshold": 12.0}, []),
        ({"denoise": "off"}, {"denoise": "off", "denoise_threshold": 12.0}, []),
        ({"denoise": "off"}, {"denoise": "off", "denoise_scope": "frame"}, []),
        ({"denoise": "off"}, {"denoise": "off", "denoise_model": "none.safetensors"}, []),
        ({"denoise": "auto"}, {"backend": "torch"}, []),
    ],
)
def test_a_choice_recomputes_what_it_decides(one, two, recomputed):
    assert differ(keys(**one), keys(**two)) == recomputed


def test_weights_enter_by_what_they_are(save_denoiser):
    one, two = save_denoiser("one"), save_denoiser("two", 1.0)
    assert differ(keys(denoise_model=one[0]), keys(denoise_model=save_denoiser("copy")[0])) == []
    assert differ(keys(denoise_model=one[0]), keys(denoise_model=two[0])) == AFTER
    frame = {"denoise_scope": "frame"}
    assert differ(keys(denoise_model=one[0], **frame), keys(denoise_model=two[0], **frame)) == ["faces", *AFTER]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"denoise": "maybe"}, "one of auto, on, off"),
        ({"denoise_scope": "clip"}, "one of face, frame"),
        ({"denoise_threshold": 0.0}, "above 0"),
        ({"denoise_threshold": float("nan")}, "above 0"),
    ],
)
def test_senseless_options_are_refused(options, said):
    with pytest.raises(VidferError, match=said):
        ChainOptions(**options)
