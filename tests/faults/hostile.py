"""What someone might send who means ill: names, tables, JSON and YAML, and how to see that a file was opened."""

import ctypes
import json
import os
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

CANARY = b"canary-7f3a91"
"""Contents of a file outside the input."""

NAMES = (
    *("a\nINJECTED.mp4", "a\r\nINJECTED.mp4", "\x1b[31mred.mp4", "\x1b]0;title\x07.mp4", "\x9b31m.mp4", "\x7f\x01.mp4"),
    *(
        "=cmd|'!A0.mp4",
        "+1.mp4",
        "-1.mp4",
        "--out.mp4",
        "-",
        "@SUM(1).mp4",
        "\t=1.mp4",
        "\r=1.mp4",
        "'=1.mp4",
        "%=1.mp4",
    ),
    *(
        "'a'\".mp4",
        "<script>alert(1).mp4",
        '"><img src=x onerror=alert(1)>.mp4',
        "]]>.mp4",
        "--><b>.mp4",
        "&lt;&#60;.mp4",
    ),
    *(
        "\u202egpj.mp4",
        "\u2066x\u2069.mp4",
        "\ufeffbom.mp4",
        "\u2028ls.mp4",
        "e\u0301.mp4",
        "\U0001f600\u200d\U0001f467.mp4",
    ),
    *(
        "x" * 251 + ".mp4",
        "\u00e9" * 125 + ".mp4",
        "CON.mp4",
        "NUL",
        "aux.mp4",
        "a:b.mp4",
        "a\\b.mp4",
        "..\\..\\up.mp4",
        "dot.",
    ),
    *(
        "~.mp4",
        "$(touch pwn).mp4",
        "`id`.mp4",
        "%s%n.mp4",
        "{{7*7}}.mp4",
        "${x}.mp4",
        "caf\udce9.mp4",
        "\udcff\udcfe",
        "*?.mp4",
    ),
    *("a,b;c.mp4", " lead.mp4", "trail .mp4", "a?b#c&d=1.mp4", "javascript:alert(1).mp4", "concat:x.mp4", "a|b.mp4"),
    *(
        "summary.json",
        "report.html",
        "clips.csv",
        "clips.parquet",
        "index.html",
        "[red]x.mp4",
        "https:evil.mp4",
        "file:x.mp4",
    ),
)
"""Names that a file can have; the lone surrogates stand for bytes that are no UTF-8."""

SIGNS = (
    *"a0 .-_~'\"`<>&=+@|;:,\\%$#?!*()[]{}",
    *"\n\r\t\x01\x07\x1b\x7f\x85\x9b\u00e9\u0301\u200d\u200e\u202e\u2066\u2028\ufeff\ufffe\U0001f600\udc80\udcff",
)
"""Signs of which further names are made."""


def names() -> st.SearchStrategy[str]:
    """Further names that a file can have, of at most 255 bytes."""
    made = st.lists(st.sampled_from(SIGNS), min_size=1, max_size=24).map("".join)
    kept = made.filter(lambda name: name[0] != "." and len(os.fsencode(name)) <= 250)
    return st.tuples(kept, st.sampled_from(("", ".mp4", ".JPG", ".csv"))).map("".join)


WORDS = st.sampled_from(
    (
        *(
            "clip",
            "path",
            "a.mp4",
            "*",
            "0",
            "1e5",
            "-1",
            "NaN",
            "inf",
            "1e999",
            "=cmd",
            "+1",
            "@x",
            "\0",
            "\0/x",
            "loop/x",
        ),
        *(
            "../x",
            "/etc/passwd",
            "/dev/zero",
            "'",
            '"',
            "\n",
            "\r",
            ",",
            ";",
            "\t",
            "\u0663",
            "\uff19",
            "1_000",
            " ",
            "true",
        ),
        *(
            "\ufeff",
            "x" * 5000,
            "\u00b2",
            "1,5",
            "nobody",
            "a.mp4#1",
            "exclude",
            "-0",
            "0x1",
            "\x1b[31m",
            "\u202e",
            "\ud800",
        ),
    )
)


def tables(header: Sequence[str]) -> st.SearchStrategy[bytes]:
    """CSV files with this header and perhaps more columns, some with bytes changed, and bytes that are none."""
    cell = st.one_of(WORDS, st.text(max_size=8), st.floats().map(str), st.integers().map(str))
    parts = st.tuples(
        st.lists(cell, max_size=2), st.lists(st.lists(cell, max_size=7), max_size=5), st.sampled_from(",;\t")
    )

    def encode(drawn: tuple[list[str], list[list[str]], str]) -> bytes:
        more, rows, mark = drawn
        lines = [[*header, *more], *([*row, *[""] * 9][: len(header) + len(more)] for row in rows)]
        quoted = [
            ['"' + each.replace('"', '""') + '"' if {*each} & {mark, *'"\n\r'} else each for each in row]
            for row in lines
        ]
        return "\n".join(map(mark.join, quoted)).encode("utf-8", "surrogatepass")

    whole = parts.map(encode)
    return st.one_of(whole, changed(whole), st.binary(max_size=60))


