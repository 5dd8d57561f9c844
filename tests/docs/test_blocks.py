"""What runs the documentation's blocks notices a block that is wrong."""

import pytest

from tests.docs.blocks import Page, assert_printed, check, commands


def page(tmp_path, text):
    (tmp_path / "page.md").write_text(text)
    return Page(tmp_path / "page.md", tmp_path)


@pytest.mark.parametrize(
    "line", ["vidfer analyze clip.mp4 --nosuch 1", "vidfer analyze clip.mp4 --fps many", "make nosuch"]
)
def test_a_command_that_cannot_be_given_is_found(line):
    with pytest.raises(AssertionError):
        check(line)


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfalse\n```",
        "```sh\nvidfer weights show nosuch\n```",
        "```python\nassert 1 == 2\n```",
        "```sh\necho one\n```\n\n```text\ntwo\n```",
        "```json\n{]\n```",
        "```brainfuck\n+\n```",
        "```sh\nmake lint\n```",
    ],
)
def test_a_block_that_fails_is_found(tmp_path, text):
    with pytest.raises((AssertionError, ValueError, KeyError)):
        page(tmp_path, text).run()


def test_blocks_share_a_folder_and_a_namespace(tmp_path):
    text = (
        "`sub.csv`:\n\n```csv\na\n7\n```\n\n```sh\ncat sub.csv  # shown\n```\n\n```text\na\n5\n```\n"
        "```python\nx = int(open('sub.csv').read().split()[1])\n```\n\n```python\nprint(x * x)\n```\n\n```text\n49\n```\n"
    )
    assert page(tmp_path, text).run() == {"cat sub.csv": "a\n7\n"}


def test_what_is_shown_is_held_against_what_was_printed():
    printed = "one 12 ──────\ntwo 0.5\nthree\n"
    for shown in ("one 7 ───\ntwo 0.9\n", "...\nthree\n", "one 1 ─\n...\nthree"):
        assert_printed(shown, printed)
    for shown in ("two 0.5", "one 12 ─\nthree", "...\nfour", "one 1.2 ─"):
        with pytest.raises(AssertionError):
            assert_printed(shown, printed)


def test_numbers_are_held_to_what_is_near():
    assert_printed("happy 0.88 of 7", "happy  0.87 of 9", near=0.02)
    with pytest.raises(AssertionError):
        assert_printed("happy 0.88", "happy 0.85", near=0.02)


def test_commands_are_read_without_comments_and_over_lines():
    block = "# first\n.venv/bin/vidfer analyze a.mp4 \\\n    --fps 2   # more\nmake demo\n"
    assert commands(block) == ["vidfer analyze a.mp4 --fps 2", "make demo"]
