"""The whole chain on clips made here, with the shipped weights."""

import csv
import json
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vidfer import analyze
from vidfer.cli.main import main
from vidfer.datasets.synthetic import _voice, write_demo_clip
from vidfer.pipeline.runner import plan
from vidfer.pipeline.stage import Stage
from vidfer.pipeline.store import Store
from vidfer.results.clip_folder import OF_FOLDER
from vidfer.results.schema import SCHEMA_VERSION
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.types import EMOTIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("analyze")


@pytest.fixture(scope="module")
def clip(folder):
    path = folder / "clips" / "astronaut.mp4"
    write_demo_clip(path, seconds=2.5)
    return path


@pytest.fixture(scope="module")
def store(folder):
    return folder / "store"


@pytest.fixture(scope="module")
def result(clip, store):
    return analyze(clip, store=store)


@pytest.fixture
def idle(monkeypatch):
    """Make any stage that computes fail the test."""

    def refuse(self, *_):
        raise AssertionError(f"stage {self.name} computed")

    for stage in build_chain(ChainOptions()):
        monkeypatch.setattr(type(stage), "run", refuse)


def states(clip, store, **options):
    steps = plan(build_chain(ChainOptions(**options)), "report", clip, Store(store))
    return {step.stage.name: step.state for step in steps}


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_she_smiles(result):
    assert result.status == "ok"
    assert result.predominant == "happy"
    assert result.summary["faces"]["predominant"] == "happy"
    assert result.summary["faces"]["vote"]["predominant"] == "happy"
    assert 0 < result.margin <= 1


def test_the_summary_holds_what_it_promises(result, clip):
    summary = result.summary
    assert set(summary) >= {
        "clip",
        "status",
        "predominant",
        "margin",
        "faces",
        "sound",
        "fused",
        "people",
        "settings",
        "provenance",
    }
    assert summary["clip"] == str(clip)
    for part in ("faces", "sound", "fused"):
        assert summary[part]["status"] == "ok"
        assert list(summary[part]["distribution"]) == list(EMOTIONS)
        assert sum(summary[part]["distribution"].values()) == pytest.approx(1, abs=1e-5)
    assert summary["modalities"] == ["faces", "sound"]
    assert len(summary["people"]) == summary["faces"]["n_people"] == 1


def test_a_row_per_looked_at_frame(result):
    frames = result.frames
    assert len(frames) == 13  # 2.5 s, 5 a second, the first at 0
    np.testing.assert_allclose(np.diff(frames["time_s"]), 0.2, atol=0.021)
    assert set(frames["person_id"]) == {"astronaut.mp4#1"}
    assert set(frames["status"]) == {"face"}
    assert len(result.tables["seconds"]) == 3
    centre = (frames["x0"] + frames["x1"]) / 2, (frames["y0"] + frames["y1"]) / 2
    assert centre[0].between(240, 400).all()
    assert centre[1].between(160, 320).all()


def test_windows_of_sound(result):
    assert result.windows[["start_s", "end_s"]].to_numpy().tolist()[0] == [0.0, 2.0]
    assert set(result.windows["status"]) <= {"ok", "no_voice"}  # a synthesised voice: hardly one for the detector


def untimed(summary):
    """Return a summary without when the clip was analysed, and how long it took."""
    return {name: value for name, value in summary.items() if name not in ("analyzed_at", "elapsed_s")}


def test_a_second_run_computes_nothing_and_writes_the_same(clip, store, result, folder, idle):
    for name in ("one", "two"):
        assert main(["analyze", str(clip), "--store", str(store), "--out", str(folder / name)]) == 0
    one, two = (tree(folder / name) for name in ("one", "two"))
    assert one.keys() == two.keys()
    names = (
        "clips.csv",
        "clips.parquet",
        "summary.json",
        "report.html",
        "index.html",
    )  # they say when, and how long it took
    timed = {Path(place, name) for place in (clip.name, "") for name in names} | {
        Path("datapackage.json")
    }  # has its name
    assert {name for name in one if one[name] != two[name]} <= timed
    again = json.loads((folder / "one" / clip.name / "summary.json").read_text())
    of_files = {name: again.pop(name) for name in OF_FOLDER}
    known = {"clip_id": clip.name, "schema_version": SCHEMA_VERSION, "further_columns": {}}
    assert {name: of_files[name] for name in known} == known
    assert of_files["files"].keys() | {"summary.json"} == {path.name for path in one if path.parent.name == clip.name}
    assert untimed(again) == untimed(result.summary)


