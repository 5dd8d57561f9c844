"""The page of a run, from tables alone."""

import html
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from tests.results.fake import tables_of
from vidfer.pages.index import Found, Place, render_index
from vidfer.pages.shares import bar_of, bars_of, kinds_of
from vidfer.results.tally import KINDS, Tally
from vidfer.types import EMOTIONS

HOSTILE = [
    '"><img src=x onerror=1>.mp4',
    "</script><script>alert(1)</script>.mp4",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}.mp4",
    "<!--.mp4",
    "a'b`c&amp;d.mp4",
    "\u202egpj.mp4",
]


class Page(HTMLParser):
    """Elements by name with their attributes, and the text of those that are shown."""

    def __init__(self, data):
        super().__init__()
        self.elements, self.text, self._inside = [], "", []
        self.feed(data.decode())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        self._inside = self._inside[: len(self._inside) - 1 - self._inside[::-1].index(tag)]

    def handle_data(self, data):
        if not {"script", "style"} & set(self._inside):
            self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def found_of(names, places=None, **columns):
    """Make what a run of clips with these ids is known by; columns are those of table `clips`."""
    clips, people = (pd.concat([tables_of("")[table]] * len(names), ignore_index=True) for table in ("clips", "people"))
    clips = clips.assign(clip_id=pd.array(names, "string"), status="ok", duration_s=10.0, n_people=2)
    owner = people["clip_id"] = pd.array([name for name in names for _ in range(2)], "string")
    people["person_id"] = owner + "#" + people["person"].astype("string")
    time = pd.DataFrame(0.0, index=names, columns=list(KINDS)).assign(happy=6.0, sad=2.0, none=1.0)
    means = pd.DataFrame(
        {"clip_id": names, "person_id": [f"{name}#1" for name in names], **dict.fromkeys(EMOTIONS, 0.1)}
    )
    means = means.assign(happy=[0.1 * (at % 5) for at in range(len(names))])
    return Found("run", clips.assign(**columns), people, Tally(time, means), places or {})


def test_hostile_names_are_text():
    shown = {"message": HOSTILE[0]}
    found = found_of(
        HOSTILE, {name: Place(**shown) for name in HOSTILE}, condition=HOSTILE, participant=HOSTILE, status=HOSTILE
    )
    people = found.people.assign(person_name=HOSTILE[1])
    page = Page(
        render_index(
            Found(HOSTILE[1], found.clips, people, found.tally, found.places, models=HOSTILE, warnings=HOSTILE)
        )
    )
    names = {name for name, _ in page.elements}
    assert not names & {"iframe", "object", "embed", "base"}
    assert not page.of("img")
    assert len(page.of("script")) == 3  # early, data, late
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
    assert all(attributes.get("href", "#").startswith(("#", "data:,")) for _, attributes in page.elements)
    for name in HOSTILE[:-1]:
        assert page.text.count(name) >= 4
    assert "\u202e" not in page.text
    assert "\\u202egpj.mp4" in page.text


def test_only_what_the_page_itself_brings_may_run():
    (policy,) = [one["content"] for one in Page(render_index(found_of(["a"]))).of("meta") if "http-equiv" in one]
    assert policy.startswith("default-src 'none'; img-src 'self' file: data:;")
    assert "unsafe" not in policy


def test_a_row_says_what_became_of_a_clip_and_links_to_its_report():
    found = found_of(["a.mp4", "b.mp4"], {"a.mp4": Place("./a.mp4/report.html", "./a.mp4/poster.jpg")})
    found.clips.loc[1, ["predominant", "margin", "agreement", "duration_s"]] = None
    found.clips.loc[1, "status"] = "corrupt"
    text = render_index(found).decode()
    first, second = re.findall(r"<tr data-status.*?</tr>", text, re.DOTALL)
    assert 'href="./a.mp4/report.html"' in first
    assert 'src="./a.mp4/poster.jpg"' in first
    assert "0.50" in first
    assert "<a" not in second
    assert "<img" not in second
    assert html.unescape(re.sub("<[^>]*>", " ", second)).split() == [
        "b.mp4",
        "happy",
        "corrupt",
        *"\u2013\u2013",
        "happy",
        "happy",
        "\u2013",
        "2",
        "\u2013",
    ]


def test_bars_are_shares_of_all_and_of_groups_with_something_to_show():
    clips = pd.DataFrame({"status": ["ok", "ok", "corrupt"], "condition": ["x", "y", None]}).astype("string")
    amounts = pd.DataFrame({"happy": [3.0, 0.0, 0.0], "sad": [1.0, 4.0, 0.0]})
    bars = bars_of(clips, amounts, lambda whole: f"{whole:g} s")
    assert [(bar.name, bar.whole) for bar in bars] == [
        ("all clips", "8 s"),
        ("condition: x", "4 s"),
        ("condition: y", "4 s"),
    ]
    assert bars[0].shares == {"happy": 0.375, "sad": 0.625}
    assert bars[1].shares == {"happy": 0.75, "sad": 0.25}
    assert bars_of(clips, amounts * 0, str) == []
    assert [*kinds_of(bars)] == ["neutral", "happy", "surprise", "angry", "disgust", "fear", "sad"]
    assert kinds_of([bar_of("a", {"none": 1.0}, "")])["none"] == "no answer"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"condition": ["x"] * 6, "participant": list("aabbcc")}, "There is only the condition x"),
        ({"condition": list("abcdef"), "participant": list("aabbcc")}, "each participant compared with themselves"),
        ({"condition": ["x", "y"] * 3}, "over persons"),
        ({"condition": list("abcdefghi")[:6] * 1, "participant": list("abcdef")}, "No comparison of"),
        ({"participant": list("abcdef")}, "The file of participants has no column condition."),
        ({"participant": list("abcdef"), "age": range(6)}, "vidfer compare RUN --by COLUMN compares by age"),
        ({}, None),
    ],
)
def test_conditions_are_compared_or_the_page_says_why_not(columns, said):
    found = found_of([f"{at}.mp4" for at in range(6)], **columns)
    found = Found("run", found.clips, found.people, found.tally, own=list(columns))
    page = Page(render_index(found))
    assert ("Conditions compared" in page.text) == (said is not None)
    assert said is None or said in page.text


def test_the_chart_has_the_numbers_of_the_comparison():
    from vidfer.results.compare import compare

    found = found_of([f"{at}.mp4" for at in range(6)], condition=["x", "y"] * 3, participant=list("aabbcc"))
    text = render_index(found).decode()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])
    means = compare({"seconds": found.tally.means, "clips": found.clips}, "condition", "participant").means
    for drawn in data["chart"]["conditions"]:
        rows = means[means["condition"] == drawn["name"]].set_index("expression").loc[data["chart"]["expressions"]]
        assert drawn["mean"] == pytest.approx(rows["mean"].tolist(), abs=1e-4)
        assert drawn["low"] == pytest.approx(rows["low"].tolist(), abs=1e-4)
        assert drawn["n"] == 3


def test_a_run_of_clips_that_all_failed_has_a_page():
    found = found_of(["a.mp4"], status="corrupt", predominant=None, duration_s=None, n_people=0)
    found = Found(
        "run", found.clips, found.people.iloc[:0], Tally(found.tally.time.iloc[:0], found.tally.means.iloc[:0])
    )
    assert "No face was usable in any second." in Page(render_index(found)).text
