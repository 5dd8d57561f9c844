import os
import resource
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args
from unittest.mock import Mock

import pytest
import yaml

from vidfer.cli.main import VERBS, main
from vidfer.cli.options import load
from vidfer.types import UsageError, VidferError


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
    "words", [["analyze", ""], ["analyze", ".", "--out", ""], ["people", "list", ""], ["run", "faces", ".", "--store="]]
)
def test_an_empty_path_is_not_this_folder(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "an argument is empty" in capsys.readouterr().err


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
    assert told.startswith("vidfer")
    assert told.count("\n") == 1


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


@pytest.mark.parametrize("verb", ["analyze", "demo"])
def test_results_that_cannot_be_written_are_a_clear_error(tmp_path, capsys, verb):
    (tmp_path / "file").write_text("")
    (tmp_path / "clip.mp4").write_bytes(b"")
    words = [str(tmp_path / "clip.mp4"), "--store", str(tmp_path / "s")] if verb == "analyze" else []
    assert main([verb, *words, "--out", str(tmp_path / "file")]) == 1
    assert "give another folder by --out" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a\nb.mp4", "[red]x.mp4", "=1+1.mp4", "\x1b[31m.mp4", "caf\udce9.mp4"])
def test_odd_names_do_no_harm(tmp_path, capsys, name):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / name).write_bytes(b"no video")
    out = tmp_path / "out"
    assert main(["analyze", str(tmp_path / "clips"), "--out", str(out), "--store", str(tmp_path / "s")]) == 1
    said = capsys.readouterr()
    assert "\x1b[31m.mp4" not in said.out + said.err
    assert len((out / "clips.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--trainer.max_epoch=2"], "did you mean --trainer.max_epochs?"),
        (["--trainer.max_epochs=x"], "--trainer.max_epochs: 'x' is not a whole number"),
        (["--model.lr=x"], "--model.lr: 'x' is not a number"),
        (["--model.lrr=2"], "ImageTask takes no option 'lrr'"),
    ],
)
def test_training_takes_no_abbreviation_of_an_option(words, wanted, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "finetune", "fit", "--config=configs/finetune.yaml", *words])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("vidfer train finetune fit: ")
    assert wanted in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_the_entry_point_of_a_stage_takes_no_abbreviation_either():
    command = [
        sys.executable,
        "-m",
        "stages.finetune",
        "fit",
        "--config=configs/finetune.yaml",
        "--trainer.max_epoch=2",
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("python -m stages.finetune fit: ")
    assert "did you mean --trainer.max_epochs?" in done.stderr


def test_the_help_of_a_training_names_its_command(capsys):
    for words, program in (
        (["fit", "--help"], "vidfer train finetune [options] fit"),
        (["--help"], "vidfer train finetune"),
    ):
        with pytest.raises(SystemExit):
            main(["train", "finetune", *words])
        assert capsys.readouterr().out.startswith(f"usage: {program} ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_verbs_actions_and_options(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("analyze", "purge", "finetune", "image-model", "older-than"):
        assert word in script


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["analyse", "x"], "did you mean analyze?"),
        (["cache", "verfy"], "did you mean verify?"),
        (["train", "denoize"], "did you mean denoise?"),
        (["analyze", "x", "--image-mode", "y"], "did you mean --image-model?"),
        (["analyze", "x", "--image_model", "y"], "did you mean --image-model?"),
        (["tables", "--dat", "sample"], "did you mean --data?"),
    ],
)
def test_what_may_have_been_meant_is_named(words, wanted, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert wanted in capsys.readouterr().err


def test_options_come_from_file_variable_and_command_line_the_last_one_counting(tmp_path, capsys, monkeypatch):
    settings = tmp_path / "settings.yaml"
    settings.write_text("fps: 2\npool: mean\nimage_model: compact\n")
    monkeypatch.setenv("VIDFER_ANALYZE_FPS", "1")
    monkeypatch.setenv("VIDFER_ANALYZE_JOBS", "3")
    assert parsed(capsys, "analyze", "x", "--config", str(settings), "--pool", "peaks") == {
        **parsed(capsys, "analyze", "x"),
        **{"fps": 2.0, "pool": "peaks", "image_model": "compact", "jobs": 3},
    }
    assert parsed(capsys, "analyze", "x")["fps"] == 1.0


def parsed(capsys, *words):
    """Return what --print_config prints; such a file can be given to --config again."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--print_config"])
    assert ended.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_a_wrong_key_of_a_configuration_is_named(tmp_path, capsys):
    settings = tmp_path / "settings.yaml"
    settings.write_text("fp: 2\n")
    with pytest.raises(SystemExit):
        main(["analyze", "x", "--config", str(settings)])
    assert capsys.readouterr().err == "vidfer analyze: the configuration takes no option 'fp': did you mean fps?\n"


def parsers():
    for verb in VERBS:
        module = None if verb == "train" else import_module(f"vidfer.cli.{verb}")
        if hasattr(module, "run"):
            yield load(verb, f"vidfer.cli.{verb}.run")[0]
        for action, place in getattr(module, "ACTIONS", {}).items():
            yield load(f"{verb} {action}", place)[0]


def test_every_option_of_every_verb_says_what_it_does():
    for parser in parsers():
        assert parser.about
        assert all(action.help for action in parser._actions), [each.dest for each in parser._actions if not each.help]


def test_a_value_of_the_wrong_type_is_told_with_its_option_as_it_is_written(capsys):
    count = 0
    for parser in parsers():
        for action in parser._actions:
            numbers = {int, float} & {getattr(action, "_typehint", None), *get_args(getattr(action, "_typehint", None))}
            if numbers and action.option_strings:
                with pytest.raises(SystemExit):
                    parser.parse([action.option_strings[0], "many"])
                kind = "a whole number" if int in numbers else "a number"
                wanted = f"{parser.prog}: {action.option_strings[0]}: 'many' is not {kind}\n"
                assert capsys.readouterr().err == wanted
                count += 1
    assert count > 20
    for words, wanted in (
        (["completion", "fish"], "vidfer completion: SHELL: 'fish' is not one of bash, zsh, tcsh\n"),
        (
            ["tables", "--sizes", "5,x"],
            "vidfer tables: --sizes: 'x' is no size in '5,x': give a list divided by commas\n",
        ),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert capsys.readouterr().err == wanted


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_opened_before_anything_else(tmp_path, closed):
    code = "import os, sys, vidfer.cli.main as m; m.main(['--version']); open(sys.argv[1], 'w').write(str(os.dup(0)))"
    told = tmp_path / "told"
    done = subprocess.run(f'exec "{sys.executable}" -c "{code}" "{told}" {closed}', shell=True)
    assert done.returncode == 0
    assert int(told.read_text()) > 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs users with numbers")
def test_a_user_without_a_name_gets_one(monkeypatch):
    code = "import getpass, pwd; pwd.getpwuid = lambda uid: {}[uid]; import vidfer; print(getpass.getuser())"
    names = {name: value for name, value in os.environ.items() if name not in ("LOGNAME", "USER", "LNAME", "USERNAME")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=names)
    assert done.stdout == f"uid{os.getuid()}\n"


def test_a_broken_pipe_and_an_interrupt_have_their_exit_status(monkeypatch, capsys):
    for error, status in ((KeyboardInterrupt, 130), (VidferError("no"), 1), (UsageError("no"), 2)):
        monkeypatch.setattr("vidfer.cli.main._run", Mock(side_effect=error))
        assert main([]) == status
    code = "import vidfer.cli.main as m, sys; sys.exit(m.main(['--help']))"
    command = f'"{sys.executable}" -u -c "{code}"; echo $? >&2'
    done = subprocess.run(["bash", "-c", f"({command}) | true"], stderr=subprocess.PIPE, text=True)
    assert done.stderr.split()[-1] in ("141", "0")


def test_a_call_from_python_leaves_the_environment_of_other_processes(monkeypatch, capsys):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path not in ("", str(Path.cwd()))])
    assert main(["--version"]) == 0
    assert "PYTHONSAFEPATH" not in os.environ


@pytest.mark.parametrize("raised", [AttributeError, ImportError, SystemError, ValueError])
def test_an_interrupt_that_a_compiled_module_makes_another_error_of_is_an_interrupt(raised, monkeypatch, capsys):
    def loading(_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise raised("partially initialized module") from None

    monkeypatch.setattr("vidfer.cli.main._run", loading)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main([]) == 130
        assert capsys.readouterr().err.startswith("vidfer: interrupted; what was finished is kept")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    monkeypatch.setattr("vidfer.cli.main._run", Mock(side_effect=raised("a fault of its own")))
    with pytest.raises(raised, match="a fault of its own"):
        main([])


def test_a_clip_may_have_a_name_that_is_not_utf8(tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).write_bytes(b"no video")
    out = tmp_path / os.fsdecode(b"r\xe9sultats")
    assert main(["analyze", str(tmp_path / name), "--out", str(out), "--store", str(tmp_path / "s")]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert len((out / "clips.csv").read_text().splitlines()) == 2
