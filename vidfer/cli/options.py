"""Command-line options made from the dataclass that a verb's function takes.

A verb is a function of one dataclass that returns an exit status. The dataclass's docstring is the verb's help, its `Args`, types
and defaults are the options', and `__post_init__` checks ranges by raising `VidferError`:

    @dataclass(frozen=True)
    class GcOptions:
        # docstring: Remove what is old from the store.
        #     Args:
        #         stages: Stages to look at.
        #         older_than: Age in days.
        #         yes: Really remove.

        stages: tuple[str, ...]  # no default: required, --stages faces,audio
        older_than: float = field(default=30.0, metadata={"metavar": "DAYS"})  # --older-than DAYS
        yes: bool = False  # --yes

    def gc(options: GcOptions) -> int: ...

    ACTIONS = {"gc": "vidfer.cli.cache.gc"}  # of a verb with actions; one without has the function `run` instead

A `tuple` is a list divided by commas, a `list` an option that may be repeated, `field(metadata=POSITIONAL)` an argument without
dashes. A field that is itself a dataclass adds its own options, but for those of a name that the outer one has too. Its metadata
`groups` are titles with the names below each, and of the names in `exclusive` only one may be given; `short` is a second name
such as `-q`; other metadata goes on to `add_argument`.
"""

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Generic, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import yaml
from docstring_parser import parse_from_object
from jsonargparse import ArgumentParser, get_loader, set_loader

from vidfer.cli.logs import Telling
from vidfer.cli.put import put_error
from vidfer.limits import MAX_CONFIG_DEPTH
from vidfer.pipeline.bounded import check_yaml, yaml_faults
from vidfer.types import UsageError, VidferError, did_you_mean, parse_list

Options = TypeVar("Options")

POSITIONAL = {"positional": True}
"""Metadata of a field that is an argument without dashes: a `list` takes one or more words, with a default none or more."""

_METAVARS = {int: "N", float: "X", Path: "PATH", str: "NAME"}
_NOUNS = {"int": "a whole number", "float": "a number", "bool": "true or false", "PosixPath": "a path"}

_load_yaml: Final = get_loader("yaml")


def _load_bounded(text: str) -> Any:  # noqa: ANN401 - any YAML
    """Load YAML, such as the file of `--config`, or refuse it by YAMLError, whatever it holds."""
    with yaml_faults():
        if len(text) > MAX_CONFIG_DEPTH or "*" in text:
            check_yaml(text)
        return _load_yaml(text)


set_loader("yaml", _load_bounded, exceptions=(yaml.YAMLError,))


class StrictParser(ArgumentParser):
    """A parser that takes no abbreviations and ends wrong usage with one sentence and exit status 2."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - jsonargparse's own
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def parse_args(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - jsonargparse's own
        """Parse words; a configuration file that is no text ends it as other wrong usage does."""
        try:
            return super().parse_args(*args, **options)
        except UnicodeDecodeError as error:
            self.error(f"the configuration is no UTF-8 text ({error.reason})", error)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong, and what may have been meant."""
        if not self.exit_on_error:
            super().error(message, ex)
        parser = getattr(ex, "subcommand_parser", None) or self
        put_error(parser.prog.replace(" [options]", ""), _sentence(message, parser), wrapped=False)
        raise SystemExit(2)


