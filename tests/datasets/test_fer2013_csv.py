import numpy as np
import pytest

from vidfer.datasets.fer2013 import read_images, read_training_images
from vidfer.datasets.fer2013_csv import VOTES
from vidfer.types import EMOTIONS, VidferError

HEADER = "emotion,pixels,Usage"
VOTE_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 48))


def row(emotion, pixels, usage="Training"):
    text = " ".join(map(str, pixels.ravel())) if isinstance(pixels, np.ndarray) else pixels
    return f"{emotion},{text},{usage}"


@pytest.fixture
def kaggle(tmp_path):
    """Write fer2013.csv and, where votes are given, fer2013new.csv; return their folder."""

    def write(rows, votes=None, header=HEADER, vote_header=VOTE_HEADER):
        (tmp_path / "fer2013.csv").write_text("\n".join([header, *rows]) + "\n")
        if votes is not None:
            (tmp_path / "fer2013new.csv").write_text("\n".join([vote_header, *votes]) + "\n")
        return tmp_path

    return write


def vote(number, *votes, usage="Training"):
    return f"{usage},fer{number:07d}.png,{','.join(map(str, votes))}"


def test_rows_become_images_and_classes(kaggle):
    # Kaggle: 0=Angry, 1=Disgust, 2=Fear, 3=Happy, 4=Sad, 5=Surprise, 6=Neutral
    rows = [row(code, noise(code)) for code in range(7)]
    root = kaggle([*rows, row(3, noise(7), "PublicTest"), row(4, noise(8), "PrivateTest")])
    data = read_images(root, "train")
    assert [EMOTIONS[i] for i in data.target] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert data.image.dtype == np.uint8
    for code in range(7):
        np.testing.assert_array_equal(data.image[code], noise(code))
    assert data.name == [f"row {number}" for number in range(1, 8)]
    assert (data.report.found, data.report.kept, data.report.dropped, data.report.noted) == (7, 7, {}, {})
    test = read_images(root / "fer2013.csv", "public_test")
    assert (test.name, test.target.tolist()) == (["row 8"], [3])
    np.testing.assert_array_equal(read_images(root, "private_test").image, noise(8)[None])


def test_both_layouts_give_the_same_images(kaggle, faces_root, tmp_path):
    folders = read_images(faces_root, "train")
    root = kaggle([row(label, image) for label, image in zip(folders.target, folders.image, strict=True)])
    data = read_images(root, "train")
    assert data.digest == folders.digest
    np.testing.assert_array_equal(data.target, folders.target)
    (faces_root / "fer2013.csv").write_bytes((tmp_path / "fer2013.csv").read_bytes())
    assert read_images(faces_root, "train").name[0] == "row 1"


def test_training_keeps_clear_of_both_test_splits(kaggle):
    rows = [row(0, noise(1)), row(1, noise(2)), row(2, noise(3)), row(3, noise(3)), row(4, noise(4)), row(4, noise(4))]
    flat = row(5, np.full((48, 48), 9))
    root = kaggle([*rows, flat, row(6, noise(1), "PublicTest"), row(6, noise(2), "PrivateTest")])
    data = read_training_images(root)
    assert data.name == ["row 5"]
    assert data.report.dropped == {
        "recurs in public_test": ["row 1"],
        "recurs in private_test": ["row 2"],
        "copies with conflicting labels": ["row 3", "row 4"],
        "copy of an earlier image": ["row 6"],
        "flat image": ["row 7"],
    }
    assert (data.report.found, data.report.kept) == (7, 1)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (row("", noise(1)), "no label"),
        (row(7, noise(1)), "label that is not 0 to 6"),
        (row(-1, noise(1)), "label that is not 0 to 6"),
        (row("happy", noise(1)), "label that is not 0 to 6"),
        (row("\u00b3", noise(1)), "label that is not 0 to 6"),
        (row(3, noise(1)[:47]), "not 2304 pixels"),
        (row(3, np.zeros(2305, int)), "not 2304 pixels"),
        (row(3, ""), "not 2304 pixels"),
        (row(3, "1 2 three"), "pixels that are no numbers"),
        (row(3, "0.5 " * 2304), "pixels that are no numbers"),
        (row(3, " ".join(["7"] * 2304) + " x"), "pixels that are no numbers"),
        (row(3, np.full(2304, 256)), "pixels outside 0 to 255"),
        (row(3, np.full(2304, -1)), "pixels outside 0 to 255"),
        (row(3, "9" * 30 + " 1" * 2303), "pixels outside 0 to 255"),
        (row(3, noise(1), "training"), "unknown Usage or not three columns"),
        (row(3, noise(1)) + ",x", "unknown Usage or not three columns"),
        ("3", "unknown Usage or not three columns"),
        ('3,"1 2', "unknown Usage or not three columns"),
    ],
)
def test_a_damaged_row_is_listed_and_the_others_are_read(kaggle, damaged, reason):
    root = kaggle([row(0, noise(0)), damaged, "", row(6, noise(2))])
    data = read_images(root, "train")
    assert data.name == ["row 1", "row 3"]
    assert data.report.dropped == {reason: ["row 2"]}
    assert (data.report.found, data.report.kept) == (3, 2)
    assert read_training_images(root).report.dropped == {reason: ["row 2"]}


