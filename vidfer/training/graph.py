"""The picture of the chain, drawn from what the stages declare."""

from itertools import pairwise
from typing import Any, Final

from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.training.config import FITS, KINDS
from vidfer.training.steps import LAST

_SHOWN: Final[dict[str, dict[str, Any]]] = {  # a classifier of each section
    "classify": {"classifier": "gan"},
    "classify_faces": {"classifier": "gan", "arguments": {"modality": "frames"}},
    "fusion": {"classifier": "fusion"},
}
_MAKERS: Final = {KINDS[name]: name for name in ("denoise", "finetune")}
_READERS: Final = {
    "denoise": "denoise",
    "finetune": "finetune",
}  # the stage of a clip that uses a section's weights; else classify


def draw_chain() -> str:
    """Return the chain as a flowchart of Mermaid: what is trained on the left, what runs on each clip on the right."""
    lines = ["flowchart LR", "  subgraph training [once: trained]"]
    lines += [f"    {name}_fit[{name}]" for name in FITS]
    lines += [f"    {name}[{name}]" for name in LAST]
    lines += ["  end", "  subgraph clip [for each clip]"]
    chain = build_chain(ChainOptions())
    lines += [f"    {stage.name}_clip[{stage.name}]" for stage in chain]
    lines.append("  end")
    for name, fit in FITS.items():
        needs = fit.needs({"model": {"init_args": _SHOWN.get(name, {})}})
        lines += [f"  {_MAKERS[kind]}_fit --> {name}_fit" for kind in needs.values()]
    lines += [f"  {name}_fit --> {LAST[0]}" for name in FITS]
    lines += [f"  {before} --> {after}" for before, after in pairwise(LAST)]
    for stage in chain:
        lines += [f"  {name}_clip --> {stage.name}_clip" for name in stage.inputs]
    lines += [f"  {name}_fit -.-> {_READERS.get(name, 'classify')}_clip" for name in FITS]
    return "\n".join(lines) + "\n"
