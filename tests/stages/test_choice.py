"""Options before a preset's, a preset's before a bundle's, a bundle's before the shipped one's."""

import json
import re
import shutil

import pytest
import torch

from vidfer.models.classifiers import build_classifier
from vidfer.stages import choice
from vidfer.stages.chain import ChainOptions, build_chain, name_models
from vidfer.types import UsageError, VidferError
from vidfer.weights.bundles import MANIFEST
from vidfer.weights.files import find_weights, save_weights, weights_digest


@pytest.fixture
def bundle(tmp_path):
    """Make a bundle of shipped weights, of untrained classifiers by kind, and of settings."""

    def make(shipped=("compact", "small"), trained=None, name="mine", **settings):
        folder = tmp_path / name
        folder.mkdir()
        models = {}
        for each in shipped:
            kind = {"compact": "image", "compact64": "image", "small": "denoise", "voice": "audio", "fusion": "fusion"}[
                each
            ]
            source = find_weights(kind, each).path
            for suffix in (".safetensors", ".json"):
                shutil.copy(source.with_suffix(suffix), folder / f"{kind}{suffix}")
            models[kind] = f"{kind}.safetensors"
        for kind, (arch, arguments, preprocessing) in (trained or {}).items():
            torch.manual_seed(0)
            card = {"kind": kind, "arch": arch, "arguments": arguments, "preprocessing": preprocessing}
            save_weights(folder / f"{kind}.safetensors", build_classifier(arch, arguments).state_dict(), card)
            models[kind] = f"{kind}.safetensors"
        (folder / MANIFEST).write_text(json.dumps({"format": 1, "name": name, "models": models, "settings": settings}))
        return folder

    return make


def embedding_gan(image="compact", **preprocessing):
    trained = {"image_weights": weights_digest("image", image), "max_frames": 16}
    return "gan", {"modality": "frames"}, {**trained, **preprocessing}


def stages(**options):
    return {stage.name: stage for stage in build_chain(ChainOptions(**options))}


def test_the_default_is_the_shipped_bundle():
    chosen = ChainOptions().choice
    assert chosen.models == {"denoise": "small", "image": "compact", "audio": "voice"}
    assert (chosen.named, chosen.notes) == (frozenset(), ())
    assert vars(chosen.settings) == {
        "denoise": "auto", "denoise_scope": "face", "denoise_threshold": 10.0, "answer": "pool", "prior": "uniform",
        "pool": "peaks", "voice": "auto",
    }  # fmt: skip


def test_a_bundle_answers_and_options_win(bundle):
    folder = bundle(
        ("compact", "small", "voice"), {"faces": embedding_gan()}, pool="mean", denoise="on", voice="off", prior=None
    )
    chain = stages(models=folder)
    classify = chain["classify"]
    assert (classify.rules.pool, classify.rules.speech_only, chain["denoise"].denoise.threshold) == (
        "mean",
        False,
        None,
    )
    assert (classify.fusion, classify.faces) == (None, weights_digest("faces", folder / "faces.safetensors"))
    assert chain["finetune"].weights == weights_digest("image", "compact")
    chain = stages(models=folder, pool="peaks", denoise="auto", faces_model="none")
    assert (chain["classify"].rules.pool, chain["denoise"].denoise.threshold) == ("peaks", 10.0)
    assert (chain["classify"].rules.speech_only, chain["classify"].faces) == (False, None)


def test_the_same_weights_in_a_bundle_have_the_keys_of_the_shipped_ones(bundle):
    folder = bundle(("compact", "small", "voice"))
    keys = dict.fromkeys(("probe", "faces", "denoise", "finetune", "audio", "classify"), "k")
    for one, other in zip(build_chain(ChainOptions()), build_chain(ChainOptions(models=folder)), strict=True):
        assert one.recipe("s", keys) == other.recipe("s", keys)