def test_the_grid_of_the_tables_computes_nothing_anew(clip, store, result, folder, idle, capsys):
    command = ["analyze", str(clip), "--store", str(store), "--out", str(folder / "grid")]
    assert main([*command, "--grid", "0.5", "--min-segment", "9"]) == 0
    seconds, segments = (
        pd.read_parquet(folder / "grid" / clip.name / f"{name}.parquet") for name in ("seconds", "segments")
    )
    assert seconds["end_s"].tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert seconds["n_frames"].sum() == result.summary["faces"]["n_frames"]
    assert len(segments) == 0 < len(result.tables["segments"])
    with pytest.raises(SystemExit) as ended:
        main([*command, "--grid", "0"])
    assert ended.value.code == 2
    assert "--grid has to be at least 0.05 s, not 0" in capsys.readouterr().err


def test_device_and_jobs_and_place_do_not_matter(clip, store, result):
    assert set(states(clip, store, device="cuda", timeout=3.0).values()) == {"hit"}


def test_a_parameter_reruns_its_stage_and_those_after_it(clip, store, result):
    told = states(clip, store, every=3)
    assert told.pop("probe") == told.pop("audio") == "hit"
    assert set(told.values()) == {"miss"}


def test_how_answers_are_made_reruns_the_answers_only(clip, store, result):
    for options in ({"abstain": 0.9}, {"pool": "mean"}, {"prior": "training"}):
        told = states(clip, store, **options)
        assert [name for name, state in told.items() if state == "miss"] == ["classify", "report"]


def test_uncertain_answers(clip, store, result, folder, capsys):
    sure = max(result.summary["fused"]["distribution"].values())
    threshold = min(0.99, sure + 0.001)
    out = folder / "uncertain"
    assert main(["analyze", str(clip), "--store", str(store), "--out", str(out), "--abstain", str(threshold)]) == 0
    said = capsys.readouterr().out
    assert "uncertain" in said
    assert "Uncertain: 1 of 1 clips" in said
    (row,) = csv.DictReader((out / "clips.csv").open())
    assert (row["predominant"], float(row["happy"])) == ("uncertain", pytest.approx(sure))
    again = analyze(clip, store=store, abstain=threshold)
    assert again.predominant == "uncertain"
    assert again.margin == result.margin
    assert again.summary["fused"]["distribution"] == result.summary["fused"]["distribution"]
    assert again.summary["settings"]["abstain"] == threshold


def test_other_weights_rerun_the_image_stage_only(clip, store, result, folder):
    from safetensors.torch import load_file

    from vidfer.weights.files import find_weights, save_weights

    shipped = find_weights("image", "compact")
    state = load_file(shipped.path)
    name = next(name for name in state if name.endswith("head.weight") or name.endswith("weight"))
    state[name] = state[name] * 1.01
    save_weights(folder / "other.safetensors", state, shipped.card)
    told = states(clip, store, image_model=str(folder / "other.safetensors"))
    assert [name for name, state in told.items() if state == "miss"] == ["finetune", "classify", "report"]