class VerbParser(StrictParser, Generic[Options]):
    """The parser of a verb or action, such as `cache gc`: a dataclass's options, a configuration file, and variables."""

    def __init__(self, words: str, kind: type[Options]) -> None:
        variable = f"VIDFER_{words.upper().replace(' ', '_')}"
        super().__init__(
            prog=f"vidfer {words}", formatter_class=argparse.HelpFormatter, default_env=True, env_prefix=variable
        )
        docs = parse_from_object(kind)
        self.about = (docs.short_description or "").replace("`", "")
        self.description = " ".join([self.about, docs.long_description or ""]).replace("`", "")
        self._kind = kind
        self._exclusive: list[str] = []
        self._titled: dict[str, Any] = {}
        self._add_fields(kind, set())
        self._titled |= dict.fromkeys(_fields(Telling), self.add_argument_group("how much is told, by every command"))
        self._add_fields(Telling, set())
        self.telling = Telling()
        self.add_argument("--config", action="config", metavar="FILE", help="Read options from a YAML file")
        self._option_string_actions["--help"].help = "Print this help"
        print_config = self._option_string_actions["--print_config"]
        print_config.help, print_config.metavar = "Print all options as such a file, and do nothing else", ""
        needed = [action for action in self._actions if action.required]
        named = [f"{next(iter(action.option_strings), '')} {_words(action)}".strip() for action in needed]
        optional = [_words(action) for action in self._actions if not (action.required or action.option_strings)]
        self.usage = " ".join([self.prog, *named, *optional, "[options]"])
        self.epilog = f"Each option can also be set by an environment variable, such as {variable}_CONFIG."

    def parse(self, words: Sequence[str]) -> Options:
        """Parse command-line words, and set `telling`; wrong usage ends the process with exit status 2."""
        if any(
            not word or re.fullmatch(r"--[\w-]+=", word) for word in words
        ):  # a path of no name would be this folder
            self.error("an argument is empty: it may come from a variable of the shell that is not set")
        found = vars(self.parse_args(list(words)))
        given = [name for name in self._exclusive if found[name] is not None]
        if len(given) > 1:
            self.error(f"{' and '.join(map(_option, given))} exclude each other: give one of them")
        values = {name: value for name, value in found.items() if value is not None}
        try:
            self.telling = _make(Telling, values)
            return _make(self._kind, values)
        except VidferError as error:
            self.error(str(error))

    def _add_fields(self, kind: type[Any], taken: set[str]) -> None:
        """Add a dataclass's options, those of its own fields before those of dataclasses inside it."""
        helps = {param.arg_name: param.description or "" for param in parse_from_object(kind).params}
        free = {name: field for name, field in _fields(kind).items() if name not in taken}
        inner = [field for field in free.values() if _is_options(field[1])]
        for field, _ in inner:
            self._exclusive += field.metadata.get("exclusive", ())
            for title, names in field.metadata.get("groups", {}).items():
                self._titled |= dict.fromkeys(names, self.add_argument_group(title))
        taken |= set(free)
        for name, (field, hint) in free.items():
            if not _is_options(hint):
                self._add_field(self._titled.get(name, self), field, hint, helps.get(name, ""))
        for _, hint in inner:
            self._add_fields(hint, taken)

    def _add_field(self, where: Any, field: "dataclasses.Field[Any]", hint: Any, text: str) -> None:  # noqa: ANN401
        default = dataclasses.MISSING if field.default_factory is dataclasses.MISSING else field.default_factory()
        default = default if field.default is dataclasses.MISSING else field.default
        required, more = default is dataclasses.MISSING, dict(field.metadata)
        positional, short = more.pop("positional", False), more.pop("short", None)
        if positional:
            nargs = ("+" if required else "*") if get_origin(hint) is list else None if required else "?"
            how = {"nargs": nargs, "type": _base(hint), "metavar": field.name.upper()}
        else:
            how = {**_value(field.name, hint), "required": required}
        if not required:
            how["default"] = None if field.name in self._exclusive else default
        name = field.name if positional else _option(field.name)
        if default is True:
            how, name = {"action": "store_false", "dest": field.name, "default": True}, _option(f"no_{field.name}")
        where.add_argument(*filter(None, [short, name]), **{"help": _help(text, default), **how, **more})


def load(words: str, function: str) -> "tuple[VerbParser[Any], Callable[[Any], int]]":
    """Import a verb's function by its dotted name, and make the parser of the dataclass that it takes."""
    module, _, name = function.rpartition(".")
    run = getattr(import_module(module), name)
    hints = get_type_hints(run)
    return VerbParser(words, next(hint for name, hint in hints.items() if name != "return")), run


