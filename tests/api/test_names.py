"""What `import vidfer` offers."""

import doctest
import inspect
import subprocess
import sys

import pytest

import vidfer

TRIVIAL = {"EMOTIONS", "__version__"}


def documented():
    """Yield each public name and method with its docstring; a property is a name of its own in one line."""
    for name in vidfer.__all__:
        value = getattr(vidfer, name)
        if name in TRIVIAL:
            continue
        yield name, value.__doc__
        if inspect.isclass(value) and value.__module__.startswith("vidfer.api"):
            for member, function in vars(value).items():
                if not member.startswith("_") and (callable(function) or isinstance(function, classmethod)):
                    yield f"{name}.{member}", function.__doc__


def test_dir_lists_the_api_and_nothing_else():
    assert dir(vidfer) == sorted(vidfer.__all__)
    assert all(hasattr(vidfer, name) for name in vidfer.__all__)
    with pytest.raises(AttributeError, match="'analyse'"):
        vidfer.analyse  # noqa: B018


def test_importing_costs_nothing():
    heavy = "torch", "numpy", "pandas", "cv2", "matplotlib", "scipy", "vidfer.api"
    code = f"import vidfer, sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("name", "text"), [pytest.param(*pair, id=pair[0]) for pair in documented()])
def test_public_names_are_documented_with_an_example(name, text):
    assert text, name
    assert not text.startswith(f"{name}("), f"{name} has no docstring of its own"  # as dataclasses give themselves
    assert "Example:" in text, name


def test_properties_are_documented():
    members = vars(vidfer.ClipResult).items()
    assert all(value.__doc__ for name, value in members if isinstance(value, property))


def test_examples_in_docstrings_are_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for name, text in documented():
        for test in finder.find(text and type("Text", (), {"__doc__": text}), name, module=False, globs={}):
            runner.run(test)
    assert runner.summarize(verbose=False) == (0, runner.tries)
    assert runner.tries > 30
