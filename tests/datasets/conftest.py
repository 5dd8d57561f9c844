"""Tiny trees in the layouts of data sets of clips."""

import pytest


@pytest.fixture
def tree(tmp_path):
    """Write files below `tmp_path/data`, each with its own content unless bytes are given; returns the folder."""

    def write(*names, content=None):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode() if content is None else content)
        return tmp_path / "data"

    return write
