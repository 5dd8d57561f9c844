"""The configuration of a pipeline: one YAML file, with each training's settings made of files and of what is set beside them."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue, OmegaConfBaseException

from vidfer.pipeline.bounded import read_yaml, yaml_faults
from vidfer.stages.classify import FIT as CLASSIFY
from vidfer.stages.denoise import FIT as DENOISE
from vidfer.stages.finetune import FIT as FINETUNE
from vidfer.stages.fit import Fit, Settings
from vidfer.training.checks import (
    on_or_off,
    read_rules,
    read_wandb,
    refuse_unknown,
    require_entries,
    require_layer,
    require_name,
    require_settings,
)
from vidfer.types import UsageError

FITS: Final[dict[str, Fit]] = {
    "denoise": DENOISE, "finetune": FINETUNE, "classify": CLASSIFY, "classify_faces": CLASSIFY, "fusion": CLASSIFY
}  # fmt: skip
"""The trainings of a pipeline in their order, by the names of their sections."""

KINDS: Final = {
    "denoise": "denoise",
    "finetune": "image",
    "classify": "audio",
    "classify_faces": "faces",
    "fusion": "fusion",
}
"""The kind of weights that a section names by `use`."""

_SECTION = ("config", "use", "model", "data", "trainer", "seed_everything")
_ENTRIES = ("base", "name", "description", "settings", "test_clips", "wandb", "slurm", *FITS)
_GROUPS = ("model", "data", "trainer")


@dataclass(frozen=True)
class Section:
    """One training: its `settings`, or weights by name or file to `use` instead."""

    name: str
    settings: Settings | None
    use: str | None

    @property
    def fit(self) -> Fit:
        """The training that the section configures."""
        return FITS[self.name]


@dataclass(frozen=True)
class Configuration:
    """A pipeline.

    Args:
        name: Of its bundle, as `description` and `settings`, see `vidfer.weights.bundles`.
        sections: The trainings in their order.
        test_clips: Further clips that the bundle is measured on, as LightningCLI's `data` each.
        wandb: How its trainings are shown at Weights & Biases, see `vidfer.training.watch`; None: nothing is sent.
        slurm: Options of sbatch for its jobs, see `vidfer.training.slurm`; they enter no key.
        folds: The same pipeline without the people of each fold, for cross-validation.
    """

    name: str
    description: str
    sections: tuple[Section, ...]
    settings: Mapping[str, Any]
    test_clips: tuple[Settings, ...]
    wandb: Mapping[str, Any] | None = None
    slurm: Mapping[str, Any] = field(default_factory=dict)
    folds: tuple["Configuration", ...] = ()


def read_configuration(
    path: Path, overrides: Sequence[str] = (), arguments: str = "", target: str | None = None
) -> Configuration:
    """Read a pipeline's file, with its `base` below it and `section.key=value` overrides above.

    `model`, `data` and `trainer` of a section lie above those of the files that its `config` names, which are relative to the
    pipeline's file, and may leave `init_args` out: `classify.model.lr=0.01`. `arguments` are words of LightningCLI's command
    line, such as `--trainer.max_epochs 3`, for the section `target`. Where the entry `folds` is 2 or more, the pipeline is read
    again for each fold, with `fold` set to 0, 1, ..., and for itself with `folds` set to 0.

    Raises:
        UsageError: A file cannot be read, or something in it, an override or an argument is unknown.
    """
    found = _resolved(path, overrides)
    count = found.get("folds") or 0
    if not isinstance(count, int) or count < 0 or count == 1:
        raise UsageError(f"{path}: folds has to be 0, or a whole number from 2 on, not {count!r}")
    if not count:
        return _configuration(path, found, arguments, target)
    whole = _configuration(path, _resolved(path, [*overrides, "folds=0"]), arguments, target)
    each = (_resolved(path, [*overrides, f"fold={number}"]) for number in range(count))
    parts = tuple(_configuration(path, one | {"test_clips": None}, arguments, target) for one in each)
    if any(one.sections == other.sections for one, other in pairwise(parts)):  # the same people would be counted twice
        raise UsageError(f"{path}: folds is {count}, and its data have no `folds: ${{folds}}` and `fold: ${{fold}}`")
    return replace(whole, folds=parts)


def _resolved(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Read a pipeline's entries, with all that they refer to."""
    whole = _load(path, ())
    changed = [_override(path, each, whole) for each in overrides]
    try:
        merged: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.create(whole), *changed))
        sections_read = {name: _with_files(merged[name], path.parent) for name in FITS if name in merged}
        found: Any = OmegaConf.to_container(
            OmegaConf.create({**merged, **sections_read}), resolve=True, throw_on_missing=True
        )
    except (MissingMandatoryValue, InterpolationToMissingValueError) as error:
        missing = str(error).splitlines()[0].rpartition(" ")[2]
        raise UsageError(f"{path} needs a value for {missing}: give it by --set {missing}=VALUE") from error
    except OmegaConfBaseException as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    except TypeError as error:  # a list over entries by name, say
        raise UsageError(f"{path}: {' '.join(overrides)} does not fit the entry of that name: {error}") from error
    return dict(found)


