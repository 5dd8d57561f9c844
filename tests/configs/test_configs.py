"""Every configuration once through the real command line, on generated data."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from vidfer.cli.train import VidferCLI
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.models.classifiers import classifier_names
from vidfer.tasks.fit import RECIPES
from vidfer.weights.files import find_weights

CONFIGS = Path("configs")


@pytest.fixture
def run(tmp_path):
    def run(*args, batches="true"):
        return VidferCLI(
            args=["fit", *map(str, args), f"--trainer.default_root_dir={tmp_path}", f"--trainer.fast_dev_run={batches}",
                  "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
        )  # fmt: skip

    return run


@pytest.mark.parametrize("data", ["fer2013", "sample_faces"])
def test_finetune_compact(run, faces_root, data):
    cli = run(
        "--config=configs/finetune_compact.yaml", f"--data=configs/data/{data}.yaml",
        f"--data.init_args.root={faces_root}", "--data.init_args.batch_size=8", "--data.init_args.val_share=0.2",
    )  # fmt: skip
    assert cli.trainer.global_step == 1


def test_finetune_on_faces_of_clips(run, faces_root, tmp_path):
    for name, seconds in (("a", 0.6), ("b", 0.8), ("c", 1.0)):
        write_demo_clip(tmp_path / f"{name}.mp4", seconds=seconds)
    (tmp_path / "clips.csv").write_text("path,label,person\na.mp4,happy,a\nb.mp4,sad,b\nc.mp4,sad,c\n")
    cli = run(
        "--config=configs/finetune_compact.yaml", "--data=configs/data/clip_faces.yaml", "--data.init_args.batch_size=8",
        f"--data.init_args.root={faces_root}", f"--data.init_args.data={tmp_path / 'clips.csv'}",
        f"--data.init_args.store={tmp_path / 'store'}",
    )  # fmt: skip
    assert cli.trainer.global_step == 1
    assert {split: len(clips) for split, clips in cli.datamodule.splits().items()} == {"train": 1, "val": 1, "test": 1}


def test_finetune_on_soft_labels(run, soft_root):
    cli = run(
        "--config=configs/finetune_faces.yaml", f"--data.init_args.root={soft_root / 'fer2013'}",
        f"--data.init_args.wild_root={soft_root / 'wild'}", "--data.init_args.batch_size=8", "--data.init_args.val_persons=5",
    )  # fmt: skip
    assert cli.trainer.global_step == 1
    assert {"val_fer2013_acc", "val_ferplus_acc", "val_video_recall"} <= set(cli.trainer.callback_metrics)


def test_finetune_as_in_the_paper(run, faces_root, tmp_path):
    save_file(timm.create_model("inception_resnet_v2").state_dict(), tmp_path / "imagenet.safetensors")
    cli = run(
        "--config=configs/finetune.yaml", f"--data.init_args.root={faces_root}", "--data.init_args.batch_size=2",
        f"--model.init_args.pretrained={tmp_path / 'imagenet.safetensors'}", "--data.init_args.image_size=107",
    )  # fmt: skip
    assert cli.trainer.global_step == 1
    assert cli.model.schedule.phases == ((30000, 0.01), (2000, 0.0001))


def test_a_second_cycle_starts_from_the_firsts_weights(run, faces_root, image_weights):
    cli = run(
        "--config=configs/finetune_compact.yaml", f"--data.init_args.root={faces_root}",
        f"--model.init_args.weights={image_weights}", "--data.init_args.batch_size=8", "--data.init_args.val_share=0.2",
        "--model.init_args.lr=1e-9", "--model.init_args.weight_decay=0",
    )  # fmt: skip
    start = find_weights("image", image_weights).tensors()["stem.0.weight"]
    torch.testing.assert_close(cli.model.backbone.stem[0].weight.detach(), start)


VOICES = ("--data.init_args.train_people=1", "--data.init_args.val_people=2", "--data.init_args.test_people=3")
SEEN = ("cnn", "rcnn", "lstm", "rnn", "fusion")


def test_classify_on_three_corpora_at_speeds_and_spoilt(run, sounds_root, vectors_store, tmp_path):
    sounds = sorted(sounds_root.rglob("*.wav"))
    names = {
        "ravdess": ["03-01-05-01-01-01-02.wav", "03-01-04-01-01-01-03.wav"],
        "nemo": ["EB0_anger_1.wav"],
        "ased": ["s4-01-01-01-01.wav"],
    }
    for corpus, files in names.items():
        (tmp_path / corpus).mkdir()
        for name in files:
            shutil.copy(sounds.pop(), tmp_path / corpus / name)
    cli = run(
        "--config=configs/classify.yaml", "--data=configs/data/speech.yaml", f"--data.init_args.store={vectors_store}",
        f"--data.init_args.data={','.join(str(tmp_path / corpus) for corpus in names)}",
        "--data.init_args.train_people=ravdess-2,nemo,ased", "--data.init_args.test_people=ravdess-3",
        "--data.init_args.augment=[room+noise,noise+codec,room+codec]",
    )  # fmt: skip
    assert cli.trainer.global_step == 1
    copies = [sample.name for sample in cli.datamodule.samples["train"]]
    assert sorted(copies) == sorted(
        6 * [names["ravdess"][0], *names["nemo"], *names["ased"]]
    )  # 3 speeds, 3 ways to spoil


@pytest.mark.parametrize("data", ["ravdess", "sample_sounds"])
def test_classify(run, sounds_root, vectors_store, data):
    cli = run(
        "--config=configs/classify.yaml", f"--data=configs/data/{data}.yaml", f"--data.init_args.root={sounds_root}",
        f"--data.init_args.store={vectors_store}", *VOICES, "--data.init_args.speeds=[1.0]", "--data.init_args.voice=false",
    )  # fmt: skip
    assert cli.trainer.global_step == 1


@pytest.mark.parametrize("classifier", RECIPES)
def test_every_classifier(run, sounds_root, faces_root, vectors_store, classifier):
    data = "paired" if classifier in SEEN else "sample_sounds"
    extra = [f"--data.init_args.faces_root={faces_root}", "--data.init_args.val_people="] if classifier in SEEN else []
    cli = run(
        "--config=configs/classify.yaml", f"--config=configs/classifiers/{classifier}.yaml", f"--data=configs/data/{data}.yaml",
        f"--data.init_args.root={sounds_root}", f"--data.init_args.store={vectors_store}", *VOICES,
        "--data.init_args.voice=false", *extra,
    )  # fmt: skip
    assert cli.trainer.global_step == 1
    recipe = RECIPES[classifier]
    assert recipe.classifier == classifier
    assert recipe.task().hparams.items() <= cli.model.hparams.items()  # nothing of the shipped committee's is left
    assert recipe.epochs == cli.config.fit.trainer.max_epochs


@pytest.mark.parametrize(
    ("chosen", "speeds", "voice"),
    [
        ((), [0.8, 0.9, 1.0, 1.1, 1.2], False),
        (("gan", "ravdess"), None, True),
        (("fusion", "paired"), [0.9, 1.0, 1.1], True),
    ],
)
def test_a_classifier_brings_its_own_playing_speeds_and_windows(chosen, speeds, voice):
    files = [f"--{kind}=configs/{folder}/{name}.yaml" for (kind, folder), name in zip(PLACES, chosen, strict=False)]
    features = VidferCLI(args=["--config=configs/classify.yaml", *files], run=False).datamodule.features
    assert (features.speeds, features.voice) == (speeds, voice)


PLACES = (("config", "classifiers"), ("data", "data"))


def test_classify_on_sample_pairs(run, sounds_root, faces_root, vectors_store, tmp_path):
    for name, root in (("sounds", sounds_root), ("faces", faces_root)):
        shutil.copytree(root, tmp_path / "sample" / name)
    cli = run(
        "--config=configs/classify.yaml", "--config=configs/classifiers/fusion.yaml", "--data=configs/data/sample_paired.yaml",
        f"--data.init_args.root={tmp_path / 'sample'}", f"--data.init_args.store={vectors_store}",
        "--data.init_args.train_people=1", "--data.init_args.test_people=2",
    )  # fmt: skip
    assert cli.trainer.global_step == 1


def clip_data():
    parsed = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONFIGS.glob("data/*.yaml"))}
    return {
        name: data["init_args"]
        for name, data in parsed.items()
        if ".clips." in data["class_path"] or ".paired." in data["class_path"]
    }


@pytest.mark.parametrize("data", clip_data())
def test_clip_data_name_their_own_people(data):
    """Else the people of `configs/classify.yaml`, actors of RAVDESS, would stay."""
    assert {"train_people", "test_people"} <= set(clip_data()[data])


@pytest.mark.parametrize(
    ("data", "places"),
    [
        ("crema_d", ["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_DFA_SAD_XX.wav"]),
        ("afew", ["Train_AFEW/Angry/1.wav", "Val_AFEW/Sad/2.wav"]),
        ("folders", ["train/angry/1.wav", "test/sad/2.wav"]),
        ("manifest", ["1.wav", "2.wav"]),
    ],
)
def test_classify_on_other_layouts(run, sounds_root, tmp_path, vectors_store, data, places):
    sounds = sorted(sounds_root.rglob("*.wav"))
    for sound, place in zip((sounds[0], sounds[-1]), places, strict=True):
        (tmp_path / data / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sound, tmp_path / data / place)
    (tmp_path / data / "list.csv").write_text("path,label,split\n1.wav,angry,train\n2.wav,sad,test\n")
    root = tmp_path / data / "list.csv" if data == "manifest" else tmp_path / data
    people = ["--data.init_args.train_people=1001", "--data.init_args.val_people=", "--data.init_args.test_people=1002"]
    cli = run(
        "--config=configs/classify.yaml", f"--data=configs/data/{data}.yaml", f"--data.init_args.root={root}",
        f"--data.init_args.store={vectors_store}", "--data.init_args.voice=false", "--data.init_args.speeds=[1.0]",
        *(people if data == "crema_d" else []),
    )  # fmt: skip
    assert cli.trainer.global_step == 1


@pytest.mark.parametrize("config", ["denoise", "denoise_bsds", "denoise_bsds_gan"])
def test_denoise(run, config):
    weights = ["--model.init_args.weights=small"] if config.endswith("gan") else []
    cli = run(
        f"--config=configs/{config}.yaml", "--data.init_args.root=sample", "--data.init_args.batch_size=2", *weights
    )
    assert cli.model.batches == 1


@pytest.mark.parametrize(("data", "folders"), [("photos", (".",)), ("div2k", ("DIV2K_train_HR", "DIV2K_valid_HR"))])
def test_denoise_on_photographs(run, tmp_path, data, folders):
    for number, folder in zip(("0001", "0801"), 2 * folders, strict=False):
        (tmp_path / "photos" / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((64, 70, 3), (10, 20, 30), np.uint8)).save(
            tmp_path / "photos" / folder / f"{number}.png"
        )
    cli = run(
        "--config=configs/denoise.yaml", f"--data=configs/data/{data}.yaml", "--data.init_args.batch_size=2",
        f"--data.init_args.root={tmp_path / 'photos'}",
    )  # fmt: skip
    assert cli.trainer.global_step == 1
    assert cli.datamodule.crops_per_epoch == 16000


SLURM = {"NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0", "NTASKS_PER_NODE": "1", "JOB_ID": "1",
         "NODELIST": "localhost", "JOB_NAME": "test"}  # fmt: skip


@pytest.fixture
def trained(run, faces_root, sounds_root, vectors_store, monkeypatch):
    """Run a few steps of a stage with a trainer's configuration, on the processor and in this process."""

    def start(stage, trainer):
        data = {
            "denoise": ["--config=configs/denoise.yaml", "--data.init_args.batch_size=2", "--model.init_args.warmup_share=0.3",
                        "--model.init_args.n_critic=2", "--model.init_args.critic_width=2"],
            "finetune": ["--config=configs/finetune_compact.yaml", f"--data.init_args.root={faces_root}",
                         "--data.init_args.batch_size=8", "--data.init_args.val_share=0.2"],
            "classify": ["--config=configs/classify.yaml", "--data=configs/data/sample_sounds.yaml", *VOICES,
                         f"--data.init_args.root={sounds_root}", f"--data.init_args.store={vectors_store}",
                         "--data.init_args.batch_size=4"],
        }  # fmt: skip
        plain = [
            "--trainer.devices=1",
            "--trainer.num_nodes=1",
            "--trainer.precision=32-true",
            "--trainer.sync_batchnorm=false",
        ]
        for name, value in SLURM.items() if trainer == "slurm" else ():
            monkeypatch.setenv(f"SLURM_{name}", value)
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        return run(*data[stage], f"--trainer=configs/trainer/{trainer}.yaml", *plain, batches=4)

    yield start
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("stage", ["denoise", "finetune", "classify"])
@pytest.mark.parametrize("trainer", ["cpu", "gpu", "ddp", "slurm"])
def test_every_trainer_starts_every_stage(trained, stage, trainer):
    cli = trained(stage, trainer)
    assert cli.trainer.global_step == 4
    if stage == "denoise":
        assert (cli.model.generator_steps, cli.model.critic_steps) == (2, 2)
    assert ("ddp" in str(type(cli.trainer.strategy)).lower()) == (trainer in ("ddp", "slurm"))


