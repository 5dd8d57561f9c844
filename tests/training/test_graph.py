"""The picture of the chain in the documentation is the one that the stages declare."""

import re
from pathlib import Path

import vidfer.stages.chain
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.training.config import FITS
from vidfer.training.graph import draw_chain


def test_the_documentation_has_the_picture() -> None:
    """`vidfer pipeline graph` and docs/how-to/pipeline.md agree."""
    page = Path(vidfer.stages.chain.__file__).parents[2] / "docs" / "how-to" / "pipeline.md"
    assert draw_chain() in page.read_text("utf-8")


def test_the_drawing_of_a_clips_stages_names_them_all() -> None:
    """docs/assets/stages.svg is drawn by hand: it has a box for each stage of the chain, and no other."""
    drawing = Path(vidfer.stages.chain.__file__).parents[2] / "docs" / "assets" / "stages.svg"
    boxes = re.findall(r'font-weight="600"[^>]*>(\w+)<', drawing.read_text("utf-8"))
    assert sorted(boxes) == sorted(stage.name for stage in build_chain(ChainOptions()))


def test_every_training_and_every_stage_of_a_clip_is_drawn_with_what_it_reads() -> None:
    """An arrow for each input, and no arrow to something that is not drawn."""
    lines = draw_chain().splitlines()
    drawn = {line.strip().partition("[")[0] for line in lines if line.endswith("]") and "subgraph" not in line}
    arrows = [line.split() for line in lines if "->" in line]
    assert {f"{name}_fit" for name in FITS} < drawn
    for stage in build_chain(ChainOptions()):
        assert f"{stage.name}_clip" in drawn
        assert {f"{name}_clip" for name in stage.inputs} == {
            start for start, kind, end in arrows if end == f"{stage.name}_clip" and kind == "-->"
        }
    assert {place for start, _, end in arrows for place in (start, end)} == drawn