def _configuration(path: Path, found: Mapping[str, Any], arguments: str, target: str | None) -> Configuration:
    free = {name for name in found if not isinstance(found[name], Mapping)}  # values that others refer to
    refuse_unknown(path, "", set(found) - free, _ENTRIES)
    if arguments and target not in FITS:
        raise UsageError(f"--args is for one training: name it by --until {'|'.join(FITS)}")
    sections = []
    for name in FITS:
        given = found.get(name)
        if given is None:
            continue
        if isinstance(given, str) or not isinstance(given, Mapping):
            raise UsageError(f"{path}: {name} has to be a section with {', '.join(_SECTION)}, not {given!r}")
        refuse_unknown(path, f"{name}.", given, _SECTION)
        words = _words(arguments) if name == target else []
        sections.append(_section(path, name, given, words))
    return Configuration(
        require_name(path, found.get("name")),
        str(found.get("description") or ""),
        tuple(sections),
        read_rules(path, found.get("settings")),
        tuple(_test_clips(path, found.get("test_clips") or [])),
        read_wandb(path, found.get("wandb")),
        require_entries(path, "slurm", found.get("slurm")),
    )


def _test_clips(path: Path, given: Any) -> Iterator[Settings]:  # noqa: ANN401 - any YAML
    """Complete what a pipeline names as further test clips."""
    if not isinstance(given, list) or not all(isinstance(each, Mapping) for each in given):
        raise UsageError(
            f"{path}: test_clips has to be a list of data, such as {{data: manifest.csv, test_people: anna}}"
        )
    for each in given:
        require_layer(path, "test_clips", {"data": each})
        yield _over({"data": {"class_path": CLASSIFY.data}}, {"data": each})["data"]


