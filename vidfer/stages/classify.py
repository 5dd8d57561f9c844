"""Stage `classify`: probabilities per face image, window, person and clip, and the fused prediction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from vidfer.inference import decision
from vidfer.inference.decision import UNCERTAIN, FacePrediction, FusedPrediction, Rules, SoundPrediction
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.types import EMOTIONS, Status

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
Columns = Mapping[str, npt.NDArray[Any]]
Record = dict[str, Any]

_BLANK: Mapping[str, None] = {"predominant": None, "margin": None, "distribution": None}


@dataclass(frozen=True)
class ClassifyStage(Stage):
    """Predict every person, the faces, the sound, and both together, by the rule of `vidfer.inference.decision`.

    Artifact: `probabilities.safetensors` with `faces` (N, 7) and `windows` (W, 7) float64, as far as there are any (rows of
    windows that do not count are NaN), and `predictions.json`: `faces`, `sound`, `fused`, `people`, not rounded, and `settings`.
    """

    name: ClassVar[str] = "classify"
    version: ClassVar[int] = 7
    inputs: ClassVar[tuple[str, ...]] = ("faces", "finetune", "audio")
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    weights: str  # digest of the sound model's
    rules: Rules = field(default_factory=Rules)
    fusion: str | None = None  # digest of the fusion model's weights; None for late fusion
    notes: tuple[str, ...] = ()  # what the models' cards lack, for the user
    audio_model: str = neutral("is10")
    fusion_model: str = neutral("")

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Predict from each modality that is there, then fuse."""
        finetune, audio, rules = inputs["finetune"], inputs["audio"], self.rules
        given = {**_arrays(finetune, "embeddings.safetensors"), **_arrays(audio, "windows.safetensors")}
        table = inputs["faces"].table("faces.parquet") if "logits" in given else {}
        faces, sound, joint, gates = None, None, None, None
        if table:
            faces = decision.predict_faces(given["logits"], table["track"], table["time_s"], table["weight"], rules)
        silent = given.get("silent", np.zeros(0)) == 1
        used = decision.used_windows(silent, given.get("voice", np.zeros(0)), rules)
        if used.any():
            from vidfer.inference.models import AudioModel, FusionModel, load_model, one_thread

            vectors = given["vectors"][used]
            with one_thread():
                sound = decision.predict_sound(load_model(AudioModel, self.audio_model, self.weights)(vectors), rules)
                if self.fusion and faces:  # each person with the sound, since nobody knows who speaks
                    fusion = load_model(FusionModel, self.fusion_model, self.fusion)
                    found = [fusion(given["embeddings"][table["track"] == person], vectors) for person in faces.people]
                    logits, each_gates = (np.array(part) for part in zip(*found, strict=True))
                    joint, gates = decision.predict_joint(logits, faces.share, rules), faces.share @ each_gates
        _write_probabilities(draft, faces, sound, used)
        predictions = {
            "faces": self._face_record(faces, inputs),
            "sound": self._sound_record(sound, silent, used, audio),
            "people": self._people_records(faces, table),
            "settings": self._settings(),
        }
        fused = decision.fuse_modalities(faces, sound, joint, rules)
        draft.write_json("predictions.json", {**predictions, "fused": self._fused_record(fused, gates, predictions)})
        return Outcome(finetune.status, finetune.message)

    def _votes(self, probabilities: Floats) -> Record:
        """Let the face images vote whose class can be named; where none can, the vote is `UNCERTAIN`."""
        voting = decision.certain(probabilities, self.rules.abstain)
        record: Record = {**_BLANK, "predominant": UNCERTAIN}
        if voting.any():
            record = _record(decision.vote(probabilities[voting]))
        return {"vote": record, "n_uncertain": int((~voting).sum())}

    def _face_record(self, faces: FacePrediction | None, inputs: Mapping[str, Artifact]) -> Record:
        meta, record = inputs["faces"].meta, _nothing(inputs["finetune"])
        record |= {"n_frames": meta.get("frames", 0), "n_faces": meta.get("faces", 0)}
        if faces is None:
            return {**record, "n_people": 0, "vote": None, "n_uncertain": 0}
        record |= _record(faces.distribution, self.rules.abstain)
        return {**record, "n_people": len(faces.people), **self._votes(faces.probabilities)}

    def _people_records(self, faces: FacePrediction | None, table: Columns) -> list[Record]:
        records: list[Record] = []
        if faces is None:
            return records
        for person, distribution in zip(faces.people, faces.of_people, strict=True):
            rows = table["track"] == person
            times = table["time_s"][rows]
            seen = {"first_s": float(times.min()), "last_s": float(times.max()), "n_faces": int(rows.sum())}
            votes = self._votes(faces.probabilities[rows])
            records.append({"person": int(person), **seen, **votes, **_record(distribution, self.rules.abstain)})
        return records

    def _sound_record(self, sound: SoundPrediction | None, silent: Flags, used: Flags, audio: Artifact) -> Record:
        record = {
            **_nothing(audio),
            "n_windows": len(used),
            "n_silent": int(silent.sum()),
            "n_no_voice": int((~silent & ~used).sum()),
        }
        if sound:
            record |= _record(sound.distribution, self.rules.abstain)
        elif not silent.all():
            record |= {"status": Status.NO_VOICE, "message": "nobody speaks: --voice off predicts from any sound"}
        return record

    def _fused_record(self, fused: FusedPrediction | None, gates: Floats | None, parts: Record) -> Record:
        if fused is None:
            statuses = [parts[name]["status"] for name in ("faces", "sound")]
            status = next((status for status in statuses if status != Status.OK), Status.OK)
            message = "neither faces ({}) nor sound ({}) gave a prediction".format(*statuses)
            return {"status": status, "message": message, **_BLANK, "modalities": [], "method": None, "weights": {}}
        weights = fused.weights if gates is None else dict(zip(fused.weights, map(float, gates), strict=True))
        return {
            "status": Status.OK,
            "message": "",
            **_record(fused.distribution, self.rules.abstain),
            "modalities": list(fused.weights),
            "method": fused.method,
            "weights": weights,
        }

    def _settings(self) -> Record:
        rules, adjusted = self.rules, self.rules.class_shares is not None
        temperature, smoothing = rules.face_calibration or (1.0, 0.0)
        return {
            "temperature": temperature,
            "smoothing": smoothing,
            "prior": "uniform" if adjusted else "training",
            "prior_strength": decision.PRIOR_STRENGTH if adjusted else 0.0,
            "pool": rules.pool,
            "abstain": rules.abstain,
            "voice": rules.speech_only,
            "fusion": "trained" if self.fusion else "late",
            "notes": list(self.notes),
        }


def _write_probabilities(
    draft: Draft, faces: FacePrediction | None, sound: SoundPrediction | None, used: Flags
) -> None:
    arrays: dict[str, Floats] = {}
    if faces:
        arrays["faces"] = faces.probabilities
    if len(used):
        arrays["windows"] = np.full((len(used), len(EMOTIONS)), np.nan)
        if sound:
            arrays["windows"][used] = sound.probabilities
    if arrays:
        draft.write_arrays("probabilities.safetensors", arrays)


def _arrays(artifact: Artifact, name: str) -> Mapping[str, npt.NDArray[Any]]:
    return artifact.arrays(name) if artifact.names(name) else {}


def _record(distribution: Floats, abstain: float | None = None) -> Record:
    name, margin = decision.predominant(distribution, abstain)
    return {"predominant": name, "margin": margin, "distribution": decision.by_name(distribution)}


def _nothing(artifact: Artifact) -> Record:
    return {"status": artifact.status, "message": artifact.message, **_BLANK}
