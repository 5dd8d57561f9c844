import pytest

from tests.weights.lab import Lab


@pytest.fixture
def lab(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("VIDFER_WEIGHTS", str(tmp_path / "pulled"))
    lab = Lab()
    yield lab
    lab.close()
