"""Which persons of a run are the same, by points that lie close together for one person: a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vidfer.types import UsageError

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]

THRESHOLD: Final = 0.3
"""Mean cosine distance, in [0, 2], up to which persons are linked by the published weights.

References:
    Serengil, Ozpinar, A benchmark of facial recognition pipelines and co-usability performances of modules, Bilisim Teknolojileri
    Dergisi 17(2), 2024, whose library DeepFace has 0.30 for FaceNet with 512 numbers. FaceNet's own paper (CVPR 2015, figure 1)
    has a squared distance of 1.1, which is a cosine distance of 0.55. The lower one is taken here, since a wrong link mixes two
    persons' tables, and a missing one can be added by hand.
"""


@dataclass(frozen=True)
class LinkOptions:
    """Whether persons are linked across cuts and clips.

    Args:
        identify: Link persons across cuts and clips by their faces; needs weights, see `vidfer weights pull identity`.
        identify_threshold: Mean cosine distance up to which persons are linked; more of them with a higher one.

    Raises:
        UsageError: The threshold is no distance.
    """

    identify: bool = False
    identify_threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 < self.identify_threshold < 2:
            raise UsageError(f"--identify-threshold has to be above 0 and below 2, not {self.identify_threshold}")


@dataclass(frozen=True)
class Identity:
    """One person of one clip, as tracked.

    Args:
        person_id: Of the run's tables, before any link.
        clip_id: The clip.
        person: The person's number in the clip.
        embedding: (D,), of length 1.
        span: Times of the first and the last face image in s.
        name: What the user calls the person; persons of different names are never linked.
        alone: Whether the user says that this is nobody else, or who it is: then it is not linked.
    """

    person_id: str
    clip_id: str
    person: int
    embedding: Floats
    span: tuple[float, float]
    name: str = ""
    alone: bool = False


def link_people(people: Sequence[Identity], threshold: float = THRESHOLD) -> dict[str, str]:
    """Find for each person of a group the group's first, by clip and number; who is alone or first is not in the result.

    Groups come from agglomerative clustering with average linkage: two groups are joined while the mean distance between
    their members is at most the threshold. Persons who are seen in one clip at the same time are never in one group. The
    order of `people` does not change the result.

    Args:
        people: Any number of persons, each once.
        threshold: Cosine distance in (0, 2).
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    people = sorted((one for one in people if not one.alone), key=lambda one: (one.clip_id, one.person))
    if len(people) < 2:
        return {}
    distances = _distances(people)
    joined = linkage(squareform(distances, checks=False), "average")
    groups = fcluster(joined, threshold, "distance")
    links: dict[str, str] = {}
    first: dict[int, str] = {}
    for one, group in zip(people, groups.tolist(), strict=True):
        root = first.setdefault(group, one.person_id)
        if root != one.person_id:
            links[one.person_id] = root
    return links


def _distances(people: Sequence[Identity]) -> Floats:
    """Return cosine distances (P, P), and for who can not be the same one so large that no mean with it is below a threshold."""
    points = np.stack([np.asarray(one.embedding, np.float64) for one in people])
    distances = np.clip(1 - points @ points.T, 0, 2)
    distances = (distances + distances.T) / 2  # rounding must not depend on the order
    distances[_apart(people)] = 4.0 * len(people) ** 2  # of at most P^2/4 pairs between two groups
    np.fill_diagonal(distances, 0)
    return np.asarray(distances)


def _apart(people: Sequence[Identity]) -> Flags:
    """Say who are not the same person (P, P): seen at one time in one clip, or named differently."""
    _, clip = np.unique([one.clip_id for one in people], return_inverse=True)
    _, name = np.unique([one.name for one in people], return_inverse=True)
    named = np.array([bool(one.name) for one in people])
    start, end = np.array([one.span for one in people]).T
    together = (start[:, None] <= end) & (start <= end[:, None])
    seen_at_once = (clip[:, None] == clip) & together
    return np.asarray(seen_at_once | ((name[:, None] != name) & named[:, None] & named))
