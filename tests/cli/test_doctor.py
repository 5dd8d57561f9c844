import subprocess
import sys

import pytest

from tests.pipeline.test_extras import without
from vidfer.cli.main import main
from vidfer.pipeline.extras import EXTRAS


def test_doctor_prints_a_line_for_each_check_and_touches_no_store(tmp_path, capsys):
    assert main(["doctor", "--store", str(tmp_path / "new" / "store")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 18
    assert all(line.startswith("  ok    ") for line in lines[:-1])
    assert not (tmp_path / "new").exists()


def test_without_extras_nothing_is_wrong_and_each_is_named_with_its_command(tmp_path):
    call = "from vidfer.cli.main import main; sys.exit(main(['doctor', '--store', sys.argv[1]]))"
    done = without(call, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    assert "torch is not installed (pip install 'vidfer[train]')" in said
    for extra in set(EXTRAS) - {"bm3d"}:  # of one option of one evaluation
        assert f": pip install 'vidfer[{extra}]'" in said


@pytest.mark.slow
def test_the_backend_torch_is_a_fault_where_it_is_not_installed(tmp_path):
    call = "from vidfer.cli.main import main; sys.exit(main(['doctor', '--backend', 'torch', '--store', sys.argv[1]]))"
    done = without(call, str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert (
        "FAIL  backends: --backend torch needs torch, which is not installed: pip install 'vidfer[train]'"
        in done.stdout
    )


def test_what_is_missing_or_cannot_be_written_is_a_finding(tmp_path):
    (tmp_path / "file").write_text("")
    code = (
        "import sys; sys.modules |= dict.fromkeys(['onnxruntime', 'opensmile', 'av']); "
        "from vidfer.cli.main import main; sys.exit(main(['doctor', '--store', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "file")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL  demo clip: import of av halted" in done.stdout
    assert "FAIL  image weights: import of onnxruntime halted" in done.stdout
    assert f"FAIL  store: {tmp_path / 'file'} cannot be written" in done.stdout


def test_a_service_without_a_home_folder_can_be_checked(tmp_path):
    code = (
        "import os, pwd, sys; os.environ.pop('HOME', None); pwd.getpwuid = {}.__getitem__; "
        "from vidfer.cli.main import main; sys.exit(main(['doctor', '--store', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "FAIL" not in done.stdout
    assert done.returncode == 0
