import tracemalloc

import pytest

from vidfer.pipeline.bounded import read_bounded


def test_reading_takes_memory_for_what_is_there_and_not_for_the_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    tracemalloc.start()
    try:
        assert read_bounded(tmp_path / "file", 1 << 33) == b"0123456789"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_up_to_the_limit_all_is_read(tmp_path, size):
    (tmp_path / "file").write_bytes(bytes(size))
    assert read_bounded(tmp_path / "file", 10) == bytes(size)
    with pytest.raises(OSError, match="larger than the"):
        read_bounded(tmp_path / "file", size - 1)
