"""Many clips in one process: memory, open files and threads stay as they are."""

import gc
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import psutil
import pytest

from tests.faults.golden import write_clip
from vidfer import Analyzer

GROWTH = 0.05
"""Share by which memory may grow once everything is loaded."""


def write_clips(folder, count):
    """Write clips of a second that differ in content, with and without sound or a face, by few encodings."""
    import av

    folder.mkdir()
    faces = write_clip(folder / "faces.mkv")
    empty = folder / "empty.mkv"
    with av.open(str(empty), "w", format="matroska") as out:
        video = out.add_stream("ffv1", rate=5)
        video.width, video.height, video.pix_fmt = 160, 120, "bgr0"
        for level in range(5):
            picture = np.full((120, 160, 3), 20 * level, np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        out.mux(video.encode())
    kinds = [b"no video", empty.read_bytes(), b"no video", empty.read_bytes(), faces.read_bytes()]
    paths = []
    for number in range(count):
        path = folder / f"{number:04}.mkv"
        # bytes behind the last element, which players skip, make another clip of it
        path.write_bytes(kinds[number % len(kinds)] + b"\xec\x84" + number.to_bytes(4, "big"))
        paths.append(path)
    return paths


def state(process):
    """Return resident memory in bytes, open files and threads, once nothing is left to be collected."""
    gc.collect()
    return process.memory_info().rss, process.num_fds(), process.num_threads()


def run(folder, count, base, step):
    """Analyse clips in this process; return its state, and that of its children, after `base` clips and every `step` more.

    Both are multiples of five, so that the last clip is always of the same kind, and the same children are there.
    """
    process = psutil.Process()
    states = []
    with Analyzer(store=folder / "store", fps=1) as analyzer:
        for number, path in enumerate(write_clips(folder / "clips", count), start=1):
            result = analyzer.analyze(path)
            assert result.status in ("ok", "no_face", "unsupported", "corrupt"), result.message
            del result
            if number == base or (number > base and number % step == 0):
                children = sorted(child.memory_info().rss for child in process.children(recursive=True))
                states.append((*state(process), len(children), sum(children)))
    return states


@pytest.mark.skipif(os.name == "nt", reason="counts descriptors")
@pytest.mark.parametrize(("count", "base"), [(20, 10), pytest.param(1000, 100, marks=pytest.mark.slow)])
def test_memory_files_and_threads_do_not_grow(tmp_path, figure, count, base):
    with ProcessPoolExecutor(
        1, get_context("spawn")
    ) as own:  # memory that other tests have left free would hide a growth
        states = own.submit(run, tmp_path, count, base, 50 if count > 100 else 5).result()
    memory, files, threads, children, of_children = (np.array(each) for each in zip(*states, strict=True))
    growth, half = memory.max() / memory[0] - 1, len(states) // 2
    assert growth < GROWTH, f"memory grew by {growth:.1%}: {memory.tolist()}"
    # child processes are replaced after some clips, so that what they have goes up and down
    theirs = of_children[half:].max() / of_children[:half].max() - 1
    assert theirs < GROWTH, f"memory of child processes: {of_children.tolist()}"
    for name, each in (("open files", files), ("threads", threads), ("child processes", children)):
        assert each[half:].max() <= each[:half].max(), f"{name}: {each.tolist()}"
    most = f"up to {files.max()} open files and {threads.max()} threads"
    figure(f"{count} clips in one process: {growth:+.1%} memory after clip {base}, {most}")
