"""Accuracy on clips of RAVDESS where each take counts once, however many files show it.

    vidfer evaluate clip FOLDERS --labels ravdess | python benchmarks/ravdess_takes.py

RAVDESS has a take with sound, without, and as sound alone, and copies may be rebuilt from crops of the face. Files of one take
are no independent samples: the accuracy of a take is the mean over its files, and the interval a bootstrap over takes.
"""

import json
import re
import sys
from collections import defaultdict

import numpy as np

DRAWS = 10_000


def main() -> None:
    """Read the last line of `vidfer evaluate clip`, and print a line for faces, sound and both."""
    *_, last = sys.stdin
    clips = json.loads(last)["clips"]
    for part in ("faces", "sound", "fused"):
        right = defaultdict(list)
        for clip in clips:
            take = re.search(r"\d\d-((?:\d\d-){5}\d\d)\.\w+$", clip["clip"])
            if take and clip[f"{part}_status"] == "ok":
                right[take[1]].append(clip[part] == clip["truth"])
        mean = np.array([np.mean(each) for each in right.values()])
        drawn = np.random.default_rng(0).integers(0, len(mean), (DRAWS, len(mean)))
        low, high = np.percentile(mean[drawn].mean(1), (2.5, 97.5))
        files = sum(map(len, right.values()))
        print(f"{part}: {mean.mean():.3f} ({low:.3f} to {high:.3f}), {len(mean)} takes in {files} files")


if __name__ == "__main__":
    main()
