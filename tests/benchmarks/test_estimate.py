"""What much video would cost, worked out by hand from made-up measurements; and the page that the script writes."""

import subprocess
import sys

import pytest

from benchmarks.bench.estimate import Line, Rates, Site, Work, estimate, folder_title, rates
from benchmarks.bench.estimate_main import BASELINE, MEASURED, PAGE, main
from benchmarks.bench.estimate_page import CASES, number, page, report, size
from benchmarks.bench.figures import Figure, Measurement, Results
from benchmarks.bench.manifest import OTHER
from benchmarks.bench.s3 import NAME as S3
from benchmarks.bench.seconds import STAGES, row_bytes
from tests.conftest import ROOT

WORK = Work(hours=100, clip=36, mbit=8)
"""10,000 clips of 36 s."""

SITE = Site(
    machines=2,
    cores=5,
    price=0.5,
    gbit=0.8,
    storage=0.25,
    reads=3,
    puts=10,
    put_price=0.01,
    get_price=0.002,
    keep_price=0.1,
    months=2,
)
RATES = Rates(
    cpu=(Line(1, 0.25), Line(2, 0.5), Line(4, 1)),
    bytes=Line(100e3, 25e3),
    files=20,
    asked=30,
    faces=10,
    busy=1.5,
    start=12,
    folder=0.1,
    rows=1000,
    row=200,
)


def test_the_estimate_is_what_is_worked_out_by_hand():
    """A clip: 2 + 36 x 0.5 = 20 CPU s, 30 where all cores are busy; 1 MB; 20 files and 360 faces in 2 shards."""
    found = estimate(WORK, SITE, RATES)
    start = 10 * 12 * 1.5 / 3600  # hours: 10 cores of 12 s
    assert found.core_hours == pytest.approx((10 * 1.5 * 1e4 / 3600 + start, 30e4 / 3600 + start, 60e4 / 3600 + start))
    assert found.days["CPU"] == pytest.approx((30e4 + 180) / 10 / 86_400)
    assert found.read == 360_000 * 1e6  # 360,000 s of 1 MB
    assert found.written == pytest.approx(1e4 * 1e6)
    assert found.objects == 1e4 * 22
    # three times 360 GB over two lines of 0.1 GB/s, and 10 GB the other way meanwhile
    assert found.days["network of the machines"] == pytest.approx(1080 / 0.2 / 86_400)
    assert found.days["storage, bytes"] == pytest.approx((1080 + 10) / 0.25 / 86_400)
    assert found.days["storage, objects"] == pytest.approx(22_000 / 86_400)
    assert found.days["driver of a manifest"] == pytest.approx(10 / 86_400)
    assert found.bottleneck == "CPU"
    assert found.folder_days == pytest.approx(1000 / 86_400)
    assert found.parts == 2e6
    assert found.money == pytest.approx(
        {"CPU": (30e4 + 180) / 3600 * 0.5, "requests of S3": 220 * 0.01 + 300 * 0.002, "bytes kept": 10 * 0.1 * 2}
    )


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("storage, objects", {"puts": 1}),
        ("storage, bytes", {"storage": 0.01}),
        ("network of the machines", {"gbit": 0.01}),
    ],
)
def test_the_bottleneck_is_what_takes_longest(name, site):
    assert (
        estimate(WORK, Site(**{"machines": 2, "cores": 5, "storage": 1.0, "puts": 1e3, **site}), RATES).bottleneck
        == name
    )


def test_writing_holds_the_network_up_where_it_is_more_than_reading():
    found = estimate(Work(hours=100, clip=36, mbit=0.01), SITE, RATES)
    assert found.days["network of the machines"] == pytest.approx(10 / 0.2 / 86_400)


def made_up(name, seconds, faces, cpu, held, files):
    """All in the stage of faces, and a second round that cost twice as much."""
    figures = {"all CPU ms/s": Figure.of([cpu, 2 * cpu, cpu])}
    for stage in STAGES:
        figures[f"{stage} bytes/s"] = Figure.of([held if stage == "faces" else 0])
        figures[f"{stage} files"] = Figure.of([files if stage == "faces" else 0])
    return Measurement("seconds", name, figures, facts={"seconds": seconds, "faces": faces})


