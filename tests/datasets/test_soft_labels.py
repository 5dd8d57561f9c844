import csv
import hashlib

import numpy as np
import pytest

from vidfer.datasets.soft_labels import MIN_VOTES, read_soft_fer2013, read_wild
from vidfer.types import EMOTIONS, VidferError

MIX = {"large": 0.7, "small": 0.3}
COLUMNS = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness", "sad": "sadness",
    "surprise": "surprise", "neutral": "neutral",
}  # fmt: skip


def read_both(folder):
    read_soft_fer2013(folder / "fer2013", MIX, 0.1)
    read_wild(folder / "wild", MIX, 10, 64)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def replace_line(path, number, change):
    lines = path.read_text().splitlines()
    lines[number] = change(lines[number])
    path.write_text("\n".join(lines) + "\n")


def test_every_row_has_what_its_files_say(soft_root):
    root = soft_root / "fer2013"
    faces, report = read_soft_fer2013(root, MIX, 0.2)
    images, votes, teachers = (rows_of(root / name) for name in ("fer2013.csv", "fer2013new.csv", "teacher.csv"))
    assert sorted(faces.name, key=lambda name: int(name[4:])) == [f"row {number}" for number in range(1, 51)]
    assert (report.found, report.kept, report.dropped) == (50, 50, {})
    for at, name in enumerate(faces.name):
        number = int(name[4:]) - 1
        pixels = np.array(images[number]["pixels"].split(), np.uint8).reshape(48, 48)
        np.testing.assert_array_equal(faces.image[at], pixels)
        assert faces.label[at] == int(images[number]["emotion"] or -1)
        counts = np.array([int(votes[number][COLUMNS[each]]) for each in EMOTIONS])
        shares = counts / counts.sum() if counts.sum() >= MIN_VOTES else counts * 0.0
        np.testing.assert_allclose(faces.votes[at], shares, rtol=1e-6)
        both = [np.array([float(teachers[number][f"{net}_{each}"]) for each in EMOTIONS]) for net in ("large", "small")]
        mixed = 0.7 * both[0] + 0.3 * both[1]
        np.testing.assert_allclose(faces.teacher[at], mixed / mixed.sum(), rtol=1e-5)
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        assert faces.held_out[at] == (int(digest[:4], 16) / 65536 < 0.2)
    assert 0 < faces.held_out.sum() < 25


def test_rows_that_would_leak_or_are_of_no_use_are_dropped_and_named(soft_root):
    root = soft_root / "fer2013"
    lines = (root / "fer2013.csv").read_text().splitlines()
    pixels = [line.split(",")[1] for line in lines]

    def with_pixels(text):
        return lambda line: ",".join([line.split(",")[0], text, line.split(",")[2]])

    replace_line(root / "fer2013.csv", 9, with_pixels(pixels[2]))  # equals an earlier row
    replace_line(root / "fer2013.csv", 4, with_pixels(pixels[55]))  # equals one of the public test
    replace_line(root / "fer2013.csv", 5, with_pixels(" ".join(["90"] * 48 * 48)))
    replace_line(root / "fer2013.csv", 6, with_pixels("1 2 3"))
    faces, report = read_soft_fer2013(root, MIX, 0.2)
    dropped = {
        "copy of an earlier image": ["row 9"], "recurs in a test split": ["row 4"], "flat image": ["row 5"],
        "not 2304 pixels": ["row 6"],
    }  # fmt: skip
    assert report.dropped == dropped
    assert not set(faces.name) & {"row 4", "row 5", "row 6", "row 9"}
    assert (report.found, report.kept) == (50, 46)
    assert "row 7" in faces.name  # without a label of FER2013


