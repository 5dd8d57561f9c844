"""Checkpoints that hold code, as files and at addresses: none of it runs."""

import io
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from threading import Thread

import pytest
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from tests.faults.payloads import Payload, with_digest
from vidfer.tasks.checkpoints import AtomicCheckpointIO
from vidfer.types import VidferError

PARTS = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "hyper_parameters", "loops")


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "it-ran"


@pytest.fixture
def served(tmp_path):
    """The address of a folder that a server on this machine hands out, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def signed(checkpoint):
    out = io.BytesIO()
    torch.save(checkpoint, out)
    return with_digest(out.getvalue())


def test_code_in_any_part_of_a_checkpoint_never_runs_from_anywhere(tmp_path, served, marker, monkeypatch, figure):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    address, folder = served
    places = (
        folder / "a.ckpt",
        f"{address}/a.ckpt",
        f"file://{folder}/a.ckpt",
        f"filecache::file://{folder}/a.ckpt",
    )
    tried = 0
    for part, place, safe in product(PARTS, places, ({}, {"weights_only": False}, {"weights_only": None})):
        (folder / "a.ckpt").write_bytes(signed({"state_dict": {}, part: [Payload(marker)]}))
        with pytest.raises(VidferError, match="--ckpt_path"):
            AtomicCheckpointIO().load_checkpoint(place, **safe)
        assert not marker.exists(), (part, place)
        tried += 1
    assert not (tmp_path / "torch").exists()
    figure(f"{tried} checkpoints with code in {len(PARTS)} parts, from {len(places)} kinds of places: none ran")


def test_a_checkpoint_at_an_address_is_one_to_lightning(tmp_path, served, marker, monkeypatch):
    """It would be fetched, and what it holds would run."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    address, folder = served
    (folder / "a.ckpt").write_bytes(signed({"state_dict": [Payload(marker)]}))
    TorchCheckpointIO().load_checkpoint(f"{address}/a.ckpt")
    assert marker.exists()