def changed(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """The same with bytes put in the place of others."""

    def change(drawn: tuple[bytes, list[tuple[int, bytes]]]) -> bytes:
        data = bytearray(drawn[0])
        for at, new in drawn[1]:
            at %= len(data) + 1
            data[at : at + 1] = new
        return bytes(data)

    places = st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), min_size=1, max_size=4)
    return st.tuples(whole, places).map(change)


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
_GONE = object()


def documents(valid: Any, further: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    """A valid document with one of its values, anywhere, removed or replaced by any other."""

    def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield above
        inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in inside:
            yield from places(inner, (*above, key))

    def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
        if not place:
            return {} if new is _GONE else new
        copy = dict(value) if isinstance(value, Mapping) else list(value)
        if len(place) == 1 and new is _GONE:
            del copy[place[0]]
        else:
            copy[place[0]] = put(copy[place[0]], place[1:], new)
        return copy

    new = st.one_of(_VALUES, st.just(_GONE), *([st.sampled_from(further)] if further else []))
    return st.tuples(st.sampled_from(list(places(valid))), new).map(lambda drawn: put(valid, *drawn))


def jsons(valid: Any, further: Sequence[Any] = ()) -> st.SearchStrategy[bytes]:
    """JSON files almost like a valid one, some with bytes changed, and some that no reader should fall for."""
    encoded = documents(valid, further).map(lambda value: json.dumps(value).encode())
    odd = (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[1e999]",
        b"9" * 5000,
        b"",
        b"\xef\xbb\xbf{}",
        b"null",
        b'"\xed\xa0\x80"',
    )
    return st.one_of(encoded, encoded, changed(encoded), st.binary(max_size=40), st.sampled_from(odd))


YAML_TRICKS = (
    *(
        b"*a",
        b"&a ",
        b"!!int ",
        b"!!timestamp ",
        b"!!binary ",
        b"!!set ",
        b"2001-99-99",
        b"? ",
        b"<<: ",
        b"- ",
        b"{",
        b"[",
    ),
    *(b"${x}", b"0x", b"0b", b"!!float ", b"1:2:3", b"!!python/object/apply:os.system [false] ", b"\0", b"\xff"),
)
BOMB = b"a: &a [1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"%c: &%c [%b]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
)
"""Ten lines of YAML that stand for 3,486,784,401 numbers."""

YAML_FILES = (
    *(
        BOMB,
        b"[" * 30_000,
        b"a: " + b"[" * 300 + b"]" * 300,
        b"- " * 30_000,
        b"a: !!int ''",
        b"a: 0x",
        b"a: 2001-13-45",
    ),
    *(b"a: !!timestamp x", b"a: &a [*a]", b"a: &a {<<: *a}", b"? [1]\n: 2", b"? {a: 1}\n: 2", b"a: .inf", b"\xff\xfe"),
    *(b"%YAML 9.9\n---\n", b"--- 1\n--- 2\n"),
)


def yamls(text: str) -> st.SearchStrategy[bytes]:
    """YAML files almost like a valid one, and some that no reader should fall for."""
    whole, valid = text.encode(), yaml.safe_load(text)
    places = st.lists(st.tuples(st.integers(0, len(whole)), st.sampled_from(YAML_TRICKS)), min_size=1, max_size=4)

    def insert(drawn: list[tuple[int, bytes]]) -> bytes:
        data = whole
        for at, trick in drawn:
            data = data[:at] + trick + data[at:]
        return data

    return st.one_of(jsons(valid), jsons(valid), places.map(insert), st.sampled_from(YAML_FILES))


@contextmanager
def opened(*paths: Path) -> Iterator[list[str]]:
    """Collect the names of those of some files that anything on this machine opens while the block runs."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux's inotify to see that a file is opened")
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    if watch < 0:
        pytest.skip("this system lends no inotify instance")
    open_event = 0x20
    numbers = {libc.inotify_add_watch(watch, os.fsencode(path), open_event): path.name for path in paths}
    found: list[str] = []
    try:
        yield found
        while True:
            data = os.read(watch, 65536)
            while data:
                number, _, _, length = struct.unpack_from("iIII", data)
                found.append(numbers[number])
                data = data[16 + length :]
    except BlockingIOError:
        pass
    finally:
        os.close(watch)
