"""The stages behind the models, on artifacts made by hand."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.stages.conftest import MEASURES
from tests.stages.made import probed, times_file
from vidfer.inference.decision import Rules
from vidfer.media.vad import SPEECH_SHARE
from vidfer.pipeline.columns import to_parquet
from vidfer.pipeline.digest import recipe_key
from vidfer.results.tables import NO_MEDIA
from vidfer.stages.classify import ClassifyStage
from vidfer.stages.clip_faces import gray_faces
from vidfer.stages.report import ReportStage, read_report
from vidfer.types import EMOTIONS, Status

DENOISE = {"mode": "off", "scope": None, "threshold": None, "faces": 4, "denoised": 0, "mean_change": None}
HAPPY, SAD, NEUTRAL = (EMOTIONS.index(name) for name in ("happy", "sad", "neutral"))


def product(faces, sound):
    """Multiply two distributions, each of which tells nothing once in twenty times."""
    both = (0.95 * np.array(faces) + 0.05 / 7) * (0.95 * np.array(sound) + 0.05 / 7)
    return both / both.sum()


def logits(*peaks, height=3.0):
    out = np.zeros((len(peaks), 7), np.float32)
    out[np.arange(len(peaks)), list(peaks)] = height
    return out


class Heard:
    """A stand-in for a model of sound that hears sadness in every window."""

    sequential = False

    def __call__(self, vectors):
        return logits(*[SAD] * len(vectors))


@pytest.fixture
def two_people(artifact):
    """Person 0: happy twice and, blurred, sad; person 1: neutral once."""
    table = {
        "frame": [0, 5, 10, 10],
        "time_s": [0.0, 0.2, 0.4, 0.4],
        "track": [0, 0, 0, 1],
        "weight": [1.0, 1.0, 0.1, 1.0],
        "flaws": ["", "", "blurred", ""],
        **{name: [1.0, 2.0, 3.0, 4.0] for name in MEASURES},
    }
    files = {"faces.parquet": to_parquet(table), "times.parquet": times_file([0, 5, 10], [0.0, 0.2, 0.4])}
    files["crops-00000.safetensors"] = {
        "crops": np.stack([np.full((160, 160, 3), 60 * at, np.uint8) for at in range(4)])
    }
    faces = artifact("faces", files, meta={"frames": 3, "faces": 4})
    values = {"embeddings": np.zeros((4, 8), np.float32), "logits": logits(HAPPY, HAPPY, SAD, NEUTRAL)}
    return {
        "faces": faces,
        "finetune": artifact("finetune", {"embeddings.safetensors": values}, meta={"answers_changed": 0}),
        "denoise": artifact("denoise", meta=DENOISE),
    }


@pytest.fixture
def sad_voice(artifact, loaded):
    """Three windows, the middle one silent."""
    loaded["audio"] = Heard()
    arrays = {
        "times": np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]),
        "vectors": np.zeros((3, 1582), np.float32),
        "silent": np.array([0, 1, 0], np.uint8),
        "voice": np.array([1.0, 0.0, 0.5], np.float32),
    }
    return {"audio": artifact("audio", {"windows.safetensors": arrays})}


def classify(store, inputs, sound="digest", faces=None, fusion=None, **rules):
    stage = ClassifyStage(sound, Rules(**rules), faces=faces, fusion=fusion)
    recipe = stage.recipe("s", {name: inputs[name].key for name in stage.inputs})
    with store.draft("classify", recipe_key(recipe)) as draft:
        outcome = stage.run(Path("clip.mp4"), inputs, draft, lambda _share: None)
        return store.publish(draft.seal(recipe, status=outcome.status, message=outcome.message))


def test_faces_people_sound_and_both(store, two_people, sad_voice):
    answer = classify(store, {**two_people, **sad_voice}).json("predictions.json")
    first, second = answer["people"]
    assert (first["person"], first["n_faces"], first["first_s"], first["last_s"]) == (0, 3, 0.0, 0.4)
    assert first["predominant"] == "happy"
    assert first["vote"]["distribution"]["sad"] == pytest.approx(1 / 3, abs=1e-6)
    assert (second["predominant"], second["n_faces"]) == ("neutral", 1)
    faces = answer["faces"]
    assert (faces["n_frames"], faces["n_faces"], faces["n_people"]) == (3, 4, 2)
    by_hand = 0.75 * first["distribution"]["happy"] + 0.25 * second["distribution"]["happy"]
    assert faces["distribution"]["happy"] == pytest.approx(by_hand, abs=1e-5)
    assert faces["vote"]["distribution"]["happy"] == 0.5
    assert (answer["sound"]["predominant"], answer["sound"]["n_windows"], answer["sound"]["n_silent"]) == ("sad", 3, 1)
    fused = answer["fused"]
    assert fused["modalities"] == ["faces", "sound"]
    by_hand = product(*(list(part["distribution"].values()) for part in (faces, answer["sound"])))
    assert list(fused["distribution"].values()) == pytest.approx(by_hand.tolist())


def test_what_is_fused_was_not_rounded(store, two_people, sad_voice):
    """By hand, from the logits: person 0 pools logits with weights 1, 1, 0.1; the sound is sad in each window."""

    def softmax(z):
        return np.exp(z) / np.exp(z).sum()

    first = logits(HAPPY)[0].astype(float) * 2 / 2.1 + logits(SAD)[0] * 0.1 / 2.1
    faces = 0.75 * softmax(first) + 0.25 * softmax(logits(NEUTRAL)[0].astype(float))
    by_hand = product(faces, softmax(logits(SAD)[0].astype(float)))
    done = classify(store, {**two_people, **sad_voice}, pool="mean")
    fused = list(done.json("predictions.json")["fused"]["distribution"].values())
    np.testing.assert_allclose(fused, by_hand, atol=1e-9)


@pytest.fixture
def some_voice(artifact, loaded):
    """Four windows: a voice that is sad, music, silence, and hardly a voice."""
    loaded["audio"] = Heard()
    arrays = {
        "times": np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0], [3.0, 5.0]]),
        "vectors": np.arange(4 * 1582, dtype=np.float32).reshape(4, 1582),
        "silent": np.array([0, 0, 1, 0], np.uint8),
        "voice": np.array([0.9, 0.0, 0.0, SPEECH_SHARE - 0.01], np.float32),
    }
    return {"audio": artifact("audio", {"windows.safetensors": arrays})}


def test_sound_counts_where_someone_speaks(store, two_people, some_voice, artifact):
    inputs = {**two_people, **some_voice, "denoise": artifact("denoise", meta=DENOISE)}
    done = classify(store, inputs)
    sound = done.json("predictions.json")["sound"]
    assert [sound[name] for name in ("n_windows", "n_silent", "n_no_voice")] == [4, 1, 2]
    windows = read_report(report(store, {**inputs, "classify": done})).windows
    assert windows["status"].tolist() == ["ok", "no_voice", "silent", "no_voice"]
    assert windows["speech"].tolist() == pytest.approx([0.9, 0, 0, SPEECH_SHARE - 0.01])
    assert windows["sad"].isna().tolist() == [False, True, True, True]
    off = classify(store, inputs, speech_only=False).json("predictions.json")
    assert (off["sound"]["n_no_voice"], off["settings"]["voice"]) == (0, False)


def test_without_any_speech_the_faces_predict_alone(store, two_people, some_voice, monkeypatch):
    monkeypatch.setattr("vidfer.inference.decision.SPEECH_SHARE", 0.95)
    answer = classify(store, {**two_people, **some_voice}).json("predictions.json")
    assert (answer["sound"]["status"], answer["sound"]["distribution"]) == ("no_voice", None)
    assert "--voice off" in answer["sound"]["message"]
    assert (answer["fused"]["method"], answer["fused"]["modalities"]) == ("alone", ["faces"])


def test_sound_is_calibrated_by_its_card(store, two_people, sad_voice):
    done = classify(store, {**two_people, **sad_voice}, sound_calibration=(2.0, 0.0))
    raised = np.exp(logits(SAD) / 2)[0]
    np.testing.assert_allclose(done.arrays("probabilities.safetensors")["windows"][0], raised / raised.sum(), rtol=1e-5)


def test_the_trained_fusion_predicts_each_person_with_the_sound(store, two_people, some_voice, loaded):
    """Person 0 has three of the four faces: three quarters of the prediction."""
    calls = []

    def model(embeddings, vectors):
        calls.append((len(embeddings), vectors[:, 0].tolist()))
        return logits(HAPPY if len(embeddings) == 3 else SAD)[0], np.array([1.5, 0.5])

    model.max_frames = None
    loaded["fusion"] = model
    answer = classify(store, {**two_people, **some_voice}, fusion="digest").json("predictions.json")
    fused = answer["fused"]
    assert calls == [(3, [0.0]), (1, [0.0])]  # only the window with speech
    assert (fused["method"], fused["weights"]) == ("trained", {"faces": 1.5, "sound": 0.5})
    p = np.exp(3) / (np.exp(3) + 6)
    late = classify(store, {**two_people, **some_voice}).json("predictions.json")
    by_hand = (0.75 * p + 0.25 * (1 - p) / 6 + late["fused"]["distribution"]["happy"]) / 2
    assert fused["distribution"]["happy"] == pytest.approx(by_hand, abs=1e-5)
    assert (late["fused"]["method"], late["settings"]["fusion"]) == ("late", "late")
    assert [late[part]["distribution"] for part in ("faces", "sound")] == [
        answer[part]["distribution"] for part in ("faces", "sound")
    ]


def test_the_trained_fusion_is_not_used_where_one_modality_is_missing(store, artifact, two_people):
    inputs = {**two_people, "audio": artifact("audio", status=Status.NO_AUDIO)}
    fused = classify(store, inputs, fusion="digest").json("predictions.json")["fused"]
    assert (fused["method"], fused["weights"]) == ("alone", {"faces": 1.0})


def test_a_fusion_model_without_gates_leaves_the_weights_of_the_product(store, two_people, sad_voice, loaded):
    def model(embeddings, vectors):
        return logits(HAPPY)[0], None

    model.max_frames = None
    loaded["fusion"] = model
    fused = classify(store, {**two_people, **sad_voice}, fusion="digest").json("predictions.json")["fused"]
    assert (fused["method"], fused["weights"]) == ("trained", {"faces": 1.0, "sound": 1.0})


@pytest.fixture
def three_people(artifact):
    """Faces 0 to 9: person 4 in the even ones but the last, person 7 in the odd ones, person 9 in the last even one."""
    track = np.array([4, 7, 4, 7, 4, 7, 4, 7, 9, 7])
    table = {"frame": np.arange(10), "time_s": np.arange(10) / 5, "track": track}
    table.update({name: np.ones(10) for name in (*MEASURES, "weight")})
    arrays = {"embeddings": np.arange(10, dtype=np.float32)[:, None], "logits": logits(*[NEUTRAL] * 10)}
    return {
        "faces": artifact("faces", {"faces.parquet": to_parquet(table)}, meta={"frames": 10, "faces": 10}),
        "finetune": artifact("finetune", {"embeddings.safetensors": arrays}, meta={"answers_changed": 0}),
        "denoise": artifact("denoise", meta=DENOISE),
    }


class OfFaces:
    """A stand-in for a faces model: it calls person 4 happy and others sad."""

    max_frames, reads = 3, ("frames",)

    def __init__(self):
        self.seen = []

    def __call__(self, faces):
        self.seen.append(faces["frames"][:, 0].tolist())
        return logits(HAPPY if faces["frames"][0, 0] == 0 else SAD)[0]


def test_a_faces_model_predicts_each_person_from_its_faces_spread_over_time(store, three_people, artifact, loaded):
    loaded["faces"] = model = OfFaces()
    inputs = {**three_people, "audio": artifact("audio", status=Status.NO_AUDIO)}
    done = classify(store, inputs, faces="digest", person_calibration=(2.0, 0.0))
    answer = done.json("predictions.json")
    assert model.seen == [[0.0, 4.0, 6.0], [1.0, 5.0, 9.0], [8.0]]
    assert [each["predominant"] for each in answer["people"]] == ["happy", "sad", "sad"]
    sure = np.exp(1.5) / (np.exp(1.5) + 6)  # 3 by the temperature of 2
    assert answer["people"][0]["distribution"]["happy"] == pytest.approx(sure)
    by_hand = 0.4 * sure + 0.6 * (1 - sure) / 6
    assert answer["faces"]["distribution"]["happy"] == pytest.approx(by_hand)
    assert answer["faces"]["vote"]["predominant"] == "neutral"  # the image model's
    neutral = done.arrays("probabilities.safetensors")["faces"][:, NEUTRAL]
    np.testing.assert_allclose(neutral, np.exp(3) / (np.exp(3) + 6))
    assert answer["settings"]["faces"] == "trained"


def test_pixels_for_a_faces_model_come_from_the_crops_of_each_person(store, faces, ran, artifact, loaded):
    seen = []

    def model(read):
        seen.append(read)
        return logits(HAPPY)[0]

    model.max_frames, model.reads = 2, ("image",)
    loaded["faces"] = model
    given, crops = faces(np.ones(258), track=np.array([5, 4] * 129))
    arrays = {"embeddings": np.zeros((258, 8), np.float32), "logits": logits(*[SAD] * 258)}
    inputs = {
        **{"faces": given, "denoise": artifact("denoise"), "audio": artifact("audio", status=Status.NO_AUDIO)},
        "finetune": artifact("finetune", {"embeddings.safetensors": arrays}),
    }
    done = ran(ClassifyStage(None, faces="digest"), inputs)
    assert done.json("predictions.json")["faces"]["predominant"] == "happy"
    for read, rows in zip(seen, ([1, 257], [0, 256]), strict=True):  # person 4, then person 5
        np.testing.assert_array_equal(read["image"], gray_faces(crops[rows]))
        assert read["landmarks"].shape == (2, 5, 2)


def test_the_vote_decides_persons_and_clip_where_it_is_asked_for(store, two_people, sad_voice):
    answer = classify(store, {**two_people, **sad_voice}, answer="vote").json("predictions.json")
    first, second = answer["people"]
    assert first["distribution"] == first["vote"]["distribution"]
    assert {name: share for name, share in first["distribution"].items() if share} == {
        "happy": pytest.approx(2 / 3), "sad": pytest.approx(1 / 3),
    }  # fmt: skip
    assert second["distribution"]["neutral"] == 1.0
    assert answer["faces"]["distribution"] == answer["faces"]["vote"]["distribution"]
    assert answer["faces"]["distribution"]["happy"] == 0.5
    assert answer["faces"]["margin"] == 0.25
    by_hand = product(*(list(answer[part]["distribution"].values()) for part in ("faces", "sound")))
    assert list(answer["fused"]["distribution"].values()) == pytest.approx(by_hand.tolist())
    assert answer["settings"]["faces"] == "vote"


def test_where_no_face_is_certain_no_class_has_a_vote_more(store, two_people, artifact):
    inputs = {**two_people, "audio": artifact("audio", status=Status.NO_AUDIO)}
    answer = classify(store, inputs, answer="vote", abstain=0.99).json("predictions.json")
    assert (answer["faces"]["predominant"], answer["fused"]["predominant"]) == ("uncertain", "uncertain")
    assert set(answer["faces"]["distribution"].values()) == {1 / 7}
    assert answer["faces"]["vote"]["distribution"] is None


def test_a_sequence_is_predicted_by_its_last_state(store, two_people, sad_voice, loaded):
    class InOrder(Heard):
        sequential = True

        def __call__(self, vectors):
            return logits(SAD, HAPPY)

    loaded["audio"] = InOrder()
    done = classify(store, {**two_people, **sad_voice})
    sound = done.json("predictions.json")["sound"]
    assert (sound["predominant"], sound["n_windows"]) == ("happy", 3)
    windows = done.arrays("probabilities.safetensors")["windows"]
    assert windows[[0, 2]].argmax(1).tolist() == [SAD, HAPPY]
    np.testing.assert_allclose(windows[2], list(sound["distribution"].values()))


def test_without_a_model_of_sound_the_faces_predict_alone_and_that_is_said(store, two_people, sad_voice):
    inputs = {**two_people, **sad_voice}
    done = classify(store, inputs, sound=None)
    answer = done.json("predictions.json")
    assert (answer["sound"]["status"], answer["sound"]["distribution"]) == ("no_model", None)
    assert "--audio-model" in answer["sound"]["message"]
    assert answer["fused"]["modalities"] == ["faces"]
    windows = read_report(report(store, {**inputs, "classify": done})).windows
    assert windows["status"].tolist() == ["no_model", "silent", "no_model"]


def test_quality_weighs_the_faces_of_a_person(store, two_people, sad_voice):
    """By hand: log-probabilities are affine in the logits, so weights 1, 1, 0.1 give 3 * 2 / 2.1 for happy."""
    person = classify(store, {**two_people, **sad_voice}, pool="mean").json("predictions.json")["people"][0]
    z = np.zeros(7)
    z[HAPPY], z[SAD] = 3.0 * 2 / 2.1, 3.0 * 0.1 / 2.1
    expected = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(list(person["distribution"].values()), expected, atol=1e-5)


def test_the_third_with_most_expression_is_pooled_for_a_person(store, artifact, sad_voice):
    """Happy for a second and a half of four: neutral by the mean, happy by the peaks."""
    peaks = [HAPPY if 5 <= place < 13 else NEUTRAL for place in range(20)]
    table = {"frame": np.arange(20), "time_s": 0.2 * np.arange(20), "track": np.zeros(20, int)}
    table.update({name: np.ones(20) for name in (*MEASURES, "weight")})
    arrays = {"embeddings": np.zeros((20, 8), np.float32), "logits": logits(*peaks)}
    inputs = {
        "faces": artifact("faces", {"faces.parquet": to_parquet(table)}, meta={"frames": 20, "faces": 20}),
        "finetune": artifact("finetune", {"embeddings.safetensors": arrays}, meta={"answers_changed": 0}),
        "denoise": artifact("denoise", meta=DENOISE),
        **sad_voice,
    }
    named = {
        rule: classify(store, inputs, pool=rule).json("predictions.json")["faces"]["predominant"]
        for rule in ("mean", "peaks")
    }
    assert named == {"mean": "neutral", "peaks": "happy"}


def test_temperature_and_prior_by_hand(store, two_people, sad_voice):
    shares = (0.14, 0.01, 0.14, 0.25, 0.16, 0.12, 0.18)
    done = classify(store, {**two_people, **sad_voice}, face_calibration=(2.0, 0.0), class_shares=shares)
    raised = np.exp(logits(HAPPY, HAPPY, SAD, NEUTRAL) / 2) / np.sqrt(shares)
    expected = raised / raised.sum(1, keepdims=True)
    np.testing.assert_allclose(done.arrays("probabilities.safetensors")["faces"], expected, rtol=1e-5)
    settings = done.json("predictions.json")["settings"]
    assert (settings["temperature"], settings["prior"], settings["notes"]) == (2.0, "uniform", [])
    assert [settings[name] for name in ("sound", "face_weight", "sound_weight")] == ["pool", 1.0, 1.0]
    left = classify(store, {**two_people, **sad_voice}, face_calibration=(2.0, 0.0))
    assert left.json("predictions.json")["settings"]["prior"] == "training"
    raised = np.exp(logits(HAPPY, HAPPY, SAD, NEUTRAL) / 2)
    expected = raised / raised.sum(1, keepdims=True)
    np.testing.assert_allclose(left.arrays("probabilities.safetensors")["faces"], expected, rtol=1e-5)


def test_uncertain_predictions_are_named_so_and_keep_their_distribution(store, two_people, sad_voice, artifact):
    """Frames have 0.77 for their peak; the fused prediction, of happy faces and a sad voice, has less."""
    inputs = {**two_people, **sad_voice, "denoise": artifact("denoise", meta=DENOISE)}
    plain, strict, strictest = (
        classify(store, inputs, abstain=threshold).json("predictions.json") for threshold in (None, 0.7, 0.99)
    )
    assert [plain["faces"]["n_uncertain"], strict["faces"]["n_uncertain"], strictest["faces"]["n_uncertain"]] == [
        0,
        0,
        4,
    ]
    assert strict["people"][1]["predominant"] == "neutral"
    assert strict["fused"]["predominant"] == "uncertain"
    for one in (strict, strictest):
        assert one["fused"]["distribution"] == plain["fused"]["distribution"]
        assert one["fused"]["margin"] == plain["fused"]["margin"]
    assert strict["faces"]["vote"] == plain["faces"]["vote"]
    assert strictest["people"][0]["vote"] == {"predominant": "uncertain", "margin": None, "distribution": None}
    done = report(store, {**inputs, "classify": classify(store, inputs, abstain=0.99)})
    written = read_report(done)
    assert written.frames["expression"].tolist() == ["uncertain"] * 4
    assert written.windows["expression"].tolist() == ["uncertain", pd.NA, "uncertain"]
    people = written.people
    assert people[["n_faces", "n_uncertain"]].to_numpy().tolist() == [[3, 3], [1, 1]]
    assert people["vote"].tolist() == ["uncertain", "uncertain"]
    assert people["vote_happy"].isna().all()
    assert json.loads((done.path / "summary.json").read_text())["settings"]["abstain"] == 0.99


def test_uncertain_faces_do_not_vote(store, artifact, two_people, sad_voice):
    values = np.vstack([logits(SAD, SAD, height=1.0), logits(HAPPY, NEUTRAL)])
    arrays = {"embeddings": np.zeros((4, 8), np.float32), "logits": values}
    finetune = artifact("finetune", {"embeddings.safetensors": arrays}, Status.PARTIAL)  # another key than two_people's
    inputs = {**two_people, **sad_voice, "finetune": finetune}
    first = classify(store, inputs, abstain=0.5).json("predictions.json")["people"][0]
    assert (first["n_faces"], first["n_uncertain"]) == (3, 2)
    assert (first["vote"]["predominant"], first["vote"]["distribution"]["happy"]) == ("happy", 1.0)
    assert classify(store, inputs).json("predictions.json")["people"][0]["vote"]["predominant"] == "sad"


def test_sound_alone(store, artifact, sad_voice):
    faces = artifact("faces", status=Status.NO_VIDEO, message="no pictures")
    finetune = artifact("finetune", status=Status.NO_VIDEO)
    denoise = artifact("denoise", status=Status.NO_VIDEO)
    done = classify(store, {"faces": faces, "denoise": denoise, "finetune": finetune, **sad_voice})
    answer = done.json("predictions.json")
    assert done.status is Status.NO_VIDEO
    assert (answer["faces"]["status"], answer["faces"]["distribution"]) == ("no_video", None)
    assert answer["fused"]["modalities"] == ["sound"]
    assert answer["fused"]["distribution"] == pytest.approx(answer["sound"]["distribution"], abs=1e-5)


def test_faces_alone(store, artifact, two_people):
    answer = classify(store, {**two_people, "audio": artifact("audio", status=Status.NO_AUDIO)}).json(
        "predictions.json"
    )
    assert answer["sound"]["status"] == "no_audio"
    assert answer["fused"]["modalities"] == ["faces"]
    assert answer["fused"]["distribution"] == pytest.approx(answer["faces"]["distribution"], abs=1e-5)


def test_nothing_at_all(store, artifact):
    inputs = {
        "faces": artifact("faces", status=Status.NO_FACE),
        "denoise": artifact("denoise", status=Status.NO_FACE),
        "finetune": artifact("finetune", status=Status.NO_FACE),
        "audio": artifact("audio", status=Status.SILENT),
    }
    fused = classify(store, inputs).json("predictions.json")["fused"]
    assert (fused["status"], fused["predominant"], fused["modalities"]) == ("no_face", None, [])
    assert "no_face" in fused["message"]
    assert "silent" in fused["message"]


def report(store, inputs):
    stage, inputs = ReportStage(), {"probe": probed(store), **inputs}
    recipe = stage.recipe("s", {name: inputs[name].key for name in stage.inputs})
    with store.draft("report", recipe_key(recipe)) as draft:
        stage.run(Path("clip.mp4"), inputs, draft, lambda _share: None)
        return store.publish(draft.seal(recipe))


def test_the_tables_hold_the_predictions(store, artifact, two_people, sad_voice):
    inputs = {**two_people, **sad_voice, "denoise": artifact("denoise", meta=DENOISE)}
    done = report(store, {**inputs, "classify": classify(store, inputs)})
    written = read_report(done)
    frames = written.frames
    assert frames["expression"].tolist() == ["happy", "happy", "sad", "neutral"]
    assert frames["person"].tolist() == [1, 1, 1, 2]
    assert frames["smooth_expression"].tolist() == ["happy", "happy", "happy", "neutral"]
    assert frames["face_size"].tolist() == [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(frames[list(EMOTIONS)].sum(axis=1), 1, atol=1e-5)
    assert {"clip_id", "person_id", "track", "size"}.isdisjoint(frames.columns)
    windows = written.windows
    assert windows["status"].tolist() == ["ok", "silent", "ok"]
    assert windows["sad"].isna().tolist() == [False, True, False]
    people = written.people
    assert people["predominant"].tolist() == ["happy", "neutral"]
    assert people[["person", "n_unusable", "best_s"]].to_numpy().tolist() == [[1, 1, 0.0], [2, 0, 0.4]]
    shown = {person: cv2.imdecode(np.frombuffer(data, np.uint8), 1) for person, data in written.pictures.faces.items()}
    assert {person: (image.shape, image.mean()) for person, image in shown.items()} == {
        1: ((160, 160, 3), 0.0),
        2: ((160, 160, 3), 180.0),
    }
    strips = {
        person: cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape for person, data in written.pictures.strips.items()
    }
    assert strips == {1: (64, 192, 3), 2: (64, 64, 3)}
    summary = json.loads((done.path / "summary.json").read_text())
    assert [len(person["strip_s"]) for person in summary["people"]] == [3, 1]
    assert summary["predominant"] == summary["fused"]["predominant"]
    assert summary["denoise"] == {**DENOISE, "answers_changed": 0}
    assert frames["denoised"].tolist() == [False] * 4
    assert [person["person"] for person in summary["people"]] == [1, 2]
    assert set(summary["provenance"]["stages"]) == {"probe", "faces", "denoise", "finetune", "audio", "classify"}


def test_the_summary_names_what_the_file_is(store, artifact, two_people, sad_voice):
    inputs = {**two_people, **sad_voice}
    media = report(store, {**inputs, "classify": classify(store, inputs)}).json("summary.json")["media"]
    assert media == {
        **{"duration_s": 0.6, "fps": 25.0, "width": 640, "height": 360, "container": "mov", "codec": "h264"},
        **{"rotation": 0, "audio_codec": "aac", "sampling_rate": 48000, "channels": 2, "loudness": None},
        **{"recorded_at": "2024-05-01T10:00:00Z", "step_s": pytest.approx(0.2), "cuts_s": [], "notes": []},
    }
    unknown = {**inputs, "probe": probed(store, Status.CORRUPT, "why")}
    done = report(store, {**unknown, "classify": classify(store, inputs)})
    assert done.json("summary.json")["media"] == {**NO_MEDIA, "cuts_s": [], "notes": []}


def test_the_tables_of_nothing_have_their_columns(store, artifact, two_people, sad_voice):
    inputs = {name: artifact(name, status=Status.NO_VIDEO) for name in ("faces", "denoise", "finetune")}
    inputs["audio"] = artifact("audio", status=Status.NO_AUDIO)
    nothing = read_report(report(store, {**inputs, "classify": classify(store, inputs)}))
    full = {**two_people, **sad_voice, "denoise": inputs["denoise"]}
    something = read_report(report(store, {**full, "classify": classify(store, full)}))
    for name in ("frames", "people", "windows"):
        rows = getattr(nothing, name)
        assert len(rows) == 0
        assert rows.dtypes.equals(getattr(something, name).dtypes)
