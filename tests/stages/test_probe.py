"""Stage `probe` keeps what the container says for the stages after it."""

from dataclasses import replace

import pytest

from tests.stages.made import PROBE, probed
from vidfer.stages import probe
from vidfer.stages.probe import ProbeStage, read_probe
from vidfer.types import TRANSIENT, ClipError, Status


@pytest.mark.parametrize(
    "about", [PROBE, replace(PROBE, video=None), replace(PROBE, audio=None, duration=None, recorded=None)]
)
def test_what_was_probed_is_read_again(ran, monkeypatch, about):
    asked = []
    monkeypatch.setattr(probe, "probe", lambda clip, **how: asked.append(how) or about)
    artifact = ran(ProbeStage(25.0, timeout=3.0), {})
    assert asked == [{"picture_fps": 25.0, "timeout": 3.0}]
    assert read_probe(artifact) == about


@pytest.mark.parametrize("status", sorted(TRANSIENT | {Status.CORRUPT, Status.UNSUPPORTED}))
def test_a_failure_is_passed_on(store, status):
    with pytest.raises(ClipError, match="why") as found:
        read_probe(probed(store, status, "why"))
    assert found.value.status is status


def test_the_rate_of_pictures_is_in_the_key_and_a_time_limit_is_not():
    recipes = [stage.recipe("s", {}) for stage in (ProbeStage(), ProbeStage(timeout=1.0), ProbeStage(25.0))]
    assert recipes[0] == recipes[1] != recipes[2]
