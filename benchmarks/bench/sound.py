"""The sound stage beside bare openSMILE on the same windows."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .clips import Clip
from .cost import call, whole_tree
from .figures import Bar, Figure, Measurement
from .parts import Sound
from .plan import Plan


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measure the stage on a minute of sound, with its child process started before."""
    clip = plan.clip or Clip(64, 48, 60.0).path()
    found: dict[str, Any] = call("sound.windows", clip=clip, rounds=plan.rounds(5))
    rounds = range(len(found["chain"]))
    bare = found["openSMILE"]
    rest = [bare[number] + found["speech detector"][number] + found["decoding of sound"][number] for number in rounds]
    yield Measurement(
        "sound",
        "windows of 2 s every 1 s",
        {"CPU s": Figure.of(found["chain"]), "wall s": Figure.of(found["wall"])},
        {name: Figure.of(found[name]) for name in ("openSMILE", "speech detector", "decoding of sound")},
        {
            "CPU / openSMILE": Figure.of([found["chain"][number] / bare[number] for number in rounds]),
            "CPU / floors": Figure.of([found["chain"][number] / rest[number] for number in rounds]),
        },
        [Bar("CPU / openSMILE", 1.05)],
        {"windows": found["windows"][0]},
    )


def windows(clip: str, rounds: int) -> dict[str, list[float]]:
    """Return CPU seconds of reading a clip's windows with its child process, and of its floors, in turns."""
    from vidfer.media.audio import read_windows
    from vidfer.media.kept import end_children

    bare, found = Sound(Path(clip)), defaultdict(list)
    read_windows(clip)  # starts the child, which stays
    bare.floors()
    for _ in range(rounds):
        with whole_tree() as cost:
            result = read_windows(clip)
        found["chain"].append(cost[0].cpu)
        found["wall"].append(cost[0].wall)
        found["windows"].append(len(result.times))
        for name, cpu in bare.floors().items():
            found[name].append(cpu)
    end_children()
    return found
