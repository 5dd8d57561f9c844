"""A clip as a picture: how far it reaches, and what hatching means."""

import pytest

from tests.results.test_design import report, whole
from vidfer.plots.timeline import plot_timeline
from vidfer.results.markers import Marker


@pytest.mark.parametrize(
    ("duration", "end"),
    [(4.0, 4.0), (3.9, 3.9), (9.0, 4.0), (1.0, 4.0), (None, 4.0)],  # frames up to 3.8 s, in four whole seconds
)
def test_a_plot_ends_with_the_clip_unless_the_length_that_the_file_names_is_wrong(duration, end):
    tables = whole(made=report(4))
    tables["clips"] = tables["clips"].assign(duration_s=float("nan") if duration is None else duration)
    assert plot_timeline(tables).axes[-1].get_xlim() == pytest.approx((0, end))


@pytest.mark.parametrize("markers", [None, (Marker("exclude", 1, 2, exclude=True),)])
def test_hatching_is_named_by_what_it_may_be(markers):
    (legend,) = plot_timeline(whole(markers)).legends
    assert ("excluded" in legend.get_texts()[-1].get_text()) == (markers is not None)
