"""`make lint` tells packages with known vulnerabilities from a service that cannot be reached."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/audit.py"


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_known_vulnerability_fails(audit):
    vuln = {"id": "CVE-2020-1", "fix_versions": ["2.0"], "description": "", "aliases": []}
    packages = [{"name": "a", "version": "1.0", "vulns": [vuln]}, {"name": "b", "version": "1", "vulns": []}]
    status, text = audit.report(json.dumps({"dependencies": packages, "fixes": []}))
    assert status == 1
    assert text.splitlines() == [
        "a 1.0: CVE-2020-1, mended in ['2.0']",
        "2 of 2 packages looked up, 1 known vulnerabilities",
    ]


def test_packages_that_the_service_does_not_know_are_not_called_sound(audit):
    packages = [{"name": "a", "skip_reason": "not found"}, {"name": "b", "version": "1", "vulns": []}]
    assert audit.report(json.dumps({"dependencies": packages})) == (
        0,
        "1 of 2 packages looked up, 0 known vulnerabilities",
    )


def test_offline_it_is_skipped_with_a_note(audit, monkeypatch, capsys):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert audit.main(Path("requirements.lock")) == 0
    assert "skipped" in capsys.readouterr().out
