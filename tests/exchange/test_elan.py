"""Files of ELAN, opened by pympi-ling, and held to the structure of EAF 3.0."""

import xml.etree.ElementTree as ET

import pytest
from pympi.Elan import Eaf

from tests.exchange.made import NAMES, clip_with, random_segments
from vidfer.exchange.elan import elan_file
from vidfer.exchange.spans import legal

CHILDREN = {
    "ANNOTATION_DOCUMENT": (
        "HEADER",
        "TIME_ORDER",
        "TIER",
        "LINGUISTIC_TYPE",
        "LANGUAGE",
        "CONSTRAINT",
        "CONTROLLED_VOCABULARY",
    ),
    "HEADER": ("MEDIA_DESCRIPTOR", "PROPERTY"),
    "TIME_ORDER": ("TIME_SLOT",),
    "TIER": ("ANNOTATION",),
    "ANNOTATION": ("ALIGNABLE_ANNOTATION",),
    "ALIGNABLE_ANNOTATION": ("ANNOTATION_VALUE",),
    "CONTROLLED_VOCABULARY": ("DESCRIPTION", "CV_ENTRY_ML"),
    "CV_ENTRY_ML": ("CVE_VALUE",),
}
"""Of EAFv3.0.xsd: elements inside others, in the order that it demands."""

NEEDED = {
    "ANNOTATION_DOCUMENT": {"DATE", "AUTHOR", "VERSION"},
    "MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE"},
    "TIME_SLOT": {"TIME_SLOT_ID"},
    "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF"},
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"},
    "LINGUISTIC_TYPE": {"LINGUISTIC_TYPE_ID"},
    "LANGUAGE": {"LANG_ID"},
    "CONSTRAINT": {"STEREOTYPE"},
    "CONTROLLED_VOCABULARY": {"CV_ID"},
    "DESCRIPTION": {"LANG_REF"},
    "CV_ENTRY_ML": {"CVE_ID"},
    "CVE_VALUE": {"LANG_REF"},
}
"""Attributes that it demands."""


def held_to_the_schema(data):
    root = ET.fromstring(data)
    for element in root.iter():
        order = [CHILDREN.get(element.tag, ()).index(child.tag) for child in element]
        assert order == sorted(order)
        assert NEEDED.get(element.tag, set()) <= set(element.attrib)
    ids = [
        element.get(name)
        for name in ("TIME_SLOT_ID", "ANNOTATION_ID")
        for element in root.iter()
        if name in element.attrib
    ]
    assert len(set(ids)) == len(ids)
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    words = {entry.get("CVE_ID"): entry[0].text for entry in root.iter("CV_ENTRY_ML")}
    for each in root.iter("ALIGNABLE_ANNOTATION"):
        assert slots[each.get("TIME_SLOT_REF1")] < slots[each.get("TIME_SLOT_REF2")]
        assert "CVE_REF" not in each.attrib or words[each.get("CVE_REF")] == each[0].text
    types = {each.get("LINGUISTIC_TYPE_ID") for each in root.iter("LINGUISTIC_TYPE")}
    tiers = [tier.get("TIER_ID") for tier in root.iter("TIER")]
    assert len(set(tiers)) == len(tiers)
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} <= types
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    return root


def opened(tmp_path, tables, summary, **options):
    data = elan_file(tables, summary, **options)
    held_to_the_schema(data)
    (tmp_path / "a.eaf").write_bytes(data)
    return Eaf(str(tmp_path / "a.eaf"))


@pytest.mark.parametrize("seed", range(3))
def test_segments_of_six_people_who_overlap_come_back_within_a_millisecond(seed, tmp_path):
    segments = random_segments(6, seed=seed)
    eaf = opened(tmp_path, *clip_with([None] * 6, segments))
    assert list(eaf.get_tier_names()) == [f"person {n}" for n in range(1, 7)]
    for person in range(1, 7):
        found = sorted(eaf.get_annotation_data_for_tier(f"person {person}"))
        own = [each[1:] for each in segments if each[0] == person]
        assert [text for *_, text in found] == [text for *_, text in own]
        for (start, end, _), (begin, stop, _) in zip(found, own, strict=True):
            assert abs(start / 1000 - begin) <= 0.001
            assert abs(end / 1000 - stop) <= 0.001


