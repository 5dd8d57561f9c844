"""Where the work on many items is done: in processes of this machine, or on a cluster. An engine knows nothing of clips.

All of them give the same results: what an engine is called, where it is and how many workers it has enters no key. Of several
attempts only the item counts: one whose worker dies is `crashed`, one that comes to no end is a `timeout`, and the others go on.
"""

from vidfer.pipeline.engines.base import Engine, Result
from vidfer.pipeline.engines.choice import ENGINE_GROUPS, EngineOptions
from vidfer.pipeline.engines.local import LocalEngine
from vidfer.pipeline.engines.ray_engine import RayEngine
from vidfer.pipeline.engines.slurm_engine import SlurmEngine

__all__ = ["ENGINE_GROUPS", "Engine", "EngineOptions", "LocalEngine", "RayEngine", "Result", "SlurmEngine"]
