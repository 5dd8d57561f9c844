"""What much video would cost, as text and as the tables of docs/scaling.md."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from .estimate import Estimate, Site, Work, estimate, folder_title, rates
from .figures import Measurement, Results, digits
from .manifest import OTHER, SAME
from .s3 import NAME as S3
from .seconds import LONG, SHORT, STAGES
from .table import fill, machine

SITE: Final = Site()
CASES: Final = (
    Work(),
    Work(every=True),
    Work(height=1080, faces=4, mbit=5.0),
    Work(height=360, clip=10.0, mbit=0.8),
    Work(clip=600.0),
)


def page(text: str, measured: Results, baseline: Results) -> str:
    """Write the tables between their marks."""
    return fill(
        text,
        {
            "machine": machine(measured),
            "stages": _stages(measured),
            "bytes": _bytes(measured),
            "driver": _driver(measured, baseline),
            "assumptions": _assumptions(),
            "plan": _plan(measured, baseline),
        },
    )


def report(work: Work, site: Site, found: Estimate) -> str:
    """Return the estimate in lines."""
    width = max(map(len, _ROWS))
    lines = [f"{work.hours:,.0f} hours: {work}", f"{site.machines:g} machines of {site.cores:g} cores", ""]
    lines += [f"{name:{width}}  {tell(work, site, found)}" for name, tell in _ROWS.items()]
    return "\n".join(lines).replace("**", "")


def number(value: float) -> str:
    """Return a number with three significant digits, and commas between thousands."""
    if value >= 1000:
        places = len(f"{value:.0f}") - 3
        return f"{round(value, -places):,.0f}"
    return digits(value)


def size(value: float) -> str:
    """Return bytes in the unit that leaves one to three digits before the point."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000:
            return f"{digits(value) if value % 1 else f'{value:.0f}'} {unit}"
        value /= 1000
    return f"{number(value)} PB"


def _days(name: str) -> Callable[[Work, Site, Estimate], str]:
    def tell(_: Work, __: Site, found: Estimate) -> str:
        text = number(found.days[name])
        return f"**{text}**" if found.bottleneck == name else text

    return tell


_ROWS: Final[Mapping[str, Callable[[Work, Site, Estimate], str]]] = {
    "clips": lambda work, _, __: number(work.clips),
    "core-hours": lambda _, __, found: "{1} ({0} to {2})".format(*map(number, found.core_hours)),
    "times real time, all machines": lambda work, _, found: number(work.hours / (max(found.days.values()) * 24)),
    "days by CPU": _days("CPU"),
    "days by the machines' network": _days("network of the machines"),
    "days by the storage's bytes": _days("storage, bytes"),
    "days by the storage's objects": _days("storage, objects"),
    "days by the driver of a manifest": _days("driver of a manifest"),
    "video read": lambda _, __, found: size(found.read),
    "store written": lambda _, __, found: size(found.written),
    "store written by a machine in an hour, at the CPU's rate": lambda _, site, found: size(
        found.written / site.machines / (found.days["CPU"] * 24)
    ),
    "files in the store": lambda _, __, found: number(found.objects),
    "parts of results": lambda _, __, found: size(found.parts),
    "money: CPU": lambda _, __, found: number(found.money["CPU"]),
    "money: requests, if the store is on S3": lambda _, __, found: number(found.money["requests of S3"]),
    "money: the store kept": lambda _, __, found: number(found.money["bytes kept"]),
    "days to write a folder and a page for each clip, one after the other": lambda _, __, found: number(
        found.folder_days
    ),
}


def _plan(measured: Results, baseline: Results) -> str:
    found = [estimate(work, SITE, rates(work, measured, baseline)) for work in CASES]
    head = ["", *(str(work) for work in CASES)]
    rows = [
        [name, *(tell(work, SITE, each) for work, each in zip(CASES, found, strict=True))]
        for name, tell in _ROWS.items()
    ]
    return _table(head, rows)


