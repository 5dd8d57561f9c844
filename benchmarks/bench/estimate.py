"""Hours, days, bytes, objects and money of much video, worked out from what was measured of a second."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from vidfer.stages.faces import SHARD

from .clips import Clip
from .figures import Figure, Measurement, Results
from .manifest import OTHER
from .s3 import NAME as S3
from .seconds import FIVE, LENGTH, LONG, SHORT, SIZES, STAGES, title

DAY: Final = 86_400.0


@dataclass(frozen=True)
class Work:
    """What is to be analysed; `HELP` says what each field is."""

    HELP: ClassVar = {
        "hours": "hours of video",
        "clip": "length of a clip, in s",
        "height": "height of the pictures, in px",
        "faces": "faces in each picture",
        "every": "look at every frame, not at five a second",
        "mbit": "rate of the video files, in Mbit/s",
    }

    hours: float = 1e6
    clip: float = 60.0
    height: int = 720
    faces: int = 1
    every: bool = False
    mbit: float = 2.5

    @property
    def clips(self) -> float:
        """Number of clips."""
        return self.hours * 3600 / self.clip

    def __str__(self) -> str:
        """Return it in words."""
        people = "one face" if self.faces == 1 else f"{self.faces} faces"
        return f"{self.height}p, {people}, {'every frame' if self.every else '5 frames/s'}, clips of {self.clip:g} s"


@dataclass(frozen=True)
class Site:
    """With what, and for which prices, none of which was measured; `HELP` says what each field is."""

    HELP: ClassVar = {
        "machines": "number of machines",
        "cores": "cores of a machine, as its operating system counts them",
        "price": "price of a core for an hour",
        "gbit": "network of a machine, in Gbit/s, each way",
        "storage": "what the storage takes and gives in all, in GB/s",
        "reads": "how often a file is fetched: once where the page cache holds it until it has been heard",
        "puts": "files or objects that the storage takes in a second",
        "put_price": "price of writing 1,000 objects",
        "get_price": "price of asking for 1,000 objects",
        "keep_price": "price of keeping a GB for a month",
        "months": "months for which the store is kept",
    }

    machines: float = 100
    cores: float = 64
    price: float = 0.04
    gbit: float = 10.0
    storage: float = 10.0
    reads: float = 1.0
    puts: float = 3500.0
    put_price: float = 0.005
    get_price: float = 0.0004
    keep_price: float = 0.023
    months: float = 1.0


@dataclass(frozen=True)
class Line:
    """What depends on a clip's length: so much for each clip, and so much for each of its seconds."""

    clip: float
    second: float

    @classmethod
    def through(cls, short: tuple[float, float], long: tuple[float, float]) -> Self:
        """Return the line through two totals, each `(seconds, total)`."""
        second = (long[1] - short[1]) / (long[0] - short[0])
        return cls(short[1] - second * short[0], second)

    def at(self, seconds: float) -> float:
        """Return the total of a clip."""
        return self.clip + self.second * seconds


@dataclass(frozen=True)
class Rates:
    """What was measured, for one size, number of faces and cadence.

    Args:
        cpu: CPU seconds of a clip by its length: the median, and the smallest and largest round.
        bytes: Bytes that a clip leaves in the store.
        files: Files of a clip in the store, but for the crops.
        asked: Requests for a clip that a store on S3 does not have yet.
        faces: Face crops of a second.
        busy: What a CPU second becomes where all cores work.
        start: CPU seconds to start a worker.
        folder: Seconds by the clock to write a clip's folder and its part of the run's tables and page, one after the other.
        rows: Rows that the driver of a manifest does in a second of CPU time.
        row: Bytes of a row of its parts.
    """

    cpu: tuple[Line, Line, Line]
    bytes: Line
    files: float
    asked: float
    faces: float
    busy: float
    start: float
    folder: float
    rows: float
    row: float

    def objects(self, seconds: float) -> float:
        """Return the files of a clip in the store; crops lie in shards."""
        return self.files + math.ceil(max(self.faces * seconds, 1) / SHARD)


@dataclass(frozen=True)
class Estimate:
    """What it would take; days are those of each resource if it alone held the work up."""

    core_hours: tuple[float, float, float]
    days: Mapping[str, float]
    read: float
    written: float
    objects: float
    parts: float
    money: Mapping[str, float]
    folder_days: float

    @property
    def bottleneck(self) -> str:
        """The resource that takes longest."""
        return max(self.days, key=lambda name: self.days[name])


