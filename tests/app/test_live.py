"""Live mode's protocol: by a stand-in for the analyzer where the faces do not matter, by the real one where they do."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Event

import numpy as np
import pytest
from fastapi import FastAPI, WebSocket
from PIL import Image
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from vidfer import EMOTIONS, LiveFrame, LivePerson
from vidfer.app.live import FaceAnalyzer, Live, LiveLimits

HAPPY = {name: (0.7 if name == "happy" else 0.05) for name in EMOTIONS}


def jpeg(image=None, size=(64, 48), quality=90, form="JPEG"):
    """Bytes of a picture, gray unless an image is given."""
    out = BytesIO()
    (Image.new("RGB", size, "gray") if image is None else Image.fromarray(image)).save(out, form, quality=quality)
    return out.getvalue()


class Fake:
    """Sees one happy person as wide as the frame; `images` and `times` tell what it was given."""

    def __init__(self):
        self.made, self.images, self.times = 0, [], []

    def __call__(self):
        self.made += 1
        return self

    def warm(self):
        return self

    def stream(self, frames):
        for index, (at, image) in enumerate(frames):
            self.images.append(image)
            self.times.append(at)
            box = (0.0, 0.0, float(image.shape[1]), 1.0)
            yield LiveFrame(index, at, (LivePerson(1, box, HAPPY, None, "happy", None, 0.5),), 0.01)


@pytest.fixture
def serve():
    """Return a function that serves `/live` by an analyzer and limits, as a client of it."""

    def client(analyzer, **limits):
        live, app = Live(analyzer, LiveLimits(**limits)), FastAPI()

        @app.websocket("/live")
        async def serve_live(socket: WebSocket):
            await live.serve(socket)

        return TestClient(app)

    return client


def started(socket):
    assert [socket.receive_json()["kind"] for _ in range(2)] == ["loading", "ready"]
    return socket


def ended(socket):
    """The sentence and the code by which the server ends a connection."""
    message = socket.receive_json()
    assert message["kind"] == "error"
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    return message["message"], closed.value.code


def test_each_frame_is_answered_in_its_turn_at_most_so_often_a_second(serve):
    fake = Fake()
    with serve(fake, fps=20).websocket_connect("/live") as socket:
        started(socket)
        for number, size in enumerate([(64, 48), (80, 60), (48, 64)]):  # a phone that is turned
            socket.send_bytes(jpeg(size=size))
            answer = socket.receive_json()
            assert (answer["kind"], answer["index"]) == ("answer", number)
            assert answer["people"][0]["box"] == [0, 0, size[0], 1]
            assert answer["people"][0]["probabilities"]["happy"] == 0.7
            assert answer["people"][0]["smooth"] is None
    assert [image.shape for image in fake.images] == [(48, 64, 3), (60, 80, 3), (64, 48, 3)]
    assert np.diff(fake.times).min() >= 0.05


@pytest.mark.parametrize(
    ("sent", "words", "code"),
    [
        (b"", "damaged", 1003),
        (b"GIF89a", "damaged", 1003),
        (jpeg(form="PNG"), "no JPEG", 1003),
        (jpeg()[: len(jpeg()) // 2], "damaged", 1003),
        (jpeg(size=(8, 8)), "8 x 8 px", 1009),
        (jpeg(size=(3000, 40)), "3000 x 40 px", 1009),
        (bytes(60_000), "at most 0.05 MB", 1009),
        ("text", "binary", 1003),
    ],
)
def test_what_is_no_frame_ends_the_connection_by_a_sentence(serve, sent, words, code):
    with serve(Fake(), frame_bytes=50_000).websocket_connect("/live") as socket:
        started(socket)
        (socket.send_text if isinstance(sent, str) else socket.send_bytes)(sent)
        sentence, number = ended(socket)
    assert words in sentence
    assert number == code


def test_every_cut_or_spoilt_jpeg_is_answered_or_refused_never_a_fault(serve):
    good, rng = jpeg(np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)), np.random.default_rng(0)
    spoilt = [good[: rng.integers(1, len(good))] for _ in range(20)]
    for _ in range(40):
        each = bytearray(good)
        for at in rng.integers(2, len(good), 4):
            each[at] = rng.integers(256)
        spoilt.append(bytes(each))
    client, kinds = serve(Fake(), fps=1000), set()
    for data in spoilt:
        with client.websocket_connect("/live") as socket:
            started(socket).send_bytes(data)
            kinds.add(socket.receive_json()["kind"])
    assert kinds == {"answer", "error"}


def test_a_place_that_is_taken_is_free_again_when_its_connection_ends(serve):
    fake = Fake()
    client = serve(fake, connections=1)
    with client.websocket_connect("/live") as first:
        started(first)
        with client.websocket_connect("/live") as second:
            sentence, code = ended(second)
        assert sentence == "The live place is taken: try again in a minute, or record a clip and analyse that."
        assert code == 1013
        first.send_bytes(jpeg())  # is not disturbed
        assert first.receive_json()["kind"] == "answer"
    with client.websocket_connect("/live") as third:
        started(third).send_bytes(b"no picture")
        ended(third)
    with client.websocket_connect("/live") as fourth:
        started(fourth)
    assert fake.made == 1


def test_two_that_come_at_once_load_the_models_once(serve):
    ready = Event()

    class Slow(Fake):
        def warm(self):
            ready.wait(5)
            return self

    slow = Slow()
    client = serve(slow, connections=2)

    def come(_):
        with client.websocket_connect("/live") as socket:
            socket.receive_json()
            ready.set()
            return socket.receive_json()["kind"]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(come, range(2))) == ["ready", "ready"]
    assert slow.made == 1


@pytest.mark.parametrize(
    ("limits", "words"), [({"idle_s": 0.1}, "No picture came"), ({"total_s": 0.0}, "start it again")]
)
def test_a_connection_that_is_forgotten_ends(serve, limits, words):
    with serve(Fake(), **limits).websocket_connect("/live") as socket:
        started(socket)
        if "total_s" in limits:
            socket.send_bytes(jpeg())
        sentence, code = ended(socket)
    assert words in sentence
    assert code == 1001


def test_the_real_analyzer_sees_the_portrait_in_jpegs(serve):
    from vidfer.datasets.photos import read_sample
    from vidfer.stages.chain import ChainOptions

    portrait = read_sample("astronaut")[:300, 60:360]
    with serve(lambda: FaceAnalyzer(ChainOptions())).websocket_connect("/live") as socket:
        started(socket)
        for index in range(3):
            socket.send_bytes(jpeg(portrait))
            answer = socket.receive_json()
            assert answer["index"] == index
        (person,) = answer["people"]
    assert person["smooth_expression"] == "happy"
    assert sum(person["smooth"].values()) == pytest.approx(1, abs=0.005)
    left, top, right, bottom = person["box"]
    assert 100 < left < right < 240  # the astronaut's face in this part of the photograph
    assert 40 < top < bottom < 220
