"""What the chain reads from the image weights' card."""

import json
import shutil

import pytest
import torch

from vidfer.inference.decision import UNCALIBRATED
from vidfer.media.loudness import TARGET
from vidfer.models.classifiers import build_classifier
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.fitting import audio_stage
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import find_weights, save_weights, weights_digest

SHARES = [0.14, 0.015, 0.14, 0.25, 0.17, 0.11, 0.175]


def other_weights(image):
    trained = find_weights("fusion", "fusion").card["preprocessing"]["image_weights"][:8]
    return (
        "late fusion: the fusion model does not fit, since it was trained on the embeddings of other image weights "
        f"({trained}) than it gets ({weights_digest('image', image)[:8]})"
    )


@pytest.fixture
def weights_with(image_weights, tmp_path):
    """Copy weights with other entries in their card."""

    def make(**entries):
        path = tmp_path / "other.safetensors"
        shutil.copy(image_weights, path)
        card = json.loads(image_weights.with_suffix(".json").read_text())
        path.with_suffix(".json").write_text(json.dumps({**card, **entries}))
        return str(path)

    return make


def classify(weights, **options):
    chain = build_chain(ChainOptions(image_model=weights, denoise="off", **options))
    (stage,) = [stage for stage in chain if stage.name == "classify"]
    return stage


def test_calibration_and_class_shares_come_from_the_card(weights_with):
    weights = weights_with(calibration={"temperature": 1.25, "smoothing": 0.1, "n": 9}, data={"class_shares": SHARES})
    stage = classify(weights)
    rules = stage.rules
    assert (rules.face_calibration, rules.class_shares) == ((1.25, 0.1), tuple(SHARES))
    assert (rules.pool, rules.abstain, stage.notes) == ("peaks", None, ())
    params = stage.recipe("s", dict.fromkeys(stage.inputs, "k"))["params"]
    assert (params["rules"]["face_calibration"], params["rules"]["class_shares"]) == ((1.25, 0.1), tuple(SHARES))
    assert classify(weights, prior="training").rules.class_shares is None


def test_an_older_card_has_neither(image_weights):
    stage = classify(str(image_weights))
    assert (stage.rules.face_calibration, stage.rules.class_shares) == (None, None)
    assert ["no temperature" in stage.notes[0], "no class shares" in stage.notes[1]] == [True, True]
    (note,) = classify(str(image_weights), prior="training").notes
    assert "no temperature" in note


@pytest.mark.parametrize(
    "entries",
    [
        {"calibration": {"temperature": "hot"}},
        {"calibration": {"temperature": 0}},
        {"calibration": {"temperature": float("inf")}},
        {"calibration": {"temperature": 1e-300}},
        {"calibration": {"temperature": 1.0, "smoothing": 1.0}},
        {"calibration": [1.0]},
        {"data": {"class_shares": SHARES[:6]}},
        {"data": {"class_shares": [*SHARES[:6], 0]}},
        {"data": {"class_shares": [*SHARES[:6], None]}},
        {"data": {"class_shares": 0.5}},
    ],
)
def test_a_card_with_nonsense_is_refused_by_name(weights_with, entries):
    with pytest.raises(VidferError, match=r"other\.safetensors"):
        classify(weights_with(**entries))


def test_a_class_that_was_never_seen_does_not_matter_to_the_training_prior(weights_with):
    stage = classify(weights_with(data={"class_shares": [*SHARES[:6], 0]}), prior="training")
    assert stage.rules.class_shares is None


