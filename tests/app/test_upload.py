"""Forms however they are cut into pieces."""

import random

import pytest
from python_multipart.exceptions import FormParserError

from vidfer.app.upload import UploadError, _Reader


def form(rng, content):
    """A form with the file and some fields in any order, and what it holds."""
    fields = {
        name: "".join(rng.choices("abc 1.-\r\né", k=rng.randrange(12))) for name in rng.sample(["fps", "x", "y"], 2)
    }
    parts = [('name="file"; filename="' + name_of(rng) + '"\r\nContent-Type: video/mp4', content)]
    parts += [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    rng.shuffle(parts)
    body = b"".join(
        b"--b0\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), data) for head, data in parts
    )
    return body + b"--b0--\r\n", fields


def name_of(rng):
    return rng.choice(["a.mp4", "%22b.mp4", "ü.mov", "c d.webm"])


def read(body, pieces):
    written = []
    reader = _Reader(b"b0", lambda data: written.append(bytes(data)) or len(data), 10_000)
    for piece in pieces(body):
        reader.write(piece)
    return reader, b"".join(written)


@pytest.mark.parametrize("seed", range(40))
def test_pieces_of_any_size_give_the_same_form(seed):
    rng = random.Random(seed)
    content = rng.choice([b"", b"\r\n--b", b"\r\n--b0x", b"--b0--", rng.randbytes(rng.randrange(5000)), b"\r\n" * 99])
    body, fields = form(rng, content)

    def pieces(data):
        cuts = sorted(rng.sample(range(len(data)), min(len(data), rng.choice([1, 5, 200]))))
        return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    reader, written = read(body, pieces)
    assert (written, reader.form.fields, reader.ended) == (content, fields, True)
    assert reader.form.file_name in {"a.mp4", '"b.mp4', "ü.mov", "c d.webm"}


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_told_or_harmless(seed):
    rng = random.Random(seed)
    body = bytearray(form(rng, rng.randbytes(300))[0])
    for _ in range(rng.randrange(1, 20)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    try:
        reader, written = read(bytes(body), lambda data: [data])
    except (UploadError, FormParserError):
        return  # any other exception would be a fault of the server's
    assert len(written) + sum(map(len, reader.form.fields.values())) <= len(body)
