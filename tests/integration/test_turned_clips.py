"""Clips turned without rotation metadata answer as they did upright."""

from contextlib import closing
from fractions import Fraction

import av
import numpy as np
import pytest
from skimage.data import astronaut

from vidfer import analyze
from vidfer.media.decode import read_frames
from vidfer.media.turned import turn_boxes
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain

pytestmark = pytest.mark.filterwarnings("ignore")


def write_turned(path, images, degrees):
    """Write frames, 5 a second and turned clockwise, without sound and without metadata."""
    images = [np.ascontiguousarray(np.rot90(image, -degrees // 90)) for image in images]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "18"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = 200 * number, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def embeddings(clip, store):
    with finished(build_chain(ChainOptions()), "finetune", clip, Store(store)) as artifact:
        rows = artifact.arrays("embeddings.safetensors")["embeddings"].astype(float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def assert_turned_agree(images, folder, turns=(90, 180, 270)):
    store = folder / "store"
    path = write_turned(folder / "0.mp4", images, 0)
    upright, upright_embeddings = analyze(path, store=store), embeddings(path, store)
    assert (upright.status, upright.summary["message"]) == ("ok", "")
    for degrees in turns:
        path = write_turned(folder / f"{degrees}.mp4", images, degrees)
        result = analyze(path, store=store)
        assert result.status == "ok"
        says = f"read turned by {360 - degrees} degrees clockwise; the file has no rotation metadata"
        assert says in result.summary["message"]
        assert result.predominant == upright.predominant
        np.testing.assert_allclose(result.frames["time_s"], upright.frames["time_s"])
        assert np.median((embeddings(path, store) * upright_embeddings).sum(1)) > 0.9
        height, width = images[0].shape[:2]
        expected = turn_boxes(upright.frames[["x0", "y0", "x1", "y1"]].to_numpy(), (height, width), degrees)
        np.testing.assert_allclose(result.frames[["x0", "y0", "x1", "y1"]], expected, atol=0.06 * height)
        lean = (result.frames["roll"] - upright.frames["roll"] - degrees + 180) % 360 - 180
        assert lean.abs().max() < 15


def test_a_portrait_that_moves(tmp_path):
    portrait = astronaut()
    assert_turned_agree([portrait[:400, 4 * k : 4 * k + 420] for k in range(12)], tmp_path, turns=(90, 180))


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["01-01-01-01-01-01-01.mp4", "02-01-08-02-01-01-01.mp4"])
def test_a_real_clip(data_dir, tmp_path, clip):
    with closing(read_frames(data_dir / "ravdess_av/actor01_mp4_360p" / clip, fps=5.0)) as frames:
        images = [frame.image for frame in frames]
    assert_turned_agree(images, tmp_path)
