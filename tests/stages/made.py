"""What stages `probe` and `faces` write, made by hand."""

from dataclasses import asdict

import numpy as np

from vidfer.media.decode import AudioInfo, Probe, VideoInfo
from vidfer.pipeline.columns import to_parquet
from vidfer.pipeline.digest import recipe_key
from vidfer.types import Status

VIDEO = VideoInfo("h264", "yuv420p", 640, 360, 0, 25.0, False, False)
PROBE = Probe("mov", 0.6, VIDEO, AudioInfo("aac", 48000, 2), "2024-05-01T10:00:00Z")


def probed(store, status=Status.OK, message="", about=PROBE):
    """Publish an artifact of stage `probe`."""
    recipe = {"stage": "probe", "version": 1, "params": {}, "tools": {}, "inputs": {}, "source": f"{status}{about}"}
    with store.draft("probe", recipe_key(recipe)) as draft:
        meta = asdict(about) if status is Status.OK else {}
        return store.publish(draft.seal(recipe, status=status, message=message, meta=meta))


def times_file(frame, time_s, **columns):
    """Encode `times.parquet` of bright frames of 640 px by 360 in one scene."""
    count = len(frame)
    plain = {"width": 640, "height": 360, "brightness": 100.0, "cut": False}
    table = {"frame": frame, "time_s": time_s, **{name: np.full(count, value) for name, value in plain.items()}}
    return to_parquet({**table, **columns})
