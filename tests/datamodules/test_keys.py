"""Every key of a configuration of clips stands flat below `data.init_args`, whichever class it comes from."""

import jsonargparse
import lightning
import pytest

CLIPS = {
    "root": "there", "train_people": "1", "val_people": "2", "test_people": "3", "folds": 3, "fold": 1, "win_dur": 1.5,
    "hop_dur": 0.5, "voice": False, "speeds": [0.9, 1.0], "loudness": -30.0, "augment": ["noise"], "image_model": "other",
    "size": 7, "unlabelled": True, "batch_size": 4, "seed": 5, "store": "kept", "reads": ["sound"],
}  # fmt: skip
PAIRED = {
    "faces_root": "faces", "frames": 5, "neutral_share": 0.5, "pairings": 2, "val_share": 0.1, "test_split": "private_test",
    "pairing_seed": 3,
}  # fmt: skip
FIXED_IN_SAMPLE = ("faces_root", "voice")
SAMPLE = {name: value for name, value in {**CLIPS, **PAIRED}.items() if name not in FIXED_IN_SAMPLE}
KEYS = {
    "clips.ClipDataModule": {**CLIPS, "data": "crema_d", "max_frames": 5, "standardise": "speaker"},
    "clips.SampleSoundsDataModule": CLIPS,
    "paired.PairedDataModule": {**CLIPS, **PAIRED},
    "paired.SamplePairedDataModule": SAMPLE,
}


@pytest.mark.parametrize("kind", KEYS)
def test_every_key_is_taken_and_kept_with_the_settings(kind):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(lightning.LightningDataModule, "data", required=True)
    chosen = {"class_path": f"vidfer.datamodules.{kind}", "init_args": KEYS[kind]}
    parsed = parser.parse_object({"data": chosen})
    module = parser.instantiate(parsed).data
    assert {name: module.hparams[name] for name in KEYS[kind]} == KEYS[kind]
    if kind.endswith("SamplePairedDataModule"):
        assert not module.features.voice
    wrong = {**chosen, "init_args": {"windur": 1.0}}
    with pytest.raises(jsonargparse.ArgumentError, match="windur"):
        parser.parse_object({"data": wrong})
