"""`vidfer app` before it serves."""

import socket

import pytest

from vidfer.cli.main import main


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("vidfer.pipeline.extras.find_spec", lambda name: None if name == "uvicorn" else name)
    assert main(["app"]) == 2
    assert (
        capsys.readouterr().err
        == "vidfer: vidfer app needs uvicorn, which is not installed: pip install 'vidfer[app]'\n"
    )


def test_a_port_that_another_program_has(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 2
    assert f"another program has port {port}: give another by --port" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--max-size", "0"], "--max-size has to be above 0"),
        (["--jobs", "0"], "--jobs has to be at least 1"),
        (["--fps", "-1"], "--fps has to be above 0"),
        (["--image-model", "nosuch"], "nosuch"),
        (["--port", "99999"], "--port has to be from 0 to 65535"),
    ],
)
def test_options_that_cannot_be(words, told, capsys):
    try:
        code = main(["app", *words])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert told in capsys.readouterr().err