def test_order_quotes_blanks_and_line_ends_of_the_columns_do_not_matter(tmp_path):
    pixels = " ".join(map(str, noise(1).ravel()))
    (tmp_path / "mine.csv").write_bytes(
        f'\ufeff"emotion", "Usage", pixels\r\n"3", "Training", "{pixels} "\r\n'.encode()
    )
    data = read_images(tmp_path / "mine.csv", "train")
    assert EMOTIONS[data.target[0]] == "happy"
    np.testing.assert_array_equal(data.image[0], noise(1))


def test_files_that_are_something_else_are_named(kaggle, tmp_path):
    rows = [row(0, noise(0))]
    with pytest.raises(VidferError, match="begins with 'emotion,pixels': expected the columns emotion, pixels, Usage"):
        read_images(kaggle(rows, header="emotion,pixels"), "train")
    (tmp_path / "fer2013.csv").write_bytes(b"\x89PNG\r\n" + bytes(range(256)) * 99)
    with pytest.raises(VidferError, match="expected the columns"):
        read_images(tmp_path, "train")
    (tmp_path / "fer2013.csv").write_bytes(b"")
    with pytest.raises(VidferError, match="expected the columns"):
        read_images(tmp_path, "train")
    with pytest.raises(VidferError, match=r"none.csv cannot be read: No such file"):
        read_images(tmp_path / "none.csv", "train")
    with pytest.raises(VidferError, match=r"no split 'test' .*: its splits are train, public_test, private_test"):
        read_images(kaggle(rows), "test")
    with pytest.raises(VidferError, match=r"holds no readable image: expected rows of it in .*fer2013.csv$"):
        read_images(tmp_path, "public_test")
    with pytest.raises(VidferError, match=r"holds no readable image.*; 2 left out: not 2304 pixels$"):
        read_images(kaggle([row(0, "1"), row(0, "1")]), "train")


