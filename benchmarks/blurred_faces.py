"""How far persons can be told by blurred pictures, by matchers of clear pictures and by such that learnt from blurred ones.

    python benchmarks/blurred_faces.py data/faces_wild [--blocks 3,4,5,6,8,12]

Each photograph of a person is looked for among one other photograph of each person. The matcher is a linear discriminant analysis
with shrinkage, fitted on other persons. It reads gradients (HOG) of pictures as they are; and of blurred ones the same, as a
program made for clear pictures would, or all that is left of them, their blocks' means, as one made against this blur would.
Printed is how often the right person comes first, with Wilson's interval, how often among the first ten, and the area under the
curve of same against different persons; then in how many pictures the detector finds a face.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.feature import hog
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from vidfer.inference.mtcnn import MtcnnDetector
from vidfer.metrics.classification import wilson_interval
from vidfer.results.pictures import blurred

EDGE, SURE, DETECTED = 96, 0.6, 300  # px; the score of a face; pictures that the detector looks at
Image = NDArray[np.uint8]  # RGB (H, W, 3)
Floats = NDArray[np.float64]
People = dict[int, list[Image]]  # photographs by person
Read = Callable[[Image], Floats]


def read(folder: Path) -> People:
    """Read the photographs of all persons who have several."""
    table = pd.read_csv(folder / "wild.csv", usecols=["image", "person"])
    found: People = defaultdict(list)
    for image, person in table.itertuples(index=False):
        found[int(person)].append(np.asarray(cv2.imread(str(folder / image)), np.uint8)[..., ::-1])
    return {person: images for person, images in found.items() if len(images) > 1}


def gradients(image: Image) -> Floats:
    """Describe a picture by the directions of its edges."""
    gray = cv2.resize(image[..., 0], (EDGE, EDGE), interpolation=cv2.INTER_AREA)
    return np.asarray(hog(gray, pixels_per_cell=(12, 12), cells_per_block=(2, 2)), float)


def means(image: Image, blocks: int) -> Floats:
    """Return what is left of a blurred picture, without its light, which differs between photographs of a person."""
    small = cv2.resize(image[..., 0].astype(float), (2 * blocks, 2 * blocks), interpolation=cv2.INTER_AREA)
    left = np.asarray(small, float).ravel()
    return np.asarray((left - left.mean()) / (left.std() + 1e-6))


def match(people: People, fitted: Read, looked_for: Read) -> dict[str, float]:
    """Fit the matcher on half of the persons, and look for the others: `fitted` describes known pictures, `looked_for` others."""
    order = np.random.default_rng(0).permutation(sorted(people))
    known, others = order[: len(order) // 2], order[len(order) // 2 :]
    x = np.array([fitted(image) for person in known for image in people[person]])
    y = [person for person in known for _ in people[person]]
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=min(100, x.shape[1])).fit(x, y)
    gallery = unit(lda.transform(np.array([fitted(people[person][0]) for person in others])))
    probes = unit(lda.transform(np.array([looked_for(image) for person in others for image in people[person][1:]])))
    truth = np.repeat(np.arange(len(others)), [len(people[person]) - 1 for person in others])
    likeness = probes @ gallery.T
    own, other = (likeness[np.arange(len(truth)), at] for at in (truth, (truth + 1) % len(gallery)))
    rank = (likeness > own[:, None]).sum(1)
    low, high = wilson_interval(int((rank == 0).sum()), len(rank))
    first, ten, area = (float(each.mean()) for each in (rank == 0, rank < 10, own[:, None] > other[None]))
    return {"n": len(rank), "persons": len(gallery), "first": first, "low": low, "high": high, "ten": ten, "auc": area}


def unit(vectors: Floats) -> Floats:
    """Scale vectors `(N, D)` to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def found_faces(pictures: Sequence[Image]) -> dict[str, int]:
    """Count pictures, twice as large and with a margin, in which the detector finds a face."""
    large = [np.pad(cv2.resize(each, None, fx=2, fy=2), ((64, 64), (64, 64), (0, 0)), "edge") for each in pictures]
    faces = MtcnnDetector().detect([np.asarray(each, np.uint8) for each in large])
    return {"pictures": len(large), "with a face": sum(bool((each.scores > SURE).any()) for each in faces)}


def main() -> None:
    """Measure and print a line of JSON for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", default="4")
    options = parser.parse_args()
    people = read(options.folder)
    say("as they are", {**match(people, gradients, gradients), **found_faces(some(people))})
    for blocks in map(int, options.blocks.split(",")):
        hide, left = partial(blurred, blocks=blocks), partial(means, blocks=blocks)
        hidden = {person: [hide(image) for image in images] for person, images in people.items()}
        say(f"{blocks} x {blocks}, made for clear ones", match(people, gradients, partial(gradients_of, hide=hide)))
        say(f"{blocks} x {blocks}, made against it", {**match(hidden, left, left), **found_faces(some(hidden))})


def gradients_of(image: Image, hide: Callable[[Image], Image]) -> Floats:
    """Describe a picture by the directions of its edges when it is hidden."""
    return gradients(hide(image))


def some(people: People) -> list[Image]:
    """Return the first picture of the first people."""
    return [images[0] for images in people.values()][:DETECTED]


def say(name: str, found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(json.dumps({"pictures are": name, **{key: round(value, 4) for key, value in found.items()}}), flush=True)


if __name__ == "__main__":
    main()
