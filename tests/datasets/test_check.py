import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vidfer.datasets import check as checking
from vidfer.datasets.check import check_data
from vidfer.datasets.clips import DATASETS
from vidfer.datasets.crema_d import SENTENCES
from vidfer.datasets.sources import SOURCES
from vidfer.types import UsageError

ROOT = Path(__file__).parents[2]
SPEECH = [
    f"03-01-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}"
    for actor in range(1, 25)
    for emotion in range(1, 9)
    for intensity in ((1,) if emotion == 1 else (1, 2))
    for statement in (1, 2)
    for repetition in (1, 2)
]


@pytest.fixture
def small(monkeypatch):
    """Pretend that a data set was published with so many items."""

    def publish(name, **published):
        source = SOURCES[name]
        monkeypatch.setattr(
            checking, "SOURCES", {**SOURCES, name: source.__class__(**{**vars(source), "published": published})}
        )

    return publish


def test_whole_speech_of_ravdess_has_what_was_published(tree):
    assert len(SPEECH) == SOURCES["ravdess"].published["speech"]  # 60 recordings of each of 24 actors, as Zenodo says
    found = check_data("ravdess", tree(*(f"Actor_{name[-2:]}/{name}.wav" for name in SPEECH)))
    assert found.missing == []
    assert found.counts["speech"] == Counter(
        neutral=96 + 192, happy=192, sad=192, angry=192, fear=192, disgust=192, surprise=192
    )
    assert found.notes[:2] == ["24 persons", "sound alone, no video"]


def test_what_is_missing_of_ravdess_is_counted_by_channel(tree):
    names = [f"{name}.mp4" for name in SPEECH[:-3]]
    found = check_data("ravdess", tree(*names, "03-02-03-01-01-01-01.wav"))
    assert found.missing == ["speech: 3 of 1,440 are missing", "song: 1,011 of 1,012 are missing"]
    assert found.notes[1] == "1,437 of 1,438 with video"


def test_crema_d(tree, small):
    small("crema_d", all=len(SENTENCES))
    names = [f"AudioWAV/1001_{sentence}_ANG_XX.wav" for sentence in SENTENCES]
    root = tree(*names)
    assert check_data("crema_d", root).whole
    (root / names[0]).write_bytes(b"")
    found = check_data("crema_d", root)
    assert found.missing == ["all: 1 of 12 are missing"]
    assert found.counts == {"all": {"angry": 11}}
    assert any("dropped 1: empty" in note for note in found.notes)


def test_afew_needs_both_splits(tree):
    root = tree("Train_AFEW/Angry/1.avi", "Train_AFEW/Sad/2.avi")
    found = check_data("afew", root)
    assert (found.counts, found.missing) == ({"train": {"angry": 1, "sad": 1}}, ["val: the split is not there"])
    found = check_data("afew", tree("Val_AFEW/Sad/3.avi"))
    assert (found.counts["val"], found.whole) == ({"sad": 1}, True)
    assert "it is not known who is shown" in found.notes


def test_div2k(tmp_path, small):
    small("div2k", train=800, valid=2)
    folder = tmp_path / "DIV2K_train_HR"
    folder.mkdir()
    png = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x00IEND\xaeB`\x82"
    for number in range(1, 801):
        (folder / f"{number:04}.png").write_bytes(png if number != 7 else png[:-1])
    found = check_data("div2k", tmp_path)
    assert found.counts == {"train": {"": 799}}
    assert found.missing[0] == "train: 1 of 800 are missing"
    assert "vidfer download div2k" in found.missing[1]
    assert "train: dropped 1: damaged (0007.png)" in found.notes


def kaggle(folder, usages, emotions):
    rng = np.random.default_rng(0)
    rows = [
        f"{emotion},{' '.join(map(str, rng.integers(0, 256, 2304)))},{usage}"
        for usage, emotion in zip(usages, emotions, strict=True)
    ]
    (folder / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")


def test_fer2013_and_ferplus(tmp_path, small):
    usages = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"]
    kaggle(tmp_path, usages, [0, 3, 3, "", 6, 6, 5])
    small("fer2013", train=4, public_test=2, private_test=2)
    found = check_data("fer2013", tmp_path)
    assert found.counts == {
        "train": {"angry": 1, "happy": 2}, "public_test": {"neutral": 2}, "private_test": {"surprise": 1}
    }  # fmt: skip
    assert found.missing == ["private_test: 1 of 2 are missing"]
    assert found.notes == ["train: dropped 1: no label (row 4)"]
    small("ferplus", train=4, public_test=2, private_test=1)
    found = check_data("ferplus", tmp_path)
    assert len(found.missing) == 1
    assert "fer2013new.csv" in found.missing[0]
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = [
        f"{usage},x.png,{10 if at % 2 else 0},{0 if at % 2 else 10},0,0,0,0,0,0,0,0" for at, usage in enumerate(usages)
    ]
    (tmp_path / "fer2013new.csv").write_text("\n".join([header, *votes]) + "\n")
    found = check_data("ferplus", tmp_path)
    assert found.missing == []
    assert found.counts["train"] == {"happy": 2, "neutral": 2}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("there", [True, False])
def test_an_empty_or_absent_folder_is_not_found(name, there, tmp_path):
    found = check_data(name, tmp_path if there else tmp_path / "none")
    assert found.missing
    assert (found.counts, found.whole) == ({}, False)


def test_another_name_is_wrong_usage():
    with pytest.raises(UsageError, match="did you mean ravdess"):
        check_data("ravdes")


def test_the_documentation_names_every_set_with_page_folder_and_command():
    text = (ROOT / "docs" / "reference" / "data.md").read_text("utf-8")
    rows = {row.split("`")[1]: row for row in re.findall(r"^\| `\w+` \|.*$", text, re.MULTILINE)[: len(SOURCES)]}
    assert set(rows) == set(SOURCES) >= set(DATASETS) - {"folders", "manifest"}
    for name, source in SOURCES.items():
        assert f"({source.page})" in rows[name]
        assert f"`{source.folder}" in rows[name]
        assert f"`vidfer data check {name}`" in rows[name]


def test_the_real_speech_lacks_four_actors(data_dir):
    root = data_dir / "ravdess_speech"
    if not root.is_dir():
        pytest.skip("needs data/ravdess_speech")
    found = check_data("ravdess", root)
    assert found.missing == ["speech: 240 of 1,440 are missing"]
    assert "20 persons" in found.notes