@pytest.mark.parametrize(
    "options", [{"prior": "flat"}, {"pool": "max"}, {"abstain": 0}, {"abstain": 1}, {"abstain": float("nan")}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(VidferError, match=next(iter(options))):
        ChainOptions(**options)


@pytest.fixture
def fusion_weights(tmp_path):
    """Save an untrained fusion model that fits the shipped models, but for these entries."""

    def make(**preprocessing):
        torch.manual_seed(0)
        path = tmp_path / "mine.safetensors"
        trained = {"image_weights": weights_digest("image", "compact"), "win_dur": 2.0, "hop_dur": 1.0}
        trained |= {"loudness": audio_stage("voice").loudness} | preprocessing
        card = {"kind": "fusion", "arch": "fusion", "arguments": {}, "preprocessing": trained}
        save_weights(path, build_classifier("fusion").state_dict(), card)
        return str(path)

    return make


def test_a_fusion_model_that_fits_is_used(fusion_weights):
    assert classify("compact", fusion_model=fusion_weights()).fusion is not None
    assert classify("compact", fusion_model="late").fusion is None


def test_with_other_image_weights_the_fusion_model_of_a_bundle_gives_way_and_says_so(image_weights, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    models = {}
    for kind, name in (("fusion", "fusion"), ("audio", ChainOptions().choice.models["audio"])):
        path = find_weights(kind, name).path
        models[kind] = path.name
        for suffix in (".safetensors", ".json"):
            shutil.copy(path.with_suffix(suffix), folder)
    about = {"format": 1, "name": "mine", "description": "", "models": models, "settings": {}, "made": {}}
    (folder / "bundle.json").write_text(json.dumps(about))
    stage = classify(str(image_weights), models=folder)
    assert stage.fusion is None
    assert other_weights(image_weights) in stage.notes


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        ({"image_weights": "others"}, "other image weights"),
        ({"hop_dur": 0.5}, r"other windows of sound \(2.0 s every 0.5 s\) than 2 s every 1 s"),
        (
            {"loudness": -30.0},
            r"trained on sound brought to -30 LUFS, and gets it (as loud as it was recorded|brought to)",
        ),
        ({"loudness": "loud"}, "trained on sound of a loudness of 'loud'"),
    ],
)
def test_a_fusion_model_that_does_not_fit_is_refused_when_it_is_named(fusion_weights, trained, message):
    with pytest.raises(VidferError, match=message):
        classify("compact", fusion_model=fusion_weights(**trained))


def test_weights_of_a_file_are_taken_and_their_network_may_be_named(image_weights):
    assert ChainOptions().image_weights == "compact"
    assert ChainOptions(image_model=str(image_weights)).image_weights == str(image_weights)
    for named in (None, "compact"):
        options = ChainOptions(weights=image_weights, image_model=named)
        assert options.image_weights == str(image_weights)
        (stage,) = [stage for stage in build_chain(options) if stage.name == "finetune"]
        assert (stage.image_model, stage.weights) == (str(image_weights), weights_digest("image", image_weights))
    with pytest.raises(UsageError, match="holds weights of the network 'compact', not of 'resnet50'"):
        ChainOptions(weights=image_weights, image_model="resnet50")


@pytest.mark.parametrize("kind", ["image", "audio", "fusion", "denoise"])
def test_weights_that_are_not_there_are_wrong_usage(kind):
    with pytest.raises(UsageError, match=f"no {kind} weights 'nonsense'"):
        ChainOptions(**{f"{kind}_model": "nonsense"})


def test_weights_that_are_not_used_are_not_looked_for():
    assert ChainOptions(denoise="off", denoise_model="nonsense").denoise_model == "nonsense"


@pytest.fixture
def audio_weights(tmp_path):
    """Save an untrained audio model with these entries in its card's preprocessing."""

    def make(**preprocessing):
        path = tmp_path / "sound.safetensors"
        card = {"kind": "audio", "arch": "linear", "arguments": {}, "preprocessing": {"win_dur": 2.0} | preprocessing}
        save_weights(path, build_classifier("linear").state_dict(), card)
        return str(path)

    return make


@pytest.mark.parametrize(("kept", "loudness"), [({}, None), ({"loudness": None}, None), ({"loudness": -30}, -30.0)])
def test_sound_is_as_loud_as_the_model_was_trained_on(audio_weights, kept, loudness):
    """A card from before loudness was a setting names none, and its model gets recordings as they are."""
    assert audio_stage(audio_weights(**kept)).loudness == loudness
    assert audio_stage(None).loudness == TARGET


@pytest.mark.parametrize("wrong", ["loud", True, 3, float("nan")])
def test_a_loudness_that_cannot_be_is_refused(audio_weights, wrong):
    with pytest.raises(VidferError, match=r"a loudness of .*export it again"):
        audio_stage(audio_weights(loudness=wrong))


def test_the_card_says_how_sure_pooled_faces_and_each_modality_are(weights_with):
    """The pooled temperature goes with `peaks`; a modality without calibration counts by half, and so do votes."""
    weights = weights_with(pooling={"temperature": 0.4}, calibration={"temperature": 1.1, "smoothing": 0})
    rules = classify(weights).rules
    assert (rules.pooled_temperature, rules.face_weight, rules.sound_weight) == (0.4, 1.0, 1.0)
    assert classify(weights, pool="mean").rules.pooled_temperature == 1.0
    assert classify(weights, answer="vote").rules.face_weight == UNCALIBRATED
    rules = classify(weights_with(), audio_model="none").rules
    assert (rules.pooled_temperature, rules.face_weight, rules.sound_weight) == (1.0, UNCALIBRATED, UNCALIBRATED)


@pytest.mark.parametrize("entry", [0.4, {}, {"temperature": 0}, {"temperature": "1"}, {"temperature": True}])
def test_a_pooled_temperature_that_cannot_be_is_refused(weights_with, entry):
    weights = weights_with(pooling=entry)
    with pytest.raises(VidferError, match="for the temperature of its pooling"):
        classify(weights)
    assert classify(weights, pool="mean").rules.pooled_temperature == 1.0
