from vidfer.pipeline.stage import tool_versions


def test_versions_without_importing():
    import av

    assert tool_versions("av", "no-such-package") == {"av": av.__version__, "no-such-package": None}
