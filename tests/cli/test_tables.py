import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.paper import fake
from vidfer.cli.main import main
from vidfer.paper import page, rerun
from vidfer.types import UsageError
from vidfer.weights.bundles import SHIPPED_BUNDLE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run `vidfer tables` with made-up cells and without figures; gives status, standard output and error."""
    monkeypatch.setattr(page, "draw_table", lambda *_: None)
    made = fake.experiments(tmp_path)
    monkeypatch.setattr(
        rerun, "prepare_experiments", lambda options, store, tables: {table.task: made[table.task] for table in tables}
    )

    def call(*words):
        command = ["tables", "--data", "made-up", "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
        status = main([*command, *words])
        return status, *capsys.readouterr()

    return call


def test_the_last_line_is_json_and_the_others_are_for_people(run, tmp_path):
    status, out, _ = run("--sizes", "100,50", "--seeds", "2", "--models", "gan,cnn", "--tables", "4,3")
    assert status == 0
    *lines, last = out.splitlines()
    assert lines[:2] == ["made-up photographs", "made-up clips"]
    assert [line.split()[-3:] for line in lines[2:]] == [
        ["n", "CNN", "GAN-SGDMA"],
        ["200", "27.80", "29.25"],
        ["100", "41.2", "70.2"],
        ["200", "11.35", "9.90"],
    ]
    told = json.loads(last)
    assert (told["cells"], told["stored"], told["missing"], told["seeds"]) == (16, 0, {}, 2)
    assert set(told["tables"]) == {"3", "4", "3b"}
    assert told["tables"]["3"]["size"] == 200
    assert told["tables"]["4"]["mean"]["gan"] == pytest.approx(100 * (0.6 + 0.03 + 0.01 + 0.0625))
    assert Path(told["out"]) == tmp_path / "out" / "tables.md"
    text = (tmp_path / "out" / "tables.md").read_text()
    assert (
        "    vidfer tables --data made-up --sizes 50,100 --seeds 2 --models cnn,gan --inputs paper --tables 3,4 --steps 150"
        in text
    )
    assert len(fake.counted(tmp_path)) == 16


def test_denoisers_get_twice_as_many_images(run, tmp_path):
    run("--sizes", "50", "--seeds", "1", "--models", "cnn")
    assert fake.counted(tmp_path) == ["cnn 50 0", "cnn 100 0"]


def test_equal_inputs_are_compared_beside_the_papers_or_alone(run, tmp_path):
    _, out, _ = run(
        "--sizes", "50", "--seeds", "1", "--models", "cnn,gan,mlp", "--tables", "4", "--inputs", "faces,paper"
    )
    assert fake.counted(tmp_path) == ["cnn 50 0", "gan 50 0", "gan 50 0", "mlp 50 0"]
    *lines, last = out.splitlines()
    assert [line.split()[-3:] for line in lines[-2:]] == [["50", "38.8", "67.8"], ["50", "67.8", "57.8"]]
    assert {number: set(table["mean"]) for number, table in json.loads(last)["tables"].items()} == {
        "4": {"cnn", "gan"},
        "4-faces": {"gan", "mlp"},
    }
    alone = tmp_path / "alone"
    run("--sizes", "50", "--seeds", "1", "--tables", "4", "--inputs", "faces", "--out", str(alone))
    assert {path.name for path in alone.glob("table*")} == {
        f"table{name}" for name in ("s.md", "s.tex", *(f"4-faces_accuracy.{end}" for end in ("csv", "md", "tex")))
    }


def test_models_that_can_take_no_part_are_refused(run, capsys):
    status, _, err = run("--seeds", "1", "--models", "cnn", "--tables", "4", "--inputs", "faces")
    assert status == 2
    assert "--models: cnn can take no part in classifiers; all read face embeddings" in err


def test_features_are_those_of_the_bundle_unless_weights_are_given(tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for kind, name in (("image", "compact64"), ("denoise", "small")):
        for end in ("safetensors", "json"):
            (bundle / f"{kind}.{end}").write_bytes((SHIPPED_BUNDLE / f"{name}.{end}").read_bytes())
    content = {"format": 1, "models": {"image": "image.safetensors", "denoise": "denoise.safetensors"}}
    (bundle / "bundle.json").write_text(json.dumps(content | {"settings": {"denoise": "on"}}))
    options = rerun.RerunOptions("paired", tmp_path / "out", bundle=bundle)
    assert options.weights == {
        "image_model": str(bundle / "image.safetensors"),
        "denoise_model": str(bundle / "denoise.safetensors"),
        "denoise": "on",
        "denoise_threshold": 10,
    }
    assert replace(options, image_model="compact").weights["image_model"] == "compact"
    (bundle / "bundle.json").write_text(json.dumps(content | {"models": {"denoise": "denoise.safetensors"}}))
    with pytest.raises(UsageError, match="has no image model"):
        _ = options.weights
    assert rerun.RerunOptions("paired", tmp_path / "out").weights == {}


def test_only_what_the_chosen_tables_need_is_computed(run, tmp_path):
    run("--sizes", "50", "--seeds", "1", "--models", "cnn", "--tables", "3")
    assert fake.counted(tmp_path) == ["cnn 100 0"]


def test_more_seeds_keep_those_that_are_there(run, tmp_path):
    run("--sizes", "50", "--seeds", "1", "--tables", "1")
    _, out, _ = run("--sizes", "50,100", "--seeds", "2", "--tables", "1,6")
    assert json.loads(out.splitlines()[-1])["stored"] == 6
    assert len(fake.counted(tmp_path)) == 24


def test_what_is_missing_is_named_and_ends_with_1(run):
    status, out, err = run("--sizes", "250,300", "--seeds", "1", "--models", "dbn", "--tables", "1")
    assert status == 1
    assert "classify: dbn on 300 clips, seed 0: unavailable: the machine would not learn" in err
    assert json.loads(out.splitlines()[-1])["missing"] == {"the machine would not learn": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--models", "cnn,transformer"], "no model 'transformer'"),
        (["--models", "cnn,cnn"], "names cnn twice"),
        (["--sizes", "50,0"], "0 is not a whole number from 1 on"),
        (["--sizes", "50,050"], "names 050 twice"),
        (["--sizes", "few"], "'few' is no size"),
        (["--tables", "7"], "no table '7'"),
        (["--seeds", "0"], "0 is not a whole number from 1 on"),
        (["--steps", "many"], "'many' is not a whole number"),
        (["--step", "3"], "did you mean --steps?"),
    ],
)
def test_wrong_usage_ends_with_2(run, words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_closed_out_is_found_before_any_work(run, tmp_path):
    (tmp_path / "out").write_text("a file")
    status, _, err = run("--seeds", "1")
    assert status == 1
    assert "give another folder by --out" in err
    assert fake.counted(tmp_path) == []


def test_unknown_data_are_named(tmp_path, capsys):
    command = ["tables", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out"), "--tables", "1"]
    assert main([*command, "--store", str(tmp_path / "store")]) in (1, 2)
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_kill_the_same_command_does_only_what_is_left(tmp_path, jobs):
    words = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store"), "--jobs", str(jobs)]
    words += ["--sizes", "50,100", "--seeds", "3", "--tables", "1", "--models", "cnn,gan"]
    command = [sys.executable, "-m", "tests.paper.fake", str(tmp_path), "0.3", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(fake.counted(tmp_path)) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1.0 if jobs > 1 else 0.0)  # orphaned workers end with the cell that they have begun
    finished = {path.parent.name for path in (tmp_path / "store").glob("cells/*/*/manifest.json")}
    begun = fake.counted(tmp_path)
    assert 3 <= len(finished) < 12
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["cells"], told["stored"], told["missing"]) == (12, len(finished), {})
    again = fake.counted(tmp_path)[len(begun) :]
    assert len(again) == len(set(again)) == 12 - len(finished)
    assert len(set(begun) & set(again)) == len(begun) - len(finished)


def test_an_interrupt_keeps_what_is_finished(tmp_path):
    words = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store"), "--seeds", "1", "--tables", "1"]
    command = [sys.executable, "-m", "tests.paper.fake", str(tmp_path), "0.3", *words]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # where the tests run in the background it is ignored
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(fake.counted(tmp_path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in err
    assert len(list((tmp_path / "store").glob("cells/*/*/manifest.json"))) >= 2


def test_steps_are_those_of_the_cells_unless_given():
    from vidfer.paper.denoising import STEPS

    assert rerun.RerunOptions("paired", Path("x")).steps == STEPS


@pytest.mark.slow
def test_generated_clips_and_photographs_need_no_data(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["tables", "--data", "sample", "--sizes", "21", "--seeds", "2", "--steps", "2", "--out", "out"]
    assert main([*command, "--store", "store"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["cells"] == 24
    assert "sample" in told["data"]["classify"]
    assert main([*command, "--store", "store"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["stored"] == 24
