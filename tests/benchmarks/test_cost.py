"""What processes cost: children count, wherever they were started."""

import subprocess
import sys
import time

import pytest

from benchmarks.bench.cost import CommandError, Spent, run, tree, whole_tree
from benchmarks.bench.parts import Meter
from benchmarks.bench.plan import Plan, in_turns

BUSY = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"


def test_the_cost_of_a_command_has_its_children_s_even_of_those_it_leaves_behind():
    left = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BUSY!r}])"
    assert run([sys.executable, "-c", left]).cpu > 0.2
    assert run([sys.executable, "-c", "pass"]).cpu < 0.15


def test_children_that_this_process_keeps_are_not_waited_for():
    kept = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert run([sys.executable, "-c", "pass"]).wall < 10
    assert kept.poll() is None
    kept.communicate(b"\n")


def test_memory_is_sampled_only_on_request():
    held = "import time; block = bytearray(b'x') * 80_000_000; time.sleep(0.5)"
    peak = run([sys.executable, "-c", held], memory=True).peak
    assert peak is not None
    assert 75 < peak < 130
    assert run([sys.executable, "-c", "pass"]).peak is None


def test_a_command_that_fails_is_an_error_with_what_it_said():
    with pytest.raises(CommandError, match=r"ended with 3[\s\S]*no such luck"):
        run([sys.executable, "-c", "import sys; print('no such luck'); sys.exit(3)"])


def test_a_child_that_runs_on_counts_in_the_block_it_worked_in():
    import os

    with subprocess.Popen([sys.executable, "-c", BUSY + "\nprint('done', flush=True); input()"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:  # fmt: skip
        with whole_tree() as cost:
            assert child.stdout is not None
            child.stdout.readline()
            assert child.pid in tree(os.getpid())
        child.communicate(b"\n")
    assert cost[0].cpu >= 0.15


def test_a_block_inside_another_counts_as_the_outer_one():
    meter = Meter()

    def work():
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    with meter.of("outer"):
        work()
        meter.timed("inner", work)()
    meter.timed("alone", work)()
    assert set(meter.spent) == {"outer", "alone"}
    assert 0.04 <= meter.spent["outer"] < 0.06
    assert meter.calls == {"outer": 1, "alone": 1}


def test_waiting_is_no_cpu_time():
    spent = Spent()
    with spent:
        time.sleep(0.05)
    assert spent.wall >= 0.05
    assert spent.cpu < 0.03


def test_tasks_take_turns_and_each_second_round_is_reversed(tmp_path):
    order = []
    found = in_turns({name: lambda name=name: order.append(name) or name for name in "ab"}, 3)
    assert "".join(order) == "abbaab"
    assert found == {"a": ["a"] * 3, "b": ["b"] * 3}
    plan = Plan(tmp_path)
    assert plan.folder("x") != plan.folder("x")