@pytest.mark.parametrize("name", ["cpu", "gpu", "ddp", "slurm"])
def test_trainers_are_understood(name, capsys):
    with pytest.raises(SystemExit) as ended:
        VidferCLI(
            args=["fit", "--config=configs/denoise.yaml", f"--trainer=configs/trainer/{name}.yaml", "--print_config"]
        )
    assert ended.value.code in (0, None)
    assert "precision: " in capsys.readouterr().out


def test_every_file_is_met_above():
    met = {
        "finetune.yaml",
        "finetune_compact.yaml",
        "finetune_faces.yaml",
        "classify.yaml",
        "denoise.yaml",
        "denoise_bsds.yaml",
        "denoise_bsds_gan.yaml",
    }
    met |= {
        f"data/{name}.yaml"
        for name in ("div2k", "fer2013", "photos", "ravdess", "speech", "sample_faces", "sample_sounds")
    }
    met |= {
        f"data/{name}.yaml"
        for name in ("crema_d", "afew", "folders", "manifest", "clip_faces", "paired", "sample_paired")
    }
    met |= {f"classifiers/{name}.yaml" for name in classifier_names()}
    met |= {
        "wandb.yaml",
        *(f"sweeps/{stage}.yaml" for stage in ("denoise", "finetune", "classify", "fusion")),
    }  # tests/*/test_wandb, test_sweeps
    met |= {
        f"pipeline{name}.yaml"
        for name in ("", "_sample", "_compact", "_paper", "_videos", "_faces", "_voice", "_fusion", "_shipped")
    }  # tests/training
    met |= {f"trainer/{name}.yaml" for name in ("cpu", "gpu", "ddp", "slurm")}
    found = [*CONFIGS.rglob("*.yaml"), *CONFIGS.glob("classifiers/*.yaml")]  # which is a link
    assert {path.relative_to(CONFIGS).as_posix() for path in found} == met
