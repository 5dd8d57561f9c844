"""Files of settings and facts, read whole: never more than a limit, and never what does not end or blocks."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFBIG, EINVAL
from pathlib import Path
from typing import Any

from vidfer.limits import MAX_CONFIG_BYTES, MAX_CONFIG_DEPTH, MAX_CONFIG_NODES, MAX_JSON_BYTES


def read_bounded(path: Path, most: int) -> bytes:
    """Read a regular file of at most `most` bytes.

    Raises:
        OSError: It cannot be read, is a device or a pipe, or is larger; `strerror` says so.
    """
    try:  # without waiting for the other end of a pipe
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(EINVAL, "no file can have that name", str(path)) from error
    with os.fdopen(number, "rb") as file:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            reason = "it is a folder" if stat.S_ISDIR(about.st_mode) else "it is no regular file"
            raise OSError(EINVAL, reason, str(path))
        data = file.read(min(about.st_size, most) + 1)  # memory for all that is asked for is taken at once
        if len(data) > about.st_size:  # it has grown meanwhile
            data += file.read(most + 1 - len(data))
    if len(data) > most:
        raise OSError(EFBIG, f"it is larger than the {most:,} bytes that are read", str(path))
    return data


def parse_json(data: bytes | str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Parse JSON.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read a JSON file; raises what `read_bounded` and `parse_json` do."""
    return parse_json(read_bounded(path, MAX_JSON_BYTES))


def read_yaml(path: Path) -> str:
    """Read a YAML file as text, which `yaml_faults` and a safe loader turn into values.

    Raises:
        OSError: As `read_bounded`.
        UnicodeDecodeError: It is not UTF-8.
        YAMLError: It is none, is nested too deeply, or its aliases stand for very many values.
    """
    text = read_bounded(path, MAX_CONFIG_BYTES).decode("utf-8-sig")
    check_yaml(text)
    return text


@contextmanager
def yaml_faults() -> Iterator[None]:
    """Turn into YAMLError what PyYAML raises else on values that cannot be, such as the date 2001-13-45."""
    import yaml

    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        raise yaml.YAMLError("it is nested too deeply" if deep else f"a value cannot be read ({error})") from error


def check_yaml(text: str) -> None:
    """Refuse YAML that would overflow a loader's stack, at which LibYAML ends the process, or by its aliases the memory.

    Raises:
        YAMLError: It is none, is too long, is nested too deeply, or its aliases stand for very many values.
    """
    import yaml

    if len(text) > MAX_CONFIG_BYTES:
        raise yaml.YAMLError(f"it is longer than {MAX_CONFIG_BYTES:,} characters")
    sizes: dict[str, int] = {}  # values that an anchor stands for
    inside: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            inside.append((anchor, 1))
            if len(inside) > MAX_CONFIG_DEPTH:
                raise yaml.YAMLError(f"it is nested more than {MAX_CONFIG_DEPTH} times")
        elif isinstance(event, yaml.CollectionEndEvent | yaml.ScalarEvent | yaml.AliasEvent):
            size = 1
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, size = inside.pop()
            elif isinstance(event, yaml.AliasEvent):
                size = _complete(sizes, event.anchor)
            if anchor is not None:
                sizes[anchor] = size
            inside[-1] = inside[-1][0], inside[-1][1] + size
    if inside[0][1] > MAX_CONFIG_NODES:
        raise yaml.YAMLError(f"its aliases stand for more than {MAX_CONFIG_NODES:,} values")


def _complete(sizes: dict[str, int], anchor: str) -> int:
    import yaml

    if anchor not in sizes:
        raise yaml.YAMLError(f"its alias *{anchor} names nothing that is complete there")
    return sizes[anchor]
