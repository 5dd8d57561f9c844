import wave
from itertools import combinations

import numpy as np
import pytest
import torch

from vidfer.datamodules.features import (
    FeatureOptions,
    FeatureReader,
    Sample,
    Variant,
    collate_clips,
)
from vidfer.media.align import TEMPLATE
from vidfer.media.audio import read_windows
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.clip_faces import EDGE
from vidfer.stages.fitting import audio_stage
from vidfer.types import ClipError, Status, VidferError
from vidfer.weights.files import weights_digest


def sample(frames, windows, target=0):
    features = {"frames": torch.randn(frames, 6), "sound": torch.randn(windows, 9)}
    return Sample("x", None, target, features)


def test_clips_are_padded_and_the_masks_say_where():
    samples = [sample(2, 1, 3), sample(0, 3, 5), sample(4, 0)]
    batch = collate_clips(samples)
    assert batch["frame_mask"].sum(1).tolist() == [2, 0, 4]
    assert batch["sound_mask"].sum(1).tolist() == [1, 3, 0]
    assert batch["target"].tolist() == [3, 5, 0]
    for row, each in enumerate(samples):
        assert torch.equal(batch["frames"][row][batch["frame_mask"][row]], each.features["frames"])
        assert torch.equal(batch["sound"][row][batch["sound_mask"][row]], each.features["sound"])
    assert not batch["frames"][~batch["frame_mask"]].any()


def test_faces_are_standardised_one_by_one():
    faces = torch.randint(0, 256, (2, EDGE, EDGE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = {"image": faces, "landmarks": torch.zeros(2, 5, 2)}
    dark = {"image": (faces.float() * 0.5).to(torch.uint8), "landmarks": torch.zeros(2, 5, 2)}
    batch = collate_clips([Sample("a", None, 0, features), Sample("b", None, 0, dark)])
    assert batch["image"].shape == (2, 2, 1, EDGE, EDGE)
    torch.testing.assert_close(batch["image"][0], batch["image"][1], atol=0.05, rtol=0)  # half the light, the same face


@pytest.fixture
def read(tmp_path):
    """Read some features of a clip, by a store of the test's own."""

    def of(clip, *reads, speed=1.0, **options):
        return FeatureReader(
            FeatureOptions(store=str(tmp_path / "store"), **options), reads or ["sound"], Variant(speed)
        )(clip)

    return of


def write_tone(path, hertz, seconds=0.4, rate=16000, channels=1):
    time = np.arange(round(seconds * rate)) / rate
    samples = (np.sin(2 * np.pi * hertz * time) * 9000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, channels).tobytes())
    return path


def test_a_real_clip_gives_all_that_is_asked_for(data_dir, read):
    clip = data_dir / "ravdess_av" / "clips_from_frames" / "01-01-03-01-01-01-01.mp4"
    found, faults = read(clip, "frames", "image", "sound", max_frames=5)
    assert faults == []
    assert found["frames"].shape == (5, 128)
    assert found["image"].shape == (5, 48, 48)
    assert found["sound"].shape[1] == 1582
    assert (found["landmarks"] - torch.tensor(TEMPLATE)).abs().max() < 0.1


def test_a_sound_file_has_sound_and_no_faces(sounds_root, read):
    path = next(iter(sorted(sounds_root.rglob("*.wav"))))
    found, faults = read(path, "frames", "sound", voice=False)
    assert (set(found), [fault.status for fault in faults]) == ({"sound"}, ["no_video"])
    with pytest.raises(ClipError) as caught:
        read(path, "frames")
    assert caught.value.status == "no_video"


def test_training_and_analysis_share_what_they_compute(tmp_path, read, monkeypatch):
    clip, store = write_tone(tmp_path / "a.wav", 200), Store(tmp_path / "store")
    with finished(build_chain(ChainOptions()), "audio", clip, store):
        pass
    loudness = audio_stage("voice").loudness
    expected = read_windows(clip, loudness=loudness).vectors
    monkeypatch.setattr("vidfer.stages.audio.read_windows", None)  # a second computation would fail
    for name in ("a.wav", "b.wav"):
        clip = clip.rename(tmp_path / name)
        np.testing.assert_array_equal(read(clip, voice=False, loudness=loudness)[0]["sound"], expected)


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (8000, 1)])
def test_sound_at_another_speed_is_that_of_the_samples_at_another_rate(tmp_path, read, rate, channels):
    clip = write_tone(tmp_path / "a.wav", 200, 0.5, rate, channels)
    faster = write_tone(tmp_path / "b.wav", 250, 0.4, round(1.25 * rate), channels)  # the same samples
    assert clip.read_bytes()[44:] == faster.read_bytes()[44:]
    plain = read(clip, voice=False)[0]["sound"]
    slow = read(clip, voice=False, speed=0.8)[0]["sound"]
    played = read(clip, voice=False, speed=1.25)[0]["sound"]
    np.testing.assert_array_equal(played, read(faster, voice=False)[0]["sound"])
    assert not any(torch.equal(*pair) for pair in combinations((slow, plain, played), 2))  # each speed is an artifact
    assert torch.equal(read(clip, voice=False)[0]["sound"], plain)


def test_other_image_weights_give_other_embeddings(data_dir, read, image_weights):
    clip = data_dir / "ravdess_av" / "clips_from_frames" / "01-01-03-01-01-01-01.mp4"
    one, other = (read(clip, "frames", image_model=model)[0]["frames"] for model in ("compact", str(image_weights)))
    assert one.shape == other.shape
    assert not torch.allclose(one, other, atol=0.1)


def test_the_image_weights_of_the_configuration_enter_the_key(image_weights):
    reader = FeatureReader(FeatureOptions(image_model=str(image_weights)), ["frames"])
    (finetune,) = (stage for stage in reader._chain if stage.name == "finetune")
    assert finetune.recipe("", {"faces": "", "denoise": ""})["params"]["weights"] == weights_digest(
        "image", str(image_weights)
    )
    assert finetune.image_model == str(image_weights)


def test_silence_is_an_error_with_its_status(tmp_path, read):
    with pytest.raises(ClipError) as caught:
        read(write_tone(tmp_path / "a.wav", 0))
    assert caught.value.status == Status.SILENT


def test_windows_without_speech_are_left_out_unless_all_are_wanted(tmp_path, data_dir, read):
    tone = write_tone(tmp_path / "a.wav", 200)
    with pytest.raises(ClipError) as caught:
        read(tone)
    assert caught.value.status == Status.NO_VOICE
    assert read(tone, voice=False)[0]["sound"].shape == (1, 1582)
    talk = data_dir / "clips/eamm_samples/M030_sad_3_001.mp4"
    assert torch.equal(read(talk)[0]["sound"], read(talk, voice=False)[0]["sound"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"standardise": "none"}, "'none' is none of global, speaker"),
        ({"max_frames": 0}, "max_frames has to be at least 1"),
        ({"hop_dur": 3.0}, "hop_dur above 0 and at most win_dur"),
        ({"speeds": [1.0, 5.0]}, "speeds have to be from 0.25 to 4"),
        ({"augment": ["noise", "echo"]}, "augment 'echo' is none of gain, noise"),
        ({"loudness": 3.0}, "loudness has to be from -70 to 0 LUFS"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(VidferError, match=said):
        FeatureOptions(**options)
