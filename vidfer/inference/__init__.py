"""Trained models as functions of arrays, and the rule that turns their predictions into one per clip."""

import os

# ONNX Runtime sends events about its use to its makers, and keeps an id of the machine in the user's cache folder, unless this is
# there when it is imported, which only modules of this package do.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
