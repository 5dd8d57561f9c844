"""A cluster of Ray of two simulated nodes."""

import logging
import os
import sys
from pathlib import Path

import pytest

STORE = 80_000_000  # bytes of Ray's own memory a node, the least it takes


@pytest.fixture
def cluster(monkeypatch):
    """Two simulated nodes of two CPUs each, and this process connected to them."""
    import ray
    from ray.cluster_utils import Cluster

    from vidfer.pipeline.engines.ray_engine import hush

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), *sys.path]))
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": STORE})
    nodes.second = nodes.add_node(num_cpus=2, object_store_memory=STORE)
    ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    hush()
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()