def test_rates_are_read_from_the_measurements():
    """Clips of 2 s and 60 s cost 0.3 s and 3.2 s: 0.05 s for each second and 0.2 s for each clip."""
    sound = "with sound, 5 frames/s"
    measured = Results(
        {},
        [
            made_up(f"640x360, one face, 2 s, {sound}", 2, 10, 150, 2000, 7),
            made_up(f"640x360, one face, 60 s, {sound}", 60, 300, 3200 / 60, 64_000 / 60, 8),
            made_up("1920x1080, 4 faces, 10 s, with sound, every frame", 10, 1000, 120, 5000, 26),
            Measurement("seconds", folder_title(), {"bytes of a row of table clips": Figure.of([300])}),
            Measurement("s3", S3, {"new, GET": Figure.of([21])}),
            Measurement("manifest", OTHER, {"CPU ms a row": Figure.of([0.25])}),
        ],
    )
    jobs = {"one CPU s": Figure.of([10]), "two CPU s": Figure.of([12])}
    baseline = Results(
        {},
        [
            Measurement("many", "one job and two, 10 s of 640x480, 5 frames/s", jobs),
            Measurement("cold", "vidfer.Analyzer().warm()", {"CPU s": Figure.of([0.8])}),
            Measurement("many", "1000 clips in the store, results written anew", {"wall ms a clip": Figure.of([175])}),
        ],
    )
    found = rates(Work(height=1080, faces=4, every=True), measured, baseline)
    assert [line.at(100) for line in found.cpu] == pytest.approx([0.2 + 100 * 0.1, 0.2 + 10.0, 0.2 + 100 * 0.22])
    # 4,000 and 64,000 bytes: 60,000 in 58 s
    begun = 4000 - 2 * 60_000 / 58
    assert found.bytes.at(10) == pytest.approx(50_000)
    assert found.bytes.clip == pytest.approx(begun)
    assert (found.files, found.asked, found.faces, found.busy, found.start) == (22, 21, 100, 1.2, 0.8)
    assert (found.folder, found.rows, found.row) == (0.175, 4000, 300)
    assert found.objects(10) == 26
    with pytest.raises(KeyError, match=r"1280x720, one face.* was not measured"):
        rates(Work(), measured, baseline)


def test_measured_files_grow_with_shards_of_crops_as_the_estimate_says():
    measured, baseline = Results.read(MEASURED), Results.read(BASELINE)
    known = {each.name: each for each in measured.measurements}
    long = known["640x360, one face, 60 s, with sound, 5 frames/s"].figures
    found = rates(Work(height=360), measured, baseline)
    assert found.objects(60) == sum(long[f"{stage} files"].median for stage in STAGES)
    assert found.bytes.at(60) == pytest.approx(60 * sum(long[f"{stage} bytes/s"].median for stage in STAGES), rel=0.02)
    assert found.cpu[1].at(60) == pytest.approx(60 * long["all CPU ms/s"].median / 1000, rel=0.1)


def test_a_server_of_s3_was_sent_as_many_objects_as_there_are_files():
    known = {each.name: each for each in Results.read(MEASURED).measurements}
    clip = known["640x360, one face, 10 s, with sound, 5 frames/s"].figures
    assert known[S3].figures["new, PUT"].median == sum(clip[f"{stage} files"].median for stage in STAGES)


def test_the_page_has_the_tables_of_the_measurements():
    text = PAGE.read_text("utf-8")
    assert page(text, Results.read(MEASURED), Results.read(BASELINE)) == text
    assert "Not measured yet." not in text


def test_the_script_takes_one_s_own_numbers(capsys):
    assert (
        main(["--hours", "1000", "--clip", "600", "--machines", "1", "--cores", "8", "--price", "1", "--rows", "1"])
        == 0
    )
    said = capsys.readouterr().out
    measured, baseline = Results.read(MEASURED), Results.read(BASELINE)
    known = rates(Work(), measured, baseline)
    hours = 6000 * known.cpu[1].at(600) * known.busy / 3600
    assert number(hours + 8 * known.start * known.busy / 3600) in said.split("money: CPU")[1].splitlines()[0]
    # 6,000 clips written by one machine
    hour = 6000 * known.bytes.at(600) / ((hours + 8 * known.start * known.busy / 3600) / 8)
    assert size(hour) in said.split("by a machine in an hour")[1].splitlines()[0]
    assert "0.0694" in said.split("driver of a manifest")[1].splitlines()[0]  # 6,000 rows at one a second
    help_ = subprocess.run(
        [sys.executable, ROOT / "benchmarks/scaling_plan.py", "--help"], capture_output=True, text=True, check=True
    )
    assert "--keep-price" in help_.stdout


def test_numbers_and_sizes_are_told_shortly():
    assert [number(value) for value in (0.0347, 8.07, 12_345, 1.4399e9)] == [
        "0.0347",
        "8.07",
        "12,300",
        "1,440,000,000",
    ]
    assert [size(value) for value in (1, 999, 1e3, 1.45e15, 2.5e18)] == [
        "1 B",
        "999 B",
        "1 kB",
        "1.45 PB",
        "2,500 PB",
    ]
    assert report(CASES[0], Site(), estimate(CASES[0], Site(), RATES)).startswith("1,000,000 hours: 720p, one face")


def test_a_row_s_bytes_are_those_of_numbers_that_do_not_recur(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1.0, 2.0], "status": ["ok", "ok"], "path": ["x" * 20, "y"]}), tmp_path / "t.parquet")
    assert row_bytes(tmp_path / "t.parquet") == pytest.approx(
        8 + 24, rel=0.25
    )  # a double, and 20 characters with their length