def test_a_bundle_without_a_denoiser_denoises_nothing_and_says_so(bundle):
    folder = bundle(("compact",))
    chain = stages(models=folder)
    assert (chain["denoise"].denoise, ChainOptions(models=folder).choice.settings.denoise) == (None, "off")
    assert "no face is denoised: the bundle has no denoiser" in chain["classify"].notes
    with pytest.raises(UsageError, match="--denoise on needs a denoiser: name one by --denoise-model"):
        ChainOptions(models=bundle(("compact",), name="other"), denoise="on")


def test_a_bundle_without_sound_or_fusion(bundle):
    classify = stages(models=bundle())["classify"]
    assert (classify.weights, classify.fusion, classify.faces, classify.notes) == (None, None, None, ())
    classify = stages(models=bundle(("compact", "small", "fusion"), name="other"))["classify"]
    assert (classify.weights, classify.fusion) == (None, None)
    assert classify.notes == ("the fusion model is not used, since there is no sound model beside it",)


def test_a_bundle_without_an_image_model_is_refused(bundle):
    folder = bundle(("voice",))
    with pytest.raises(UsageError, match="the bundle mine has no image model: name one by --image-model"):
        ChainOptions(models=folder)
    assert ChainOptions(models=folder, image_model="compact").image_weights == "compact"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool": "max"}, "mine has settings that cannot be: --pool has to be one of peaks, mean, not max"),
        ({"denoise": 1}, "--denoise has to be one of auto, on, off, not 1"),
        ({"denoise_threshold": "low"}, "--denoise-threshold has to be above 0, not low"),
    ],
)
def test_settings_of_a_bundle_that_cannot_be(bundle, settings, message):
    with pytest.raises(UsageError, match=message):
        ChainOptions(models=bundle(**settings))


def test_no_bundle_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="is no bundle"):
        ChainOptions(models=tmp_path)


@pytest.mark.parametrize(
    ("faces", "options", "message"),
    [
        (embedding_gan("compact64"), {}, "embeddings of other image weights"),
        (embedding_gan(), {"image_model": "compact64"}, "embeddings of other image weights"),
        (
            ("gan", {"modality": "frames", "num_frame_features": 64}, embedding_gan()[2]),
            {},
            "of 64 numbers, and gets 128",
        ),
        (("cnn", {}, {"denoise_weights": "12345678x"}), {}, r"denoised by other weights \(12345678\)"),
        (("cnn", {}, {"denoise_weights": "12345678x"}), {"denoise": "off"}, ""),
        (("cnn", {}, {"denoise_weights": weights_digest("denoise", "small")}), {}, ""),
        (("cnn", {}, {}), {"image_model": "compact64"}, ""),
    ],
)
def test_a_faces_model_of_a_bundle_steps_aside_where_it_does_not_fit(bundle, faces, options, message):
    folder = bundle(trained={"faces": faces})
    classify = stages(models=folder, **options)["classify"]
    assert (classify.faces is None) == bool(message)
    notes = [note for note in classify.notes if note.startswith("pooled faces: the faces model does not fit")]
    assert [bool(re.search(message, note)) for note in notes] == ([True] if message else [])
    if message:
        with pytest.raises(VidferError, match=f"the faces model .* does not fit: .*{message}"):
            build_chain(ChainOptions(models=folder, faces_model=str(folder / "faces.safetensors"), **options))


def test_an_image_model_that_learned_from_faces_denoised_by_others_predicts_and_that_is_said(bundle):
    folder = bundle(("compact", "small"))
    place = folder / "image.json"
    card = json.loads(place.read_text())
    for denoiser, noted in ((weights_digest("denoise", "small"), False), ("12345678x", True)):
        card["preprocessing"]["denoise_weights"] = denoiser
        place.write_text(json.dumps(card))
        notes = stages(models=folder)["classify"].notes
        assert [
            note for note in notes if "though it was trained on faces denoised by other weights (12345678)" in note
        ] == [*notes]
        assert bool(notes) == noted
    assert stages(models=folder, denoise="off")["classify"].notes == ()