def _make(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Make a dataclass, and those inside it, of options' values by name."""
    chosen = {name: values[name] for name in _fields(kind) if name in values}
    return kind(
        **chosen, **{name: _make(hint, values) for name, (_, hint) in _fields(kind).items() if _is_options(hint)}
    )


def _fields(kind: type[Any]) -> "dict[str, tuple[dataclasses.Field[Any], Any]]":
    hints = get_type_hints(kind)
    return {field.name: (field, hints[field.name]) for field in dataclasses.fields(kind)}


def _is_options(hint: Any) -> bool:  # noqa: ANN401 - any type
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _words(action: argparse.Action) -> str:
    """Return what stands for an argument's words in the usage."""
    form = {"+": "{0} [{0} ...]", "*": "[{0} ...]", "?": "[{0}]"}.get(str(action.nargs), "{0}")
    return form.format(action.metavar)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _base(hint: Any) -> Any:  # noqa: ANN401 - any type
    """Return the type of a value: of a list's or tuple's items, and without None."""
    inner = [each for each in get_args(hint) if each not in (type(None), ...)]
    return hint if get_origin(hint) is Literal or not inner else _base(inner[0])


def _value(name: str, hint: Any) -> dict[str, Any]:  # noqa: ANN401 - any type
    """Return how an option's value is parsed, and what stands for it in the help."""
    base = _base(hint)
    kinds = [get_origin(each) for each in (hint, *get_args(hint))]
    if base is bool:
        return {"action": "store_true"}
    choices = get_args(base) if get_origin(base) is Literal else ()
    named = "NAME|FILE" if name.endswith("_model") else _METAVARS.get(base, "VALUE")
    metavar = "|".join(map(str, choices)) or named
    if tuple in kinds:
        item = str if choices else base
        parser = partial(_parse_tuple, item=item, what=name.removesuffix("s").replace("_", " "), choices=choices)
        return {"type": parser, "metavar": f"{'NAME' if choices else metavar},..."}
    return {"type": base if list in kinds else hint, "metavar": metavar} | (
        {"action": "append"} if list in kinds else {}
    )


def _parse_tuple(value: Any, item: Any, what: str, choices: Sequence[str]) -> tuple[Any, ...]:  # noqa: ANN401
    """Parse a list divided by commas, or take the items of one in a configuration file."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    try:
        return parse_list(text, item, what=what, choices=choices)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _help(text: str, default: Any) -> str:  # noqa: ANN401 - any value
    """Return an option's help as one line, with its default."""
    line = " ".join(text.replace("`", "").split()).removesuffix(".")
    if default in (None, False, "", [], ()) or default is dataclasses.MISSING or "default" in line:
        return line.replace("%", "%%")
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else f"{default}"
    return f"{line} (default: {shown.removesuffix('.0')})".replace("%", "%%")


def _sentence(message: str, parser: ArgumentParser) -> str:
    """Make one sentence of a message of jsonargparse's, by the names that the command line uses."""
    line = " ".join(message.split()).replace("File does not exist: ", "there is no file ")
    if found := re.match(r"unrecognized arguments: (.*)", message, re.DOTALL):
        known = [name for name in parser._option_string_actions if name.startswith("--")]
        if not found[1].startswith("-"):
            return f"unrecognized arguments: {found[1]} (what is no option has to stand together, before the options)"
        return f"unrecognized arguments: {found[1]}{did_you_mean(found[1].split()[0].partition('=')[0], known)}"
    if found := re.match(r"the following arguments are required: (.*)", message):
        named = {action.dest: str(action.metavar) for action in parser._actions if not action.option_strings}
        chosen = {
            action.dest: f"{_option(action.dest)} {action.metavar}"
            for action in parser._actions
            if "|" in str(action.metavar)
        }
        named = chosen | named
        return "missing: " + ", ".join(named.get(name) or _option(name) for name in found[1].split(", "))
    if found := re.search(r"ption '([^']+)'( is not accepted|$)", message):
        where = re.search(r"class_path '(?:\w+\.)*(\w+)'", message)
        hint = did_you_mean(found[1], [action.dest for action in parser._actions])
        return f"{where[1] if where else 'the configuration'} takes no option '{found[1]}'{hint}"
    unknown = r"Expected a dot import path string: (\S+)|class_path '(\S+)':\s+(?:module \S+ has no attribute|No module named)"
    if found := re.search(unknown, message):
        return f"there is no class '{found[1] or found[2]}'"
    inner = re.findall(r'Parser key "[^"]+":\s*Expected a <class \'(\w+)\'>. Got value: (.*)', message)
    keys = re.findall(r'Parser key "([^"]+)"', message)[: None if inner else 1]
    action = next((each for each in parser._actions if each.dest == ".".join(keys)), None)
    name = f"--{'.'.join(keys)}" if action is None else next(iter(action.option_strings), str(action.metavar))
    base = _base(getattr(action, "_typehint", None))
    value = re.search(r"(?:Got|Given) value: ([^\n]*)", message)
    kind, given = inner[-1] if inner else (getattr(base, "__name__", ""), value and value[1])
    wanted = f"one of {', '.join(map(str, get_args(base)))}" if get_origin(base) is Literal else _NOUNS.get(kind)
    if keys and value and wanted:
        return f"{name}: '{given}' is not {wanted}"
    return re.sub(r'Parser key "([^"]+)"', r"--\1", line).removeprefix("argument ")
