from dataclasses import replace

import numpy as np
import pytest

from vidfer.results.linking import Identity, link_people


def families(seed, people, clips, *, noise=0.25, width=64, shown=0.8):
    """Make persons who each appear in some clips, once or twice there, one after the other; and who is who by id."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, width))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    made, truth = [], {}
    for clip in range(clips):
        number = 0
        for person in range(people):
            for visit in range(rng.choice([0, 1, 2], p=[1 - shown, shown * 0.7, shown * 0.3])):
                number += 1
                point = centres[person] + noise * rng.normal(size=width) / np.sqrt(width)
                one = Identity(
                    f"c{clip:02}#{number}",
                    f"c{clip:02}",
                    number,
                    point / np.linalg.norm(point),
                    (10.0 * visit, 10.0 * visit + 9),
                )
                made.append(one)
                truth[one.person_id] = person
    return made, truth


def groups(people, links):
    found = {}
    for one in people:
        found.setdefault(links.get(one.person_id, one.person_id), set()).add(one.person_id)
    return {frozenset(members) for members in found.values()}


@pytest.mark.parametrize("seed", range(12))
def test_families_are_found_whatever_the_order(seed):
    rng = np.random.default_rng(100 + seed)
    people, truth = families(seed, *rng.integers(1, 9, 2))
    links = link_people(people)
    expected = {}
    for person_id, person in truth.items():
        expected.setdefault(person, set()).add(person_id)
    assert groups(people, links) == {frozenset(members) for members in expected.values()}
    assert link_people([people[at] for at in rng.permutation(len(people))]) == links
    assert all(first < other and first not in links for other, first in links.items())


def test_who_is_seen_at_the_same_time_is_never_one_person_even_through_a_third():
    point = np.eye(8)[0]
    twins = [Identity(f"a#{n}", "a", n, point, (0.0, 5.0)) for n in (1, 2)]
    assert link_people(twins) == {}
    later = Identity("a#3", "a", 3, point, (5.2, 9.0))
    other = Identity("b#1", "b", 1, point, (0.0, 5.0))
    links = link_people([*twins, later, other])
    found = groups([*twins, later, other], links)
    assert len(found) == 2
    assert not [group for group in found if {"a#1", "a#2"} <= group]


@pytest.mark.parametrize("seed", range(6))
def test_no_group_holds_two_who_overlap_however_high_the_threshold(seed):
    people, _ = families(seed, 5, 6, noise=2.0)
    by_id = {one.person_id: one for one in people}
    for group in groups(people, link_people(people, 1.99)):
        seen = [by_id[person_id] for person_id in group]
        for one in seen:
            assert not [
                other
                for other in seen
                if other is not one and other.clip_id == one.clip_id and other.span[0] == one.span[0]
            ]


def test_the_threshold_is_a_mean_distance():
    at = [np.array([np.cos(a), np.sin(a)]) for a in np.deg2rad([0, 40, 80])]
    people = [Identity(f"{clip}#1", clip, 1, point, (0.0, 1.0)) for clip, point in zip("abc", at, strict=True)]
    near, far = 1 - np.cos(np.deg2rad(40)), 1 - np.cos(np.deg2rad(80))  # 0.234, 0.826
    assert link_people(people, near - 1e-6) == {}
    assert link_people(people, near + 1e-6) in ({"b#1": "a#1"}, {"c#1": "b#1"})
    assert len(link_people(people, (near + far) / 2 - 1e-6)) == 1
    assert link_people(people, (near + far) / 2 + 1e-6) == {"b#1": "a#1", "c#1": "a#1"}


def test_what_the_user_says_is_not_overruled():
    point = np.eye(4)[0]
    people = [Identity(f"{clip}#1", clip, 1, point, (0.0, 1.0)) for clip in "abc"]
    assert link_people(people) == {"b#1": "a#1", "c#1": "a#1"}
    assert link_people([people[0], replace(people[1], alone=True), people[2]]) == {"c#1": "a#1"}
    named = [replace(people[0], name="Ann"), replace(people[1], name="Bea"), people[2]]
    assert len(link_people(named)) == 1
    assert "b#1" not in link_people(named)
    assert link_people([]) == link_people(people[:1]) == {}
