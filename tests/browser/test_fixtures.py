"""The fixtures see what they are for."""

import pytest

pytestmark = pytest.mark.browser


def test_a_page_with_faults_is_found_out(tmp_path, open_page, serious_faults, overflow):
    (tmp_path / "bad.html").write_text(
        "<html><title>x</title><body><img src='http://127.0.0.1:9/x.png'><div style='width:900px'>x</div>"
        "<script>nothing()</script></body></html>"
    )
    with open_page((tmp_path / "bad.html").as_uri(), width=390) as seen:
        assert any("nothing is not defined" in error for error in seen.errors)
        assert seen.outside == ["http://127.0.0.1:9/x.png"]
        assert {"image-alt", "html-has-lang"} <= {name for name, _, _ in serious_faults(seen.page)}
        assert overflow(seen.page) > 400


def test_a_page_without_faults_is_not(tmp_path, open_page, serious_faults, overflow):
    (tmp_path / "good.html").write_text("<html lang='en'><title>x</title><main><h1>Fine</h1></main></html>")
    with open_page((tmp_path / "good.html").as_uri(), width=390) as seen:
        assert (seen.errors, seen.outside, serious_faults(seen.page), overflow(seen.page)) == ([], [], [], 0)
