import resource
import subprocess
import sys
from pathlib import Path

import pytest

from vidfer.cli.main import main


def cpu_seconds(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_quick():
    command = [sys.executable, "-m", "vidfer.cli.main", "--help"]
    assert min(cpu_seconds(*command) for _ in range(3)) < 0.4


def test_help_imports_nothing_heavy():
    code = "import sys, vidfer.cli.main as m; m.main(['--help']); print([n for n in sys.modules if n in HEAVY])"
    heavy = {
        "torch",
        "numpy",
        "cv2",
        "av",
        "pandas",
        "pyarrow",
        "rich",
        "timm",
        "lightning",
        "opensmile",
        "jsonargparse",
    }
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY={heavy!r}\n{code}"], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["analyze"],
        ["analyze", "x", "--fps", "0"],
        ["analyze", "x", "--fps", "5", "--every", "2"],
        ["analyze", "x", "--every", "0"],
        ["analyze", "x", "--fps", "x"],
        ["analyze", "x", "--device", "nonsense"],
        ["analyze", "x", "--denoise", "maybe"],
        ["analyze", "x", "--denoise-threshold", "0"],
        ["run", "nostage", "x"],
        ["cache"],
    ],
)
def test_wrong_usage_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert words[:1] in (["run"], ["cache"]) or (told.startswith("vidfer") and told.count("\n") == 1)


def test_a_missing_weights_file_is_named_before_any_work(tmp_path, capsys):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        main(["analyze", str(clip), "--image-model", "inception_resnet_v2", "--out", str(tmp_path / "out")])
    assert (ended.value.code, (tmp_path / "out").exists()) == (2, False)
    assert "inception_resnet_v2" in capsys.readouterr().err


def test_missing_denoiser_weights_matter_only_where_they_are_used(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no video")
    command = ["analyze", str(tmp_path / "notes.txt"), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "s")]
    command += ["--denoise-model", "nonsense"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert "no denoise weights 'nonsense'" in capsys.readouterr().err
    assert main([*command, "--denoise", "off"]) == 1
    assert "notes.txt: unsupported" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_a_clear_error(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "clip.mp4").write_bytes(b"")
    status = main(
        ["analyze", str(tmp_path / "clip.mp4"), "--out", str(tmp_path / "file"), "--store", str(tmp_path / "s")]
    )
    assert status == 1
    assert "give another folder by --out" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a\nb.mp4", "[red]x.mp4", "=1+1.mp4", "\x1b[31m.mp4", "caf\udce9.mp4"])
def test_odd_names_do_no_harm(tmp_path, capsys, name):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / name).write_bytes(b"no video")
    out = tmp_path / "out"
    assert main(["analyze", str(tmp_path / "clips"), "--out", str(out), "--store", str(tmp_path / "s")]) == 1
    said = capsys.readouterr()
    assert "\x1b[31m.mp4" not in said.out + said.err
    assert len((out / "summary.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("entry", [["vidfer", "train", "finetune"], ["stages.finetune"]])
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--trainer.max_epoch=2"], "did you mean --trainer.max_epochs?"),
        (["--trainer.max_epochs=x"], "'x' is not a whole number"),
        (["--model.lrr=2"], "ImageTask takes no option 'lrr'"),
    ],
)
def test_training_takes_no_abbreviation_of_an_option(entry, words, wanted):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", *entry, "fit", "--config", str(root / "configs" / "finetune.yaml"), *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 2
    assert wanted in done.stderr
    assert done.stderr.count("\n") == 1