def test_a_few_votes_are_no_distribution(soft_root):
    root = soft_root / "fer2013"
    replace_line(root / "fer2013new.csv", 3, lambda _: "Training,fer3.png,0,2,0,0,0,0,0,8,0,0")
    replace_line(root / "fer2013new.csv", 8, lambda _: "Training,fer8.png,0,x,0,0,0,0,0,8,0,0")
    faces, _ = read_soft_fer2013(root, MIX, 0.0)
    votes = dict(zip(faces.name, faces.votes, strict=True))
    assert not votes["row 3"].any()
    assert not votes["row 8"].any()
    assert votes["row 4"].sum() == pytest.approx(1)
    assert not faces.held_out.any()


def test_photographs_carry_the_mean_of_their_crops_and_persons_are_held_out_whole(soft_root):
    wild = soft_root / "wild"
    faces, report = read_wild(wild, MIX, 5, 64)
    table = rows_of(wild / "wild.csv")
    assert faces.image.shape == (20, 64, 64)
    assert (report.found, report.kept) == (20, 20)
    for at, row in enumerate(table):
        parts = {
            net: np.mean([[float(row[f"{net}_{crop}_{each}"]) for each in EMOTIONS] for crop in ("full", "tight")], 0)
            for net in MIX
        }
        mixed = sum(MIX[net] * part for net, part in parts.items())
        np.testing.assert_allclose(faces.teacher[at], mixed / mixed.sum(), rtol=1e-5)
    assert set(faces.person[faces.held_out]) == {"0", "5"}
    assert not set(faces.person[faces.held_out]) & set(faces.person[~faces.held_out])
    assert (faces.label == -1).all()
    assert not faces.votes.any()


def test_photographs_that_cannot_be_read_are_named(soft_root):
    wild = soft_root / "wild"
    (wild / "00_0.png").write_bytes(b"no image")
    (wild / "01_2.png").unlink()
    faces, report = read_wild(wild, MIX, 5, 64)
    assert report.dropped == {"no square image": ["00_0.png", "01_2.png"]}
    assert len(faces.image) == 18


@pytest.mark.parametrize(
    ("file", "change", "text"),
    [
        ("fer2013/teacher.csv", lambda text: text.replace("row,", "line,"), "column row"),
        ("fer2013/teacher.csv", lambda text: text.rsplit("\n", 5)[0] + "\n", "do not belong together"),
        ("fer2013/teacher.csv", lambda text: text.replace("large_", "huge_"), "teacher 'large'"),
        ("fer2013/teacher.csv", lambda text: text.replace("0.", "-0.", 1), "no probabilities"),
        ("fer2013/teacher.csv", lambda text: text.replace("0.", "much", 1), "no probabilities"),
        ("fer2013/teacher.csv", lambda text: "", "cannot be read"),
        ("fer2013/teacher.csv", lambda text: text + "1" + ",0.1" * 14 + "\n", "once"),
        ("fer2013/fer2013new.csv", lambda text: "\n".join(text.split("\n")[:20]) + "\n", "do not belong together"),
        ("wild/wild.csv", lambda text: text.replace("person,", "who,"), "person"),
        ("wild/wild.csv", lambda text: text.replace("image,", "file,"), "column image"),
        ("wild/wild.csv", lambda text: text.replace(",0.", ",much", 1), "no probabilities"),
        ("wild/wild.csv", lambda text: text.replace(".png,", ".png,person ", 1), "number the person"),
        ("wild/wild.csv", lambda text: text.replace(".png,", ".png,0.5", 1), "number the person"),
        ("wild/wild.csv", lambda text: text.replace("00_0.png,", ",", 1), "once"),
    ],
)
def test_tables_that_are_damaged_are_named(soft_root, file, change, text):
    path = soft_root / file
    path.write_text(change(path.read_text()))
    with pytest.raises(VidferError, match=text):
        read_both(soft_root)


def test_a_missing_table_is_named(soft_root):
    (soft_root / "fer2013" / "teacher.csv").unlink()
    with pytest.raises(VidferError, match=r"teacher\.csv"):
        read_soft_fer2013(soft_root / "fer2013", MIX, 0.1)
    with pytest.raises(VidferError, match=r"rows of fer2013\.csv"):
        read_soft_fer2013(soft_root / "wild", MIX, 0.1)
