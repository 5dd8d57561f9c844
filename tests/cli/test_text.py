import pytest
from rich.cells import cell_len

from vidfer.cli.display import fault, say
from vidfer.cli.logs import Telling, telling
from vidfer.cli.text import shorten

NAMES = [
    "holiday/2019/MVI_0012.mp4",
    "日本語のとても長いファイル名です.mp4",
    "e\u0301" * 30 + ".mp4",
    "👩‍👩‍👧‍👦" * 10,
    "a" * 300,
    "",
]


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("mark", ["…", "..."])
def test_a_shortened_text_fits_and_keeps_both_ends(text, mark):
    for width in range(40):
        short = shorten(text, width, mark)
        assert cell_len(short) <= width
        if cell_len(text) <= width:
            assert short == text
        elif width >= 10:
            head, _, tail = short.partition(mark)
            assert text.startswith(head.rstrip())
            assert text.endswith(tail)
            assert tail
            assert cell_len(short) >= width - 4


def test_the_name_of_a_file_stays_whole_where_it_fits():
    for width in range(13, 24):
        assert shorten("holiday/2019/MVI_0012.mp4", width).endswith("MVI_0012.mp4")
    assert shorten("holiday/2019/MVI_0012.mp4", 12) == "holid…12.mp4"


def test_no_combining_character_is_torn_from_its_base():
    for width in range(4, 30):
        assert not shorten("e\u0301" * 30, width).partition("…")[2].startswith("\u0301")


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200f", "\x1b", "\x07", "\u2028"])
def test_no_name_turns_or_commands_the_terminal(sign, capsys):
    with telling(Telling(), ["vidfer"]):
        fault(f"a{sign}gpj.mp4: corrupt: nothing could be decoded")
        say("one line\nand another, 👩\u200d🚀")
    told = capsys.readouterr().err
    assert sign not in told
    assert "gpj.mp4: corrupt" in told
    assert "one line\nand another, 👩\u200d🚀" in told
