"""Playlists, links and hostile names: no other file is opened, nothing else is written, and all stays inert."""

import csv
import json
import os
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from tests.faults.command import tree
from tests.faults.hostile import CANARY, NAMES, opened
from vidfer.cli.main import main
from vidfer.media.decode import probe
from vidfer.media.find import find_clips
from vidfer.results.run import load_run
from vidfer.types import ClipError

SUFFIXES = (".mp4", ".mov", ".mkv", ".m3u8", ".ts", ".wav", ".jpg", ".avi", "")
PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{0}'\n",
    "ffconcat, relative": "ffconcat version 1.0\nfile ../outside/canary\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{0}\n#EXT-X-ENDLIST\n",
    "hls with a key": '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="file://{0}"\n#EXTINF:1,\n{0}\n',
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>file://{0}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=control:file://{0}\n",
    "smil": '<smil><body><video src="file://{0}"/></body></smil>',
    "asx": '<asx version="3.0"><entry><ref href="file://{0}"/></entry></asx>',
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{0}"/></svg>',
    "subtitles": "[Script Info]\n; {0}\n[Fonts]\nfontname: {0}\n",
    "lavfi": "movie={0}",
}


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "outside" / "canary"
    path.parent.mkdir()
    path.write_bytes(CANARY)
    return path


def test_a_file_that_is_opened_is_seen(canary):
    with opened(canary) as found:
        canary.read_bytes()
    assert found == ["canary"]


def test_playlists_open_no_other_file(canary, tmp_path, figure):
    folder, tried = tmp_path / "in", 0
    folder.mkdir()
    with opened(canary) as found:
        for text in PLAYLISTS.values():
            for suffix in SUFFIXES:
                path = folder / f"list{suffix}"
                path.write_text(text.format(canary))
                with pytest.raises(ClipError) as refused:
                    probe(path)
                assert refused.value.status in ("unsupported", "corrupt")
                tried += 1
    assert not found
    figure(f"{tried} playlists of {len(PLAYLISTS)} kinds under {len(SUFFIXES)} suffixes: none had another file opened")


def test_links_and_files_of_odd_kinds_end_in_a_list_or_a_status(canary, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "ring.mp4").symlink_to("gnir.mp4")
    (folder / "gnir.mp4").symlink_to("ring.mp4")
    (folder / "gone.mp4").symlink_to("nowhere")
    (folder / "zero.mp4").symlink_to("/dev/zero")
    (folder / "passwd.mp4").symlink_to("/etc/passwd")
    (folder / "up").symlink_to(canary.parent)
    (folder / "self").symlink_to(folder)
    os.mkfifo(folder / "pipe.mp4")
    with opened(canary) as found:
        clips = [path for path, _ in find_clips([folder])]
        for clip in clips:
            with pytest.raises(ClipError):
                probe(clip)
    assert not found
    assert {path.name for path in clips} == {
        "loop",
        "ring.mp4",
        "gnir.mp4",
        "gone.mp4",
        "zero.mp4",
        "passwd.mp4",
        "pipe.mp4",
    }


CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Page(HTMLParser):
    """Notes the elements and attributes that a name must not make."""

    def __init__(self):
        super().__init__()
        self.odd = []

    def handle_starttag(self, tag, attrs):
        self.odd += [(tag, name) for name, _ in attrs if name.startswith("on")]
        self.odd += [
            (tag, value) for name, value in attrs if name in ("href", "src") and (value or "").startswith("javascript:")
        ]


def inert(path):
    text = path.read_text("utf-8")
    if path.suffix == ".html":
        page = Page()
        page.feed(text)
        assert not page.odd
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    elif path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            cells = [cell for row in csv.reader(file, strict=True) for cell in row]
        assert not [
            cell for cell in cells if cell[:1] in ("=", "@", "\t", "\r") or re.match(r"[+-](?!\d+(\.\d+)?$)", cell)
        ]
    elif path.suffix == ".json":
        json.loads(text)
    elif path.suffix == ".eaf":
        ET.fromstring(text)
    elif path.suffix == ".vtt":
        assert text.startswith("WEBVTT")
        assert "INJECTED" not in "".join(line for line in text.splitlines() if line.startswith("INJECTED"))


def names_are_inert(tmp_path, names, capsys):
    """Analyse clips of such names, and read back everything that was written and printed; return how many clips there were."""
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for name in names:
        place = os.fsencode(clips) + b"/" + os.fsencode(name)
        with open(place, "wb") as file:  # noqa: PTH123 - bytes that are no text
            file.write(b"no video")
    outside = tree(clips)
    main(["analyze", str(clips), "--out", str(out), "--store", str(tmp_path / "store")])
    for program in ("elan", "webvtt", "py-feat"):
        assert main(["export", str(out), "--format", program]) == 0
    main(["people", "list", str(out)])
    said = capsys.readouterr()
    for line in (said.out + said.err).split("\n"):
        assert not CONTROL.search(line), ascii(line)
        assert not line.startswith("INJECTED")
    assert tree(clips) == outside
    assert {path.name for path in tmp_path.iterdir()} <= {"clips", "out", "store"}
    for path in out.rglob("*"):
        if path.suffix in (".html", ".csv", ".json", ".eaf", ".vtt") and path.is_file():
            inert(path)
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    return len(load_run(out).clips)


@pytest.mark.slow
def test_names_stay_inert_wherever_they_are_shown(tmp_path, capsys, figure):
    n = names_are_inert(tmp_path, NAMES, capsys)
    assert n >= 40
    figure(f"{n} hostile names through tables, pages, exports and the terminal: all inert, nothing written elsewhere")