def estimate(work: Work, site: Site, rates: Rates) -> Estimate:
    """Work out hours, days, bytes, objects and money."""
    clips = work.clips
    low, middle, high = (clips * line.at(work.clip) * rates.busy / 3600 for line in rates.cpu)
    started = site.machines * site.cores * rates.start * rates.busy / 3600
    read = work.hours * 3600 * work.mbit * 1e6 / 8
    written, objects = clips * rates.bytes.at(work.clip), clips * rates.objects(work.clip)
    line = site.machines * site.gbit * 1e9 / 8
    days = {
        "CPU": (middle + started) / (site.machines * site.cores * 24),
        "network of the machines": max(read * site.reads, written) / line / DAY,
        "storage, bytes": (read * site.reads + written) / (site.storage * 1e9) / DAY,
        "storage, objects": objects / site.puts / DAY,
        "driver of a manifest": clips / rates.rows / DAY,
    }
    money = {
        "CPU": (middle + started) * site.price,
        "requests of S3": objects / 1000 * site.put_price + clips * rates.asked / 1000 * site.get_price,
        "bytes kept": written / 1e9 * site.keep_price * site.months,
    }
    hours = (low + started, middle + started, high + started)
    return Estimate(hours, days, read, written, objects, clips * rates.row, money, clips * rates.folder / DAY)


def rates(work: Work, measured: Results, baseline: Results) -> Rates:
    """Take from the measurements what belongs to the work; the cost of a clip as such is that of 360p with one face.

    Raises:
        KeyError: That size, number of faces or cadence was not measured.
    """
    widths = {height: width for width, height in SIZES}
    fps = None if work.every else FIVE
    one = _of(measured, title(Clip(widths[work.height], work.height, LENGTH, work.faces), fps))
    ends = [_of(measured, title(Clip(*SIZES[0], seconds), FIVE)) for seconds in (SHORT, LONG)]
    fixed = Line.through(*[(_length(each), _cpu(each).median / 1000 * _length(each)) for each in ends]).clip
    begun = Line.through(*[(_length(each), _total(each, "bytes/s") * _length(each)) for each in ends]).clip
    cpu = [
        Line(fixed, (value / 1000 * LENGTH - fixed) / LENGTH)
        for value in (_cpu(one).min, _cpu(one).median, _cpu(one).max)
    ]
    faces = float(one.facts["faces"])
    files = _total(one, "files") - math.ceil(faces / SHARD)
    jobs = _of(baseline, "one job and two, 10 s of 640x480, 5 frames/s").figures
    return Rates(
        cpu=(cpu[0], cpu[1], cpu[2]),
        bytes=Line(begun, (_total(one, "bytes/s") * LENGTH - begun) / LENGTH),
        files=files,
        asked=_of(measured, S3).figures["new, GET"].median,
        faces=faces / LENGTH,
        busy=jobs["two CPU s"].median / jobs["one CPU s"].median,
        start=_of(baseline, "vidfer.Analyzer().warm()").figures["CPU s"].median,
        folder=_of(baseline, "1000 clips in the store, results written anew").figures["wall ms a clip"].median / 1000,
        rows=1000 / _of(measured, OTHER).figures["CPU ms a row"].median,
        row=_of(measured, folder_title()).figures["bytes of a row of table clips"].median,
    )


def folder_title() -> str:
    """Return the name of the measurement of the folders of results."""
    return f"folder of results, {title(Clip(*SIZES[0], LENGTH), FIVE)}"


def _of(results: Results, name: str) -> Measurement:
    for each in results.measurements:
        if each.name == name:
            return each
    raise KeyError(f"{name} was not measured: python -m benchmarks.bench seconds --out benchmarks/scaling.json")


def _length(each: Measurement) -> float:
    return float(each.facts["seconds"])


def _cpu(each: Measurement) -> Figure:
    return each.figures["all CPU ms/s"]


def _total(each: Measurement, unit: str) -> float:
    """Return the sum over all stages."""
    return sum(each.figures[f"{stage} {unit}"].median for stage in STAGES)
