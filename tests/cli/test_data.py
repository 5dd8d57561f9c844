import pytest

from vidfer.cli.main import main
from vidfer.datasets.sources import SOURCES


def test_the_list_names_every_set_with_its_page_terms_and_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "afew").mkdir(parents=True)
    assert main(["data", "list"]) == 0
    told = capsys.readouterr().out
    for name, source in SOURCES.items():
        block = told[told.index(f"\n{name} " if name != "fer2013" else name) :].split("\n\n")[0]
        assert source.page in block
        assert source.terms in block
    assert "data/afew (there)" in told
    assert "data/DIV2K (not there)" in told


@pytest.mark.parametrize("name", ["FER2013", "FER+", "RAVDESS", "CREMA-D", "AFEW", "DIV2K"])
def test_a_set_may_be_named_as_it_is_published(name, tmp_path, capsys):
    assert main(["data", "check", name, "--root", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().out.startswith(name)


def test_a_check_says_on_one_screen_what_is_there_and_what_is_not(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for split, name in (("Train_AFEW", "Angry"), ("Train_AFEW", "Sad"), ("Val_AFEW", "Surprise")):
        (tmp_path / split / name).mkdir(parents=True)
        (tmp_path / split / name / f"{name}.avi").write_text(name)
    assert main(["data", "check", "afew", "--root", str(tmp_path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) <= 24
    rows = [line.split() for line in told]
    assert ["all", "angry", "sad", "surprise"] in rows
    assert ["train", "2", "1", "1", "-"] in rows
    assert ["val", "1", "-", "-", "1"] in rows
    assert told[-1] == "whole"
    (tmp_path / "Val_AFEW").rename(tmp_path / "elsewhere")
    assert main(["data", "check", "afew", "--root", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "missing: val" in told
    assert SOURCES["afew"].get in told
    assert told.endswith("not whole\n")
    assert main(["data", "check", "afew", "--root", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().out.endswith("not found\n")


def test_an_unknown_set_is_wrong_usage(capsys):
    assert main(["data", "check", "ravdes"]) == 2
    assert "did you mean ravdess" in capsys.readouterr().err


@pytest.mark.parametrize("name", SOURCES)
def test_the_head_of_a_check_is_short(name, tmp_path, capsys):
    assert main(["data", "check", name, "--root", str(tmp_path)]) == 1
    assert len(capsys.readouterr().out.splitlines()) <= 12