def test_windows_are_those_that_the_sound_model_was_trained_on(bundle):
    audio = ("gan", {"modality": "sound"}, {"win_dur": 3.0, "hop_dur": 1.5})
    folder = bundle(("compact", "small", "fusion"), {"audio": audio})
    chain = stages(models=folder)
    assert (chain["audio"].win_dur, chain["audio"].hop_dur) == (3.0, 1.5)
    (note,) = chain["classify"].notes
    assert "other windows of sound (2.0 s every 1.0 s) than 3 s every 1.5 s" in note
    with pytest.raises(VidferError, match="standardised by each speaker's other recordings"):
        build_chain(ChainOptions(audio_model=speaker(folder)))


def speaker(folder):
    path = folder / "speaker.safetensors"
    card = {"kind": "audio", "arch": "gan", "arguments": {}, "preprocessing": {"standardise": "speaker"}}
    save_weights(path, build_classifier("gan").state_dict(), card)
    return str(path)


GAN = ("gan", {"modality": "sound"}, {"win_dur": 2.0, "hop_dur": 1.0, "loudness": -23.0})


def test_the_papers_preset(bundle):
    folder = bundle(("compact", "small", "fusion"), {"audio": GAN, "faces": embedding_gan()})
    chain = stages(models=folder, preset="paper")
    classify = chain["classify"]
    assert (classify.rules.answer, classify.rules.class_shares, chain["denoise"].denoise.threshold) == (
        "vote",
        None,
        None,
    )
    assert (classify.faces, classify.fusion) == (None, None)
    assert classify.weights == weights_digest("audio", folder / "audio.safetensors")
    kept = stages(models=folder, preset="paper", answer="pool", prior="uniform", denoise="off", fusion_model="fusion")
    assert (kept["classify"].rules.answer, kept["denoise"].denoise) == ("pool", None)
    assert (kept["classify"].rules.class_shares is None, kept["classify"].fusion is None) == (False, False)


def test_the_papers_preset_takes_shipped_gan_weights_where_the_bundle_has_none(bundle, monkeypatch):
    assert ChainOptions(preset="paper").choice.models["audio"] == "gan_sound"
    assert stages(models=bundle(), preset="paper")["classify"].weights == weights_digest("audio", "gan_sound")
    monkeypatch.setitem(choice.SHIPPED, "audio", ("voice",))
    with pytest.raises(UsageError, match="the bundle default has no such weights: name some by --audio-model, or none"):
        ChainOptions(preset="paper")
    assert ChainOptions(preset="paper", audio_model="voice").choice.models["audio"] == "voice"
    assert "audio" not in ChainOptions(preset="paper", audio_model="none").choice.models


def test_a_model_that_would_not_be_used_is_not_to_be_named(bundle):
    folder = bundle(("compact", "small"), {"faces": embedding_gan()}, answer="vote")
    chain = stages(models=folder)
    assert chain["classify"].notes == ("the faces model is not used, since the face images vote",)
    with pytest.raises(UsageError, match="would not be used, since the face images vote"):
        ChainOptions(models=folder, faces_model=str(folder / "faces.safetensors"))
    with pytest.raises(UsageError, match="--fusion-model fusion would not be used, since there is no sound model"):
        ChainOptions(audio_model="none", fusion_model="fusion")


def test_a_summary_names_the_weights(bundle):
    folder = bundle(("compact", "small"), {"audio": GAN})
    named = name_models(ChainOptions(models=folder, denoise="off"))
    assert (named["bundle"], named["preset"], list(named["models"])) == ("mine", "default", ["image", "audio"])
    place = str(folder / "audio.safetensors")
    assert named["models"]["audio"] == {"weights": place, "digest": weights_digest("audio", place), "network": "gan"}
    assert name_models(ChainOptions())["models"]["image"]["weights"] == "compact"