def test_weights_of_make_finetune_answer_clips(clip, store, result, folder, faces_root, tmp_path, capsys):
    from vidfer.cli.train import VidferCLI

    VidferCLI(
        args=[
            "fit", "--config=configs/finetune.yaml", "--data=configs/data/sample_faces.yaml",
            f"--data.init_args.root={faces_root}", "--data.init_args.batch_size=8", "--data.init_args.image_size=64",
            "--model.init_args.backbone=test_resnet", "--model.init_args.pretrained=false",
            "--model.init_args.phases=[[2,0.01],[1,0.001]]", f"--trainer.default_root_dir={tmp_path}",
            f"--trainer.logger.init_args.save_dir={tmp_path}", "--trainer.logger.init_args.version=one",
            "--trainer.enable_progress_bar=false",
        ]
    )  # fmt: skip
    weights = str(tmp_path / "finetune" / "one" / "weights.safetensors")
    command = ["analyze", str(clip), "--store", str(store), "--out", str(tmp_path / "out"), "--weights", weights]
    assert main([*command, "--image-model", "test_resnet"]) == 0
    frames = (tmp_path / "out" / "astronaut.mp4" / "frames.csv").read_text().splitlines()
    assert len(frames) == 1 + result.summary["faces"]["n_faces"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--image-model", "inception_resnet_v2"])
    assert ended.value.code == 2
    assert "holds weights of the network 'test_resnet', not of 'inception_resnet_v2'" in capsys.readouterr().err


def test_a_copy_of_the_weights_hits(clip, store, result, folder):
    from vidfer.weights.files import find_weights

    shipped = find_weights("image", "compact").path
    for suffix in (".safetensors", ".json"):
        (folder / "copy").with_suffix(suffix).write_bytes(shipped.with_suffix(suffix).read_bytes())
    assert set(states(clip, store, image_model=str(folder / "copy.safetensors")).values()) == {"hit"}


def test_a_flipped_byte_anywhere_is_mended(clip, folder, result):
    store = folder / "harmed"
    analyze(clip, store=store)
    for path in sorted(store.glob("*/??/*/*")):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
        assert Store(store).fault(path.parent)
        mended = analyze(clip, store=store)
        assert untimed(mended.summary) == untimed(result.summary)
        for name in ("frames", "seconds", "segments", "people", "windows"):
            pd.testing.assert_frame_equal(mended.tables[name], result.tables[name])
        assert not any(Store(store).fault(folder) for folder in Store(store).folders())
    assert len(list((store / "quarantine").iterdir())) > 6


def test_adding_a_clip_computes_that_clip(clip, store, result, monkeypatch):
    ran = []
    for stage in build_chain(ChainOptions()):
        real = type(stage).run
        monkeypatch.setattr(type(stage), "run", _recorded(real, ran))
    other = clip.with_name("voice.wav")
    write_wav(other, _voice(2.2))
    for path in (clip, other):
        analyze(path, store=store)
    assert {name for name, _ in ran} == {"probe", "faces", "denoise", "finetune", "audio", "classify", "report"}
    assert {path for _, path in ran} == {other}


def _recorded(real, ran):
    def run(self: Stage, clip: Path, *rest):
        ran.append((self.name, clip))
        return real(self, clip, *rest)

    return run


def write_wav(path, samples, rate=16_000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())


def test_every_odd_file_has_a_status(clip, store, folder, capsys):
    odd = folder / "odd"
    odd.mkdir()
    write_wav(odd / "voice.wav", _voice(2.2))
    write_wav(odd / "silence.wav", np.zeros(40_000))
    write_wav(odd / "blip.wav", _voice(0.05))
    (odd / "empty.mp4").write_bytes(b"")
    (odd / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (odd / "notes.txt").write_text("not a video")
    (odd / "=cmd.mp4").write_text("ffconcat version 1.0\nfile astronaut.mp4\n")
    (odd / "cut.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    from PIL import Image

    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(odd / "photo.jpg")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(odd / "photo.mp4", format="jpeg")
    out = folder / "odd-out"
    named = [str(odd), str(odd / "notes.txt"), str(odd / "photo.jpg")]
    settings = ["--voice", "off"]  # the detector of speech is not sure of so short a synthesised one
    assert main(["analyze", *named, *settings, "--store", str(store), "--out", str(out), "--json"]) == 1
    said = capsys.readouterr()
    summaries = {Path(line["clip"]).name: line for line in map(json.loads, said.out.splitlines())}
    status = {name: summary["status"] for name, summary in summaries.items()}
    assert status["voice.wav"] == status["silence.wav"] == status["blip.wav"] == "no_video"
    assert summaries["voice.wav"]["modalities"] == ["sound"]
    assert summaries["voice.wav"]["predominant"] in EMOTIONS
    assert summaries["silence.wav"]["sound"]["status"] == "silent"
    assert summaries["blip.wav"]["sound"]["status"] == "too_short"
    for name in ("notes.txt", "=cmd.mp4"):
        assert status[name] == "unsupported", name
    for name in ("photo.jpg", "photo.mp4"):
        assert status[name] == "no_face", name
        assert summaries[name]["sound"]["status"] == "no_audio"
    assert status["empty.mp4"] in {"corrupt", "unsupported"}
    assert status["noise.mp4"] in {"corrupt", "unsupported"}
    assert status["cut.mp4"] in {"corrupt", "partial"}
    for name in set(status) - {"voice.wav"}:
        assert name in said.err
    rows = list(csv.DictReader((out / "clips.csv").open()))
    assert {Path(row["path"]).name: row["status"] for row in rows} == status
    assert "Traceback" not in said.err
