"""The source has no call that runs what a file or a name holds. Each rule is tried on code that breaks it."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("vidfer", "stages")
MODULES = frozenset(
    {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
)
CALLS = frozenset(
    {
        "eval",
        "exec",
        "os.system",
        "os.popen",
        "torch.hub.load",
        "torch.hub.load_state_dict_from_url",
        "yaml.unsafe_load",
    }
    | {"yaml.full_load", "pandas.read_pickle", "pd.read_pickle", "shutil.unpack_archive", "tempfile.mktemp"}
)
YAML = ("yaml.load", "yaml.load_all", "yaml.parse", "yaml.compose")
SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader")
ZIP = frozenset({"vidfer/datasets/div2k.py"})
"""Archives of zipfile, which keeps members in the folder by itself and makes no links: it has no filter."""


def dotted(node: ast.expr) -> str:
    """The name of a function that is called, such as `os.system`; of a method of anything else its own name after a dot."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def says(call: ast.Call, word: str, value: object) -> bool:
    """Whether an argument is given as that very constant."""
    given = next((each.value for each in call.keywords if each.arg == word), None)
    return isinstance(given, ast.Constant) and given.value == value and type(given.value) is type(value)


def has(call: ast.Call, word: str) -> bool:
    return any(each.arg == word for each in call.keywords)


def loader_of(call: ast.Call) -> set[str]:
    """The names in the loader of YAML that a call gives."""
    given = next(
        (each.value for each in call.keywords if each.arg == "Loader"), call.args[1] if call.args[1:] else None
    )
    parts = list(ast.walk(given)) if given else []
    return {part.attr for part in parts if isinstance(part, ast.Attribute)} | {
        part.value for part in parts if isinstance(part, ast.Constant)
    }


RULES: dict[str, Callable[[str, ast.Call], bool]] = {
    "calls what runs code or a shell": lambda name, call: name in CALLS or says(call, "shell", True),
    "lets numpy load pickles": lambda _, call: has(call, "allow_pickle") and not says(call, "allow_pickle", False),
    "lets torch load pickles": lambda _, call: has(call, "weights_only") and not says(call, "weights_only", True),
    "does not say weights_only=True": lambda name, call: (
        (name == "torch.load" or name.endswith("load_from_checkpoint")) and not has(call, "weights_only")
    ),
    "loads YAML by a loader that may call anything": lambda name, call: (
        name in YAML and not (loader_of(call) and loader_of(call) <= {*SAFE_LOADERS})
    ),
    "unpacks an archive without filter='data'": lambda name, call: (
        name.endswith(".extractall") and not says(call, "filter", "data")
    ),
}


def faults(source: str) -> list[str]:
    """What is wrong with a source, each with its line; the names of pickle's errors may be imported."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not all(alias.name.endswith("Error") for alias in node.names):
            names = [node.module or ""]
        told = [f"imports {name}" for name in names if name.partition(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            told += [words for words, breaks in RULES.items() if breaks(dotted(node.func), node)]
        found += [f"{node.lineno}: {each}" for each in told]
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_source_runs_nothing_that_it_reads(folder):
    wrong = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        told = [each for each in faults(path.read_text()) if not (name in ZIP and "unpacks" in each)]
        if told:
            wrong[name] = told
    assert not wrong


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import cloudpickle as c",
        "from joblib import load",
        "import shelve",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "Task.load_from_checkpoint(path)",
        "trainer.fit(task, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "subprocess.run(words, shell=True)",
        "os.system(words)",
        "eval(text)",
        "exec(text)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, yaml.UnsafeLoader)",
        "yaml.unsafe_load(text)",
        "tarfile.open(path).extractall(folder)",
        "tar.extractall(folder, filter='fully_trusted')",
        "shutil.unpack_archive(path)",
        "torch.hub.load('owner/name', 'net')",
        "pd.read_pickle(path)",
    ],
)
def test_code_that_would_run_it_is_noticed(source):
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "tar.extractall(folder, filter='data')",
        "subprocess.run(words)",
        "model.eval()",
        "from pickle import UnpicklingError",
    ],
)
def test_safe_code_is_left_alone(source):
    assert not faults(source)
