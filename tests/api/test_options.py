"""Keywords are the options of the command line, and a wrong one is told at once."""

import dataclasses
import re
import typing

import pytest
import torch

import vidfer
from vidfer import Analyzer, Options, UsageError, VidferError, analyze
from vidfer.api.options import KINDS


def plain(hint):
    """Return the types that a hint allows, a path as the text it may be, too."""
    inner = typing.get_args(hint) if typing.get_origin(hint) is not typing.Literal else ()
    return {str(each) for each in inner or (hint,)} | ({str(str)} if "Path" in str(hint) else set())


def test_every_option_of_the_chain_and_of_the_tables_is_a_keyword():
    hints = typing.get_type_hints(Options)
    known = {name: hint for kind in KINDS for name, hint in typing.get_type_hints(kind).items()}
    fields = {spec.name for kind in KINDS for spec in dataclasses.fields(kind)}
    assert set(hints) == fields
    assert {name: plain(hint) for name, hint in hints.items()} == {name: plain(known[name]) for name in fields}


@pytest.mark.parametrize("make", [Analyzer, lambda **options: analyze("clip.mp4", **options)])
def test_a_misspelt_keyword_is_refused_with_what_may_have_been_meant(make):
    with pytest.raises(TypeError, match="no option 'absatin': did you mean abstain"):
        make(absatin=0.5)
    with pytest.raises(TypeError, match="no option 'options'"):
        make(options=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, "fps has to be"),
        ({"every": 0}, "every has to be at least 1"),
        ({"denoise_scope": "all"}, "denoise_scope"),
        ({"image_model": "nosuch"}, "nosuch"),
        ({"weights": "nosuch.safetensors"}, "nosuch"),
        ({"models": "nosuch"}, "nosuch"),
        ({"abstain": 2}, "abstain has to be"),
        ({"device": "gpu"}, "device has to be"),
        ({"grid": 0}, "grid has to be"),
        ({"min_segment": -1}, "min_segment has to be"),
    ],
)
def test_what_cannot_be_is_told_at_once_in_the_words_of_python(options, message):
    with pytest.raises(VidferError, match=re.escape(message)) as caught:
        Analyzer(**options)
    assert "--" not in str(caught.value)


def test_a_missing_device_is_told_at_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"device cuda:1: torch finds no CUDA device; .* use device cpu"):
        Analyzer(device="cuda:1")


def test_an_analyzer_shows_what_it_was_given(tmp_path):
    analyzer = Analyzer(fps=10, abstain=0.4, store=tmp_path)
    assert repr(analyzer) == f"Analyzer(fps=10, abstain=0.4, store={tmp_path!r})"
    assert eval(repr(vidfer.Analyzer(fps=10)), vars(vidfer) | {"Analyzer": Analyzer})


@pytest.mark.slow  # mypy reads all of vidfer
def test_mypy_knows_the_keywords(tmp_path):
    from mypy import api

    (tmp_path / "user.py").write_text(
        "import vidfer\n"
        "vidfer.analyze('clip.mp4', fps=10, store='store').frames['happy'].mean()\n"
        "vidfer.Analyzer(fsp=10)\n"
        "vidfer.analyze('clip.mp4', pool='median')\n"
        "vidfer.analyze('clip.mp4').happy\n"
    )
    said, *_ = api.run(["--strict", "--follow-imports=silent", str(tmp_path / "user.py")])
    assert re.findall(r"user\.py:(\d): error: .*\[(.*)\]", said) == [
        ("3", "call-arg"),
        ("4", "arg-type"),
        ("5", "attr-defined"),
    ]
