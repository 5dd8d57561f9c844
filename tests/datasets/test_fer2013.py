import numpy as np
import pytest

from vidfer.datasets.fer2013 import read_images, read_training_images, recurring, split_by_hash, stratified_rank
from vidfer.datasets.synthetic import write_faces
from vidfer.types import EMOTIONS, VidferError


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 48))


@pytest.fixture
def faulty(write_image, tmp_path):
    write_image("train", "happy", "a.png", noise(1))
    write_image("train", "happy", "b.png", noise(1))  # copy
    write_image("train", "sad", "c.png", noise(2))
    write_image("train", "fear", "c.png", noise(2))  # conflicting copy, and the name in two classes
    write_image("train", "angry", "flat.png", np.full((48, 48), 7))
    write_image("train", "angry", "leak.png", noise(3))
    write_image("train", "neutral", "good.png", noise(4))
    (tmp_path / "fer/train/neutral/broken.jpg").write_bytes(b"\xff\xd8 no image")
    write_image("public_test", "angry", "t.png", noise(3))
    write_image("public_test", "angry", "t2.png", noise(3))
    write_image("train", "surprise", "leak2.png", noise(5))
    write_image("private_test", "fear", "p.png", noise(5))
    return tmp_path / "fer"


def test_training_meets_every_known_fault(faulty):
    data = read_training_images(faulty)
    assert data.name == ["happy/a.png", "neutral/good.png"]
    assert data.report.dropped == {
        "not a readable image": ["neutral/broken.jpg"],
        "copy of an earlier image": ["happy/b.png"],
        "copies with conflicting labels": ["fear/c.png", "sad/c.png"],
        "flat image": ["angry/flat.png"],
        "recurs in public_test": ["angry/leak.png"],
        "recurs in private_test": ["surprise/leak2.png"],
    }
    assert data.report.noted == {"file name in two classes": ["fear/c.png", "sad/c.png"]}
    assert (data.report.found, data.report.kept) == (9, 2)
    assert "2 of 9 kept" in data.report.lines()[0]


def test_the_test_split_stays_untouched(faulty):
    data = read_images(faulty, "public_test")
    assert len(data.name) == 2
    np.testing.assert_array_equal(data.image[0], noise(3))
    assert [EMOTIONS[i] for i in data.target] == ["angry", "angry"]
    assert data.report.dropped == {}
    assert data.report.noted == {"copy of an earlier image": ["angry/t2.png"]}


def test_a_test_split_keeps_clear_of_what_it_is_told_to_only(faulty):
    data = read_training_images(faulty, test_splits=["private_test", "train", "none"])
    assert [name for name in data.name if "leak" in name] == ["angry/leak.png"]
    assert "recurs in train" not in data.report.dropped


def test_what_recurs_is_told_by_content(faulty):
    raw, test = read_images(faulty, "train"), read_images(faulty, "public_test")
    assert recurring(test, raw).tolist() == [True, True]
    told = dict(zip(raw.name, recurring(raw, test).tolist(), strict=True))
    assert [name for name, again in told.items() if again] == ["angry/leak.png"]


def test_errors_name_what_is_wrong(faulty, tmp_path):
    with pytest.raises(VidferError, match=r"no split 'val'.*found: private_test, public_test, train"):
        read_images(faulty, "val")
    (tmp_path / "empty/test/happy").mkdir(parents=True)
    with pytest.raises(VidferError, match="no readable image"):
        read_images(tmp_path / "empty", "test")
    (tmp_path / "empty/test/contempt").mkdir()
    with pytest.raises(VidferError, match="unknown class contempt"):
        read_images(tmp_path / "empty", "test")
    with pytest.raises(VidferError, match=r"FER\+ labels go by the rows of fer2013.csv.*has none"):
        read_images(faulty, "train", labels="ferplus")
    with pytest.raises(VidferError, match="no labels 'fer': choose fer2013 or ferplus"):
        read_images(faulty, "train", labels="fer")


def test_images_of_another_size_are_resized(write_image, tmp_path):
    write_image("train", "sad", "big.png", np.repeat(np.repeat(noise(1), 2, 0), 2, 1))
    np.testing.assert_array_equal(read_images(tmp_path / "fer", "train").image[0], noise(1))


def test_validation_is_stratified_and_survives_renaming(tmp_path):
    data = read_images(write_faces(tmp_path / "f", train=20, test=1), "train")
    chosen = split_by_hash(data, 0.2)
    assert [int(chosen[data.target == label].sum()) for label in range(7)] == [4] * 7
    for path in sorted((tmp_path / "f/train").rglob("*.png")):
        path.rename(path.with_name(path.stem[::-1] + ".png"))
    again = read_images(tmp_path / "f", "train")
    before = {d for d, c in zip(data.digest, chosen, strict=True) if c}
    after = {d for d, c in zip(again.digest, split_by_hash(again, 0.2), strict=True) if c}
    assert before == after


@pytest.mark.slow
def test_the_real_sets_faults_are_found(data_dir):
    data = read_training_images(data_dir / "fer2013")
    assert {reason: len(names) for reason, names in data.report.dropped.items()} == {
        "no label": 1290,
        "recurs in public_test": 267,
        "copies with conflicting labels": 8,
        "copy of an earlier image": 25,
    }
    assert data.report.found == 28561
    assert not set(data.digest) & set(read_images(data_dir / "fer2013", "public_test").digest)
    assert len(set(data.digest)) == len(data.digest)
    test = read_images(data_dir / "fer2013", "public_test")
    assert recurring(test, read_images(data_dir / "fer2013", "train")).sum() == 267


def test_ranks_halve_every_class_whatever_the_order():
    rng = np.random.default_rng(1)
    target = np.array([0] * 40 + [1] * 10 + [5] * 4)
    digest = [f"{number:032x}" for number in rng.permutation(54)]
    rank = stratified_rank(target, digest)
    for label, half in ((0, 20), (1, 5), (5, 2)):
        assert (rank[target == label] < 0.5).sum() == half
    order = rng.permutation(54)
    np.testing.assert_array_equal(stratified_rank(target[order], [digest[i] for i in order]), rank[order])


def test_images_of_one_digest_are_never_parted():
    digest = ["a", "b", "b", "c", "b", "d"]
    rank = stratified_rank(np.array([0, 0, 0, 0, 1, 1]), digest)
    assert rank[1] == rank[2] == rank[4]
    assert rank[0] < rank[1] < rank[3]


def test_a_mistyped_folder_is_named_with_the_remedy(tmp_path):
    for name in ("fer", "fer2013.csv"):
        with pytest.raises(VidferError, match=rf"{name}.*name the (one|folder) that holds FER2013"):
            read_training_images(tmp_path / name)
