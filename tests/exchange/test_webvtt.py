"""Captions, opened by webvtt-py, and in a browser as the track of a video."""

import html
import io

import pytest
import webvtt

from tests.exchange.made import NAMES, clip_with, random_segments
from vidfer.exchange.spans import line
from vidfer.exchange.webvtt import webvtt_file


def captions(tables):
    return webvtt.from_buffer(io.BytesIO(webvtt_file(tables)))


@pytest.mark.parametrize("seed", range(3))
def test_segments_of_six_people_who_overlap_come_back_within_a_millisecond(seed):
    segments = random_segments(6, seed=seed)
    found = captions(clip_with([None] * 6, segments)[0])
    assert len(found) == len(segments)
    assert [each.start_in_seconds for each in found] == sorted(each.start_in_seconds for each in found)
    back = sorted((each.voice, _seconds(each.start), _seconds(each.end), each.text) for each in found)
    for (who, start, end, text), (person, begin, stop, word) in zip(back, sorted(segments), strict=True):
        assert (who, text) == (f"person {person}", f"person {person}: {word}")
        assert abs(start - begin) <= 0.001
        assert abs(end - stop) <= 0.001


def _seconds(clock):
    hours, minutes, seconds = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def test_names_of_any_kind_come_back_and_end_no_cue():
    found = captions(clip_with(NAMES, [(n, n / 10, n / 10 + 0.5, "sad") for n in range(1, len(NAMES) + 1)])[0])
    assert [html.unescape(each.voice) for each in found] == [line(name) or "person 9" for name in NAMES]
    assert [html.unescape(each.text) for each in found] == [f"{line(name) or 'person 9'}: sad" for name in NAMES]


def test_hours_and_the_shortest_segment_are_told():
    text = webvtt_file(clip_with([None], [(1, 36610.0004, 36610.0005, "sad")])[0]).decode()
    assert "\n10:10:10.000 --> 10:10:10.001\n" in text


def test_a_clip_without_faces_has_no_cue_and_is_a_file():
    assert len(captions(clip_with([], [])[0])) == 0
