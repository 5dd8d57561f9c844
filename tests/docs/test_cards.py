"""The pages of cards say what the cards beside the weights say."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import vidfer.weights
from vidfer.datasets.sources import SOURCES
from vidfer.evaluation.cards import facts, refresh, shipped_names
from vidfer.types import VidferError

CARDS = Path(__file__).parents[2] / "docs" / "cards"
WEIGHTS = Path(vidfer.weights.__file__).parent


@pytest.mark.parametrize("page", ["models", "data"])
def test_the_facts_are_fresh(page):
    text = (CARDS / f"{page}.md").read_text("utf-8")
    assert refresh(text) == text, "run make cards"


def test_everything_that_ships_or_can_be_read_has_a_card():
    models, data = ((CARDS / f"{page}.md").read_text("utf-8") for page in ("models", "data"))
    files = {path.stem for path in WEIGHTS.glob("*.safetensors")}
    assert files == set(shipped_names()) == set(re.findall(r"<!-- model: (\S+) -->", models))
    assert set(SOURCES) == set(re.findall(r"<!-- data: (\S+) -->", data))


def test_facts_are_those_of_the_json_card():
    card = json.loads((WEIGHTS / "voice.json").read_text("utf-8"))
    text = facts("model", "voice")
    assert card["blake3"] in text
    assert card["prohibited_use"] in text
    confusion = np.array(card["metrics"][0]["confusion"])
    assert f"| 240 | {confusion.trace() / 240:.3f} (" in text
    happy = confusion[3]
    assert f"{happy[3] / happy.sum():.2f} (n = {happy.sum()})" in text
    assert "| used by default | yes |" in text
    assert "| used by default | no: `--audio-model gan_sound` |" in facts("model", "gan_sound")


def test_what_is_written_by_hand_stays():
    page = "# Mine\n<!-- data: ased -->\nstale\n<!-- end -->\nmine\n"
    written = refresh(page)
    assert written.startswith("# Mine\n<!-- data: ased -->\n")
    assert written.endswith("<!-- end -->\nmine\n")
    assert "Amharic" in written
    assert "stale" not in written


@pytest.mark.parametrize(
    ("page", "message"),
    [("<!-- model: nothing -->\n<!-- end -->", "there are compact"), ("<!-- data: ased -->\n", "is not followed by")],
)
def test_a_wrong_mark_is_named(page, message):
    with pytest.raises(VidferError, match=message):
        refresh(page)
