import html
import json
import re

import pytest

from tests.results.fake import tables_of
from tests.results.made import summary_of
from vidfer.pages.environment import NOTHING, environment, number, percent, script_json, seconds
from vidfer.pages.report import render_report
from vidfer.results.names import visible
from vidfer.results.pictures import Pictures

HOSTILE = [
    '"><img src=x onerror=1>.mp4',
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>&amp;&lt;b&gt;",
    "line\u2028break\u2029",
    "abc\u202egpj.mp4",
    "\u2066isolated",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "' onfocus=alert(1) autofocus='",
    "bell\x07\x00\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_from_outside_ends_no_element_and_comes_back_as_json(text):
    assert json.loads(script_json({"a": text}))["a"] == text
    assert not set("<>&\u2028\u2029") & set(script_json(text))
    shown = environment().from_string("<p>{{ text | name }}</p>").render(text=text)
    inside = re.fullmatch(r"<p><bdi>([^<>]*)</bdi></p>", shown)[1]
    assert html.unescape(inside) == visible(text)
    assert not {"\u202e", "\u2066", "\u2028", "\x07", "\x00"} & set(visible(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_of_a_hostile_clip_has_no_element_more(text):
    def elements(clip_id):
        page = render_report(tables_of(clip_id), summary_of(2), Pictures()).decode()
        return re.findall(r"<[a-z!/][^\s>]*", page)

    assert elements(text) == elements("plain.mp4")


def test_names_of_ordinary_scripts_stay_as_they_are():
    for name in ("Zoë", "علی‌رضا", "李雷", "👩‍🔬", "Дина"):
        assert visible(name) == name


def test_numbers_are_written_for_people():
    assert [seconds(value) for value in (0, 59.96, 125, 3723.25, None, float("nan"))] == [
        "0.0 s",
        "1:00.0",
        "2:05.0",
        "1:02:03.2",
        NOTHING,
        NOTHING,
    ]
    assert (number(0.125, 1), number(float("nan")), percent(1 / 3), percent(None)) == ("0.1", NOTHING, "33 %", NOTHING)