def _assumptions() -> str:
    rows = [[f"`--{name.replace('_', '-')}`", about, f"{getattr(SITE, name):g}"] for name, about in Site.HELP.items()]
    return _table(["option", "what", "here"], rows)


def _stages(measured: Results) -> str:
    names = [each for each in STAGES if each not in ("probe", "denoise", "classify")]
    rows = []
    for each in _clips(measured):
        rest = sum(each.figures[f"{name} CPU ms/s"].median for name in STAGES if name not in names)
        cells = [digits(each.figures[f"{name} CPU ms/s"].median) for name in names]
        whole = each.figures["all CPU ms/s"]
        rows.append([each.name, *cells, digits(rest), str(whole), digits(1000 / whole.median)])
    return _table(["clip", *names, "the rest", "all", "times real time, a core"], rows)


def _bytes(measured: Results) -> str:
    names = ("faces", "finetune", "audio", "report")
    rows = []
    for each in _clips(measured):
        kept = {name: each.figures[f"{name} bytes/s"].median for name in STAGES}
        rest = sum(value for name, value in kept.items() if name not in names)
        files = sum(each.figures[f"{name} files"].median for name in STAGES)
        rows.append(
            [each.name, *(size(kept[name]) for name in names), size(rest), size(sum(kept.values())), f"{files:g}"]
        )
    return _table(["clip", *(f"{name}, a second" for name in names), "the rest", "all, a second", "files a clip"], rows)


def _clips(measured: Results) -> list[Measurement]:
    """List what was measured of stages, without the folders."""
    return [each for each in measured.measurements if "all CPU ms/s" in each.figures]


def _driver(measured: Results, baseline: Results) -> str:
    known = {each.name: each.figures for each in (*baseline.measurements, *measured.measurements)}
    base = rates(Work(height=360), measured, baseline)
    folder, asked = known[folder_title()], known[S3]
    jobs = known["one job and two, 10 s of 640x480, 5 frames/s"]
    rows = [
        [
            "a clip as such, whatever its length",
            f"CPU s {digits(base.cpu[1].clip)}",
            f"line through clips of {SHORT:g} s and {LONG:g} s, 640x360",
        ],
        ["a worker's start", f"CPU s {known['vidfer.Analyzer().warm()']['CPU s']}", "modules and models"],
        [
            "all cores busy",
            f"{digits(base.busy)} times the CPU s",
            f"two jobs {jobs['two CPU s']} CPU s, one {jobs['one CPU s']}",
        ],
        [
            "a clip in the store, its folder and page written",
            f"wall ms {known['1000 clips in the store, results written anew']['wall ms a clip']}",
            "1,000 clips of 2 s, one job",
        ],
        [
            "a clip's folder of results",
            f"{folder['files'].median:g} files, {size(folder['bytes'].median)}",
            "10 s of 640x360 with one face",
        ],
        [
            "a clip in a store on S3",
            "{:g} PUT, {:g} GET; {:g} GET where it is there".format(
                *(asked[name].median for name in ("new, PUT", "new, GET", "found, GET"))
            ),
            "10 s of 640x360 with one face; requests counted by moto's server",
        ],
        [
            "a row of a manifest's parts",
            f"at most {digits(folder['bytes of a row of table clips'].median)} B",
            "Parquet, no number twice; further tables and columns come on top",
        ],
        *(
            [
                f"an item of --engine {name}",
                f"wall ms {each['wall ms an item']}; wall s {each['wall s to the first']} to the first",
                "items without work, on this machine",
            ]
            for name in ("local", "ray")
            for each in [known[f"{name}, items without work"]]
        ),
        *(
            [
                f"the driver of a manifest, {'another clip' if name == OTHER else 'the same clip'} in each row",
                f"CPU ms a row {known[name]['CPU ms a row']}",
                f"{number(1000 / known[name]['CPU ms a row'].median)} rows in a second of CPU time; the store on a local disk",
            ]
            for name in (SAME, OTHER)
        ),
    ]
    return _table(["what", "cost", "how"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
