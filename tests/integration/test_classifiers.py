"""Classifiers of every kind, trained here, predict a real clip as they predicted in training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vidfer import analyze
from vidfer.datamodules.features import FeatureOptions, FeatureReader, Sample, collate_clips
from vidfer.datamodules.paired import SamplePairedDataModule
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.models.backbone import build_backbone
from vidfer.models.classifiers import build_classifier
from vidfer.models.preprocess import Preprocessing
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.tasks.fit import Recipe, fit
from vidfer.types import EMOTIONS
from vidfer.weights.files import save_weights, weights_digest

KINDS = {
    "faces": [
        *((name, {"modality": "frames"}) for name in ("linear", "mlp", "gan", "dbn", "lstm", "rnn")),
        *((name, {}) for name in ("cnn", "rcnn")),
    ],
    "audio": [(name, {"modality": "sound"}) for name in ("linear", "mlp", "gan", "dbn", "lstm", "rnn")],
    "fusion": [("fusion", {}), *((name, {"modality": "both"}) for name in ("linear", "mlp", "gan", "dbn"))],
}
ALL = [(kind, name, arguments) for kind, each in KINDS.items() for name, arguments in each]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="module")
def store(folder):
    return str(folder / "store")


@pytest.fixture(scope="module")
def clip(folder):
    path = folder / "astronaut.mp4"
    write_demo_clip(path, seconds=4.0)
    return path


@pytest.fixture(scope="module")
def train(folder, store):
    """Train a classifier for one epoch on paired clips of drawn faces; return its weights and the network."""
    shared = []

    def make(name, arguments):
        few = {"pretrain_epochs": 1} if name == "dbn" else {}
        data = SamplePairedDataModule(str(folder / "sample"), store=store, reads=["frames", "image", "sound"])
        data.prepare_data()
        if shared:
            data.share(shared[0])
        task = fit(Recipe(name, {**arguments, **few}, epochs=1), data)
        shared.append(data)
        state, card = task.export()
        path = folder / f"{card['kind']}-{name}.safetensors"
        entries = data.card_entries()
        entries["preprocessing"]["max_frames"] = 16  # as if trained on clips, of whose 20 faces it is then given 16
        if (
            card["kind"] == "faces" and not arguments
        ):  # reads no embeddings, so that any image model may stand beside it
            del entries["preprocessing"]["image_weights"]
        save_weights(path, state, {**card, **entries})
        return str(path), task.classifier

    return make


@pytest.mark.parametrize(("kind", "name", "arguments"), ALL)
def test_a_trained_classifier_predicts_a_clip_as_its_network_does(kind, name, arguments, train, clip, store):
    path, network = train(name, arguments)
    options = FeatureOptions(store=store, voice=False)
    features, faults = FeatureReader(options, network.reads)(clip)
    assert faults == []
    with torch.no_grad():
        expected = network(collate_clips([Sample("x", None, -1, features)]))[0].double().exp().numpy()
    result = analyze(clip, **{f"{kind}_model": path}, voice="off", store=store)
    summary = result.summary
    assert summary["settings"]["notes"] == []
    assert summary["models"][kind]["network"] == name
    if kind == "fusion":
        parts = {name: np.array(list(summary[name]["distribution"].values())) for name in ("faces", "sound")}
        late = np.prod([0.95 * part + 0.05 / 7 for part in parts.values()], 0)  # both cards have a calibration
        late /= late.sum()
        assert summary["fused"]["method"] == "trained"
        expected = (expected + late) / 2
    found = summary[{"faces": "faces", "audio": "sound", "fusion": "fused"}[kind]]["distribution"]
    np.testing.assert_allclose(list(found.values()), expected, atol=3e-6)
    if kind == "faces":
        assert result.people[list(EMOTIONS)].to_numpy().tolist() == [pytest.approx(expected, abs=3e-6)]
        assert summary["settings"]["faces"] == "trained"


def test_the_papers_preset_answers_with_a_vote_and_a_gan(train, clip, store):
    path, _ = train("gan", {"modality": "sound"})
    summary = analyze(clip, preset="paper", audio_model=path, voice="off", store=store).summary
    assert summary["denoise"]["denoised"] == summary["faces"]["n_faces"] == 20
    assert summary["faces"]["distribution"] == summary["faces"]["vote"]["distribution"]
    votes = 20 * np.array(list(summary["faces"]["distribution"].values()))
    np.testing.assert_allclose(votes, votes.round(), atol=1e-4)
    assert (summary["preset"], summary["models"]["audio"]["network"]) == ("paper", "gan")
    assert (summary["fused"]["method"], "faces" in summary["models"]) == ("late", False)


@pytest.mark.slow
def test_every_classifier_answers_on_embeddings_of_inception_resnet_v2(folder, clip, store):
    torch.manual_seed(0)
    network = build_backbone("inception_resnet_v2", in_chans=3)
    image = str(folder / "inception.safetensors")
    card = {"kind": "image", "arch": "inception_resnet_v2", "arguments": {"in_chans": 3}}
    preprocessing = Preprocessing(image_size=96, in_chans=3, mean=0.5, std=0.5).as_card()
    save_weights(Path(image), network.state_dict(), {**card, "preprocessing": preprocessing})
    shared = {"image_model": image, "every": 25, "voice": "off"}
    chain = build_chain(ChainOptions(**shared))
    with finished(chain, "finetune", clip, Store(store)) as finetune:
        embeddings = finetune.arrays("embeddings.safetensors")["embeddings"]
    assert embeddings.shape == (4, 1536)
    assert np.ptp(embeddings) > 0
    trained = {"image_weights": weights_digest("image", image), "max_frames": None, "win_dur": 2.0, "hop_dur": 1.0}
    for kind, name, arguments in ALL:
        width = (
            {"num_frame_features": 1536} if arguments.get("modality") in ("frames", "both") or name == "fusion" else {}
        )
        classifier = build_classifier(name, {**arguments, **width})
        path = folder / "random.safetensors"
        card = {"kind": kind, "arch": name, "arguments": {**arguments, **width}, "preprocessing": trained}
        save_weights(path, classifier.state_dict(), card)
        summary = analyze(clip, **shared, **{f"{kind}_model": str(path)}, store=store).summary
        assert summary["predominant"] in EMOTIONS
        assert summary["models"][kind]["network"] == name