def test_names_and_markers_of_any_kind_come_back(tmp_path):
    markers = [(name, 0.1 * at, 0.1 * at + 1, False) for at, name in enumerate(NAMES) if name.strip()]
    eaf = opened(tmp_path, *clip_with(NAMES, [(1, 0, 1, "sad")], markers=markers))
    people = [eaf.get_parameters_for_tier(name).get("PARTICIPANT") for name in list(eaf.get_tier_names())[: len(NAMES)]]
    assert people == [legal(name).strip() or "person 9" for name in NAMES]
    assert people[:5] == ["Anna", "<b> & \"co\" 'x'", "a --> b", "two\nlines\ttab", "Żółć 日本語 🙂"]
    assert people[9:11] == ["\\x01\\x0b\\ufffe", "a\nb"]
    lanes = [name for name in eaf.get_tier_names() if name.startswith("markers")]
    assert lanes[:2] == ["markers", "markers (2)"]
    found = sorted(each for lane in lanes for each in eaf.get_annotation_data_for_tier(lane))
    assert [text for *_, text in found] == [legal(name) for name, *_ in markers]


def test_people_of_one_name_have_tiers_of_their_own(tmp_path):
    eaf = opened(tmp_path, *clip_with(["Jo", "Jo", "sound"], [(1, 0, 1, "sad"), (2, 0, 1, "fear")], sound=True))
    assert list(eaf.get_tier_names()) == ["Jo", "Jo (2)", "sound", "sound (2)"]
    assert eaf.get_annotation_data_for_tier("Jo (2)") == [(0, 1000, "fear")]


def test_sound_scenes_and_markers_have_tiers(tmp_path):
    made = clip_with([None], [], markers=[("film", 1, None, False), ("late", 9, 10, False)], cuts=(1.5, 3), sound=True)
    seconds = made[0]["seconds"]
    seconds["sound_expression"] = seconds["start_s"].map({0: "happy", 1: "happy", 2: "sad"}).astype("string")
    eaf = opened(tmp_path, *made)
    assert list(eaf.get_tier_names()) == ["person 1", "sound", "scenes", "markers"]
    assert sorted(eaf.get_annotation_data_for_tier("sound")) == [(0, 2000, "happy"), (2000, 3000, "sad")]
    assert sorted(eaf.get_annotation_data_for_tier("scenes")) == [
        (0, 1500, "scene 1"), (1500, 3000, "scene 2"), (3000, 4000, "scene 3"),
    ]  # fmt: skip
    assert eaf.get_annotation_data_for_tier("markers") == [(1000, 4000, "film")]


def test_a_person_joined_from_two_tracks_that_overlap_loses_nothing(tmp_path):
    tables, summary = clip_with([None, None], [(1, 0, 2, "sad"), (2, 1, 3, "fear")])
    for name in ("people", "segments"):
        tables[name]["person_id"] = "a.mp4#1"
    eaf = opened(tmp_path, tables, summary)
    assert list(eaf.get_tier_names()) == ["person 1", "person 1 (2)"]


@pytest.mark.parametrize("seconds", [0.0, 4.0])
def test_a_clip_without_faces_is_a_file_without_tiers(seconds, tmp_path):
    assert not list(opened(tmp_path, *clip_with([], [], seconds=seconds)).get_tier_names())


def test_the_clip_is_named_by_its_way_and_only_if_wanted_by_its_place(tmp_path):
    made = clip_with([None], [], path="clips/ä b.mkv")
    (alone,) = opened(tmp_path, *made).get_linked_files()
    assert (alone["RELATIVE_MEDIA_URL"], alone["MEDIA_URL"]) == ("./%C3%A4%20b.mkv", "./%C3%A4%20b.mkv")
    (both,) = opened(tmp_path, *made, media="../clips/b.mp4", absolute="file:///x/clips/b.mp4").get_linked_files()
    assert (both["RELATIVE_MEDIA_URL"], both["MEDIA_URL"], both["MIME_TYPE"]) == (
        "../clips/b.mp4", "file:///x/clips/b.mp4", "video/mp4",
    )  # fmt: skip


def test_the_vocabulary_has_the_seven_and_uncertain(tmp_path):
    eaf = opened(tmp_path, *clip_with([None], []))
    (name,) = eaf.get_controlled_vocabulary_names()
    words = {values[0][0] for values, _ in eaf.get_cv_entries(name).values()}
    assert words == {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "uncertain"}
