"""Code that is harmless and leaves a mark, in the forms in which files can hold it."""

import io
import os
import pickle
import zipfile

import numpy as np
import torch
from blake3 import blake3

from vidfer.tasks.checkpoints import _MARK


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return (os.system, (f"touch '{self.marker}'",))


def pickled(marker):
    return pickle.dumps({"state_dict": Payload(marker)})


def torch_file(marker):
    out = io.BytesIO()
    torch.save({"state_dict": Payload(marker), "weight": torch.zeros(1)}, out)
    return out.getvalue()


def objects(marker):
    out = io.BytesIO()
    np.save(out, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    return out.getvalue()


def packed_objects(marker):
    out = io.BytesIO()
    np.savez(out, x=np.array([Payload(marker)], dtype=object))
    return out.getvalue()


PAYLOADS = {"pickle": pickled, "torch": torch_file, "npy": objects, "npz": packed_objects}


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data, mode in members:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            package.writestr(entry, data, zipfile.ZIP_DEFLATED)


def with_digest(data: bytes) -> bytes:
    """Return the bytes of a checkpoint with the digest that vidfer's own have, which anyone can write."""
    return data + _MARK + blake3(data).hexdigest().encode()