#                 neu hap sur sad ang dis fea con unk NF
PLAIN = {
    "neutral":   (10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "happy":     (4, 5, 0, 0, 0, 0, 0, 0, 0, 1),
    "surprise":  (3, 0, 4, 0, 0, 0, 3, 0, 0, 0),
    "sad":       (0, 0, 0, 9, 1, 0, 0, 0, 0, 0),
    "angry":     (0, 0, 0, 0, 6, 4, 0, 0, 0, 0),
    "disgust":   (1, 1, 1, 1, 1, 2, 1, 1, 1, 0),
    "fear":      (0, 0, 0, 0, 0, 0, 8, 2, 0, 0),
}  # fmt: skip


def test_the_majority_of_the_votes_is_the_label(kaggle):
    rows = [row(0, noise(seed)) for seed in range(7)]
    votes = [vote(seed, *counts) for seed, counts in enumerate(PLAIN.values())]
    data = read_images(kaggle(rows, votes), "train", labels="ferplus")
    assert [EMOTIONS[i] for i in data.target] == list(PLAIN)
    assert data.report.source.endswith("FER+ labels")
    assert read_images(kaggle(rows, votes), "train").target.tolist() == [0] * 7
    assert {name for name in VOTES.values() if name} == set(EMOTIONS)


def test_images_without_a_majority_are_listed_by_reason_and_still_kept_out_of_training(kaggle):
    usages = ["Training"] * 7 + ["PublicTest"] * 2
    rows = [row(0, noise(min(i, 7) % 7), usage) for i, usage in enumerate(usages)]  # rows 8 and 9 copy row 1
    counts = [
        PLAIN["fear"],
        (0, 0, 0, 0, 0, 0, 0, 7, 3, 0),
        (2, 0, 0, 0, 0, 0, 0, 0, 8, 0),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
        (5, 5, 0, 0, 0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        PLAIN["sad"],
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
    ]
    votes = [vote(i, *c, usage=usage) for i, (c, usage) in enumerate(zip(counts, usages, strict=True))]
    votes[3] = votes[3].replace("fer0000003.png", "")  # as the published file has it
    root = kaggle(rows, votes)
    expected = {
        "FER+: most votes for contempt": ["row 2"],
        "FER+: most votes for unknown": ["row 3"],
        "FER+: most votes for NF": ["row 4"],
        "FER+: a tie for the most votes": ["row 5", "row 6"],
    }
    data = read_images(root, "train", labels="ferplus")
    assert (data.name, data.report.dropped) == (["row 1", "row 7"], expected)
    training = read_training_images(
        root, labels="ferplus"
    )  # the test images have no FER+ label: they count all the same
    assert training.name == ["row 7"]
    assert training.report.dropped == {**expected, "recurs in public_test": ["row 1"]}
    with pytest.raises(VidferError, match=r"2 left out: FER\+: most votes for NF"):
        read_images(root, "public_test", labels="ferplus")


@pytest.mark.parametrize(
    "damaged", [vote(0, *"123456789", "x"), vote(0, *[-1] * 10), vote(0, *[10**30] * 10), "Training"]
)
def test_damaged_votes_are_listed(kaggle, damaged):
    root = kaggle([row(0, noise(0)), row(0, noise(1))], [damaged, vote(1, *PLAIN["sad"])])
    data = read_images(root, "train", labels="ferplus")
    assert (data.name, data.report.dropped) == (["row 2"], {"FER+: votes are damaged": ["row 1"]})


def test_votes_that_do_not_belong_to_the_images_are_refused(kaggle, tmp_path):
    rows = [row(0, noise(0)), row(0, noise(1))]
    with pytest.raises(VidferError, match=r"FER\+ labels need .*fer2013new.csv"):
        read_images(kaggle(rows), "train", labels="ferplus")
    for number in (0, 1, 3):
        with pytest.raises(
            VidferError, match=f"fer2013new.csv has {number} rows, .* has 2: they do not belong together"
        ):
            read_images(kaggle(rows, [vote(0, *PLAIN["sad"])] * number), "train", labels="ferplus")
    votes = [vote(0, *PLAIN["sad"]), vote(1, *PLAIN["sad"], usage="PublicTest")]
    with pytest.raises(VidferError, match=r"row 2 of fer2013new.csv is of 'PublicTest', that of .* of 'Training'"):
        read_images(kaggle(rows, votes), "train", labels="ferplus")
    with pytest.raises(VidferError, match="expected the columns Usage, neutral, happiness"):
        read_images(kaggle(rows, [], vote_header="Usage,neutral"), "train", labels="ferplus")


def test_a_test_image_without_label_is_kept_clear_of_all_the_same(kaggle):
    rows = [row(3, noise(1)), row(4, noise(2)), row("", noise(2), "PublicTest"), row(5, noise(3), "PublicTest")]
    root = kaggle(rows)
    data = read_training_images(root)
    assert data.name == ["row 1"]
    assert data.report.dropped == {"recurs in public_test": ["row 2"]}
    assert read_images(root, "public_test").report.dropped == {"no label": ["row 3"]}