def _load(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """Read a pipeline's file over its `base`; a section that names `config` or `use` begins without that of the base."""
    if path in above:
        raise UsageError(f"{path} is its own base")
    own = {name: _with_files(value, path.parent) if name in FITS else value for name, value in _read(path).items()}
    base = own.pop("base", None)
    if base is None:
        return own
    below = _load(path.parent / str(base), (*above, path))
    merged = {**below, **own}
    for name, value in own.items():
        if name in FITS and isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            merged[name] = value if {"config", "use"} & set(value) else _over(below[name], value)
        elif name == "settings" and isinstance(value, Mapping):
            merged[name] = {**(below.get(name) or {}), **value}
    return merged


def _with_files(section: Any, folder: Path) -> Any:  # noqa: ANN401 - any YAML
    """Read the files that a section names, which are relative to the pipeline's."""
    if not isinstance(section, Mapping):
        return section
    files = section.get("config") or []
    layers = files if isinstance(files, list) else [files]
    named = {"config": [each if isinstance(each, Mapping) else _read(folder / str(each)) for each in layers]}
    parts = {name: _read(folder / section[name]) for name in _GROUPS if isinstance(section.get(name), str)}
    return {**section, **(named if layers else {}), **parts}


def no_configuration(path: Path) -> str:
    """Say that a configuration file is missing, and which there are."""
    there = sorted(each.stem for each in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    near = get_close_matches(path.stem, there, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no configuration {path}: there are {', '.join(there) or 'none'} in {path.parent}{hint}"


def _read(path: Path) -> dict[str, Any]:
    """Read a YAML file of entries by name."""
    try:
        text = read_yaml(path)
        with yaml_faults():
            found: Any = OmegaConf.to_container(OmegaConf.load(StringIO(text)))
    except FileNotFoundError:
        raise UsageError(no_configuration(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} cannot be read: {error}") from error
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} has to hold entries by name")
    return found


def _override(path: Path, text: str, whole: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a configuration
    name, given, value = text.partition("=")
    if not given or not name.strip("."):
        raise UsageError(f"--set {text}: give section.key=value, such as classify.model.lr=0.01")
    refuse_unknown(path, "", [name.partition(".")[0]], list(dict.fromkeys([*whole, *_ENTRIES[1:], "folds", "fold"])))
    try:
        with yaml_faults():
            return OmegaConf.from_dotlist([text])
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise UsageError(f"--set {text}: '{value}' is no value of YAML") from error


def _section(path: Path, name: str, given: Mapping[str, Any], words: Sequence[str]) -> Section:
    if given.get("use") is not None:
        if words:
            raise UsageError(f"{name} uses the weights {given['use']}: nothing is trained that --args could change")
        return Section(name, None, str(given["use"]))
    own = {key: given[key] for key in (*_GROUPS, "seed_everything") if given.get(key) is not None}
    fit = FITS[name]
    whole: dict[str, Any] = {"seed_everything": 0}
    whole |= {group: {"class_path": kind, "init_args": {}} for group, kind in (("model", fit.task), ("data", fit.data))}
    for layer in [*(given.get("config") or []), own, *_arguments(words)]:
        require_layer(path, name, layer)
        whole = _over(whole, layer)
    if "wandb" in whole:
        raise UsageError(f"{name}: Weights & Biases is for a whole pipeline, by --wandb, not for one of its trainings")
    resolved: Any = OmegaConf.to_container(OmegaConf.create(whole), resolve=True)
    require_settings(path, name, resolved)
    return Section(name, resolved, None)


def _over(below: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a configuration over another; another class begins without the arguments of the one below."""
    result = dict(below)
    for name, value in layer.items():
        known = dict(below.get(name) or {}) if name in _GROUPS else {}
        if name == "trainer":
            result[name] = known | value
        elif name in _GROUPS:
            part = dict(value)
            init_args = dict(part.pop("init_args", None) or {})
            class_path = part.pop("class_path", known.get("class_path"))
            short = {key: known[key] for key in known if key not in ("class_path", "init_args")}
            kept = {**known.get("init_args", {}), **short} if class_path == known.get("class_path") else {}
            result[name] = {"class_path": class_path} if class_path else {}
            given = {**kept, **init_args, **part}  # `part`: the short form
            result[name]["init_args"] = {
                key: str(each)
                if key.endswith("_people") and isinstance(each, int)
                else on_or_off(each)
                if key == "denoise"
                else each
                for key, each in given.items()
            }  # YAML reads a person's number as a number, and `off` as false
        else:
            result[name] = value
    return result


def _words(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError as error:
        raise UsageError(f"--args {arguments}: {error}") from error


def _arguments(words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Turn words of LightningCLI's command line into configurations to lay above."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, given, value = word.partition("=")
        if not name.startswith("--"):
            raise UsageError(f"--args: '{word}' is no option, such as --model.init_args.lr=0.01")
        if not given:
            if not rest:
                raise UsageError(f"--args: {name} lacks its value")
            value = rest.pop(0)
        first, *inner = name[2:].split(".")
        if first == "config" and not inner:
            yield _read(Path(value))
        elif first in _GROUPS and not inner:
            yield (
                {first: _read(Path(value))}
                if Path(value).suffix in (".yaml", ".yml")
                else {first: {"class_path": value}}
            )
        elif first in _GROUPS or first == "seed_everything":
            given_here = _override(Path("--args"), f"{name[2:]}={value}", dict.fromkeys(_SECTION))
            laid: Any = OmegaConf.to_container(given_here)
            yield laid
        else:
            raise UsageError(f"--args: {name} is none of --config, --seed_everything, --model, --data and --trainer")
