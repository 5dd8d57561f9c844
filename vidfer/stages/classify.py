"""Stage `classify`: probabilities per face image, window, person and clip, and the fused prediction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from vidfer.inference import decision
from vidfer.inference.decision import UNCERTAIN, FacePrediction, FusedPrediction, Rules, SoundPrediction
from vidfer.inference.network import CPU, Compute
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.stages.audio import AudioStage
from vidfer.stages.clip_faces import read_faces, spread
from vidfer.stages.denoise import DenoiseStage
from vidfer.stages.faces import FacesStage
from vidfer.stages.finetune import ImageStage
from vidfer.stages.fit import Fit, Settings, stage_versions
from vidfer.types import EMOTIONS, Status

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]
Columns = Mapping[str, npt.NDArray[Any]]
Record = dict[str, Any]

_BLANK: Mapping[str, None] = {"predominant": None, "margin": None, "distribution": None}


_MODALITY = {"linear": "sound", "mlp": "sound", "gan": "sound", "dbn": "sound", "lstm": "frames", "rnn": "frames"}
_PIXELS = ("cnn", "rcnn")


def _needs(settings: Settings) -> Mapping[str, str]:
    """Name the weights that decide what a classifier reads: none for sound, all for a class of somebody's own."""
    given = settings["model"]["init_args"]
    name = given.get("classifier", "mlp")
    modality = (given.get("arguments") or {}).get("modality", _MODALITY.get(name, "both"))
    if name in _MODALITY and modality == "sound":
        return {}
    return {"denoise_model": "denoise"} | ({} if name in _PIXELS else {"image_model": "image"})


def _tools(settings: Settings) -> Mapping[str, str | None]:
    """Name the stages of a clip that make what a classifier reads: of sound the last one alone."""
    faces = (FacesStage(), DenoiseStage(), ImageStage("")) if _needs(settings) else ()
    return stage_versions(*faces, AudioStage())


FIT: Final = Fit(
    "classify",
    version=1,
    task="vidfer.tasks.clip.ClipTask",
    data="vidfer.datamodules.clips.ClipDataModule",
    needs=_needs,
    tools=_tools,
)


@dataclass(frozen=True)
class ClassifyStage(Stage):
    """Predict every person, the faces, the sound, and both together, by the rule of `vidfer.inference.decision`.

    Artifact: `probabilities.safetensors` with `faces` (N, 7) and `windows` (W, 7) float64, as far as there are any (rows of
    windows that do not count are NaN), and `predictions.json`: `faces`, `sound`, `fused`, `people`, not rounded, and `settings`.
    """

    name: ClassVar[str] = "classify"
    version: ClassVar[int] = 11
    inputs: ClassVar[tuple[str, ...]] = ("faces", "denoise", "finetune", "audio")

    weights: str | None  # digest of the sound model's; None where sound is not classified
    rules: Rules = field(default_factory=Rules)
    faces: str | None = None  # digest of the faces model's weights; None to pool face images or let them vote
    fusion: str | None = None  # digest of the fusion model's weights; None for late fusion
    notes: tuple[str, ...] = ()  # what the models' cards lack, for the user
    compute: Compute = neutral(CPU)
    audio_model: str = neutral("voice")
    faces_model: str = neutral("")
    fusion_model: str = neutral("")

    def reads_passing(self) -> tuple[str, ...]:
        """Name the stages with the crops, where a faces model may read them."""
        return ("faces", "denoise") if self.faces else ()

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Predict from each modality that is there, then fuse."""
        finetune, audio, rules = inputs["finetune"], inputs["audio"], self.rules
        given = {**_arrays(finetune, "embeddings.safetensors"), **_arrays(audio, "windows.safetensors")}
        table = inputs["faces"].table("faces.parquet") if "logits" in given else {}
        faces, sound, joint, gates = None, None, None, None
        if table:
            by_person = self._persons(self.faces, given["embeddings"], table["track"], inputs) if self.faces else None
            times, weights = table["time_s"], table["weight"]
            faces = decision.predict_faces(given["logits"], table["track"], times, weights, rules, by_person)
        silent = given.get("silent", np.zeros(0)) == 1
        used = decision.used_windows(silent, given.get("voice", np.zeros(0)), rules)
        if used.any() and self.weights:
            vectors = given["vectors"] if used.all() else given["vectors"][used]
            sound = self._sound(vectors, self.weights)
            if self.fusion and faces:
                joint, gates = self._joint(self.fusion, faces, given["embeddings"], table["track"], vectors)
        _write_probabilities(draft, faces, sound, used)
        predictions = {
            "faces": self._face_record(faces, inputs),
            "sound": self._sound_record(sound, silent, used, audio),
            "people": self._people_records(faces, table),
            "settings": self._settings(sound),
        }
        fused = decision.fuse_modalities(faces, sound, joint, rules)
        draft.write_json("predictions.json", {**predictions, "fused": self._fused_record(fused, gates, predictions)})
        return Outcome(finetune.status, finetune.message)

    def warm(self) -> None:
        """Load the models of sound, of persons, and of both, as far as they are used."""
        from vidfer.inference.classifiers import AudioModel, FacesModel, FusionModel
        from vidfer.inference.network import load_model

        if self.weights:
            load_model(AudioModel, self.audio_model, self.weights, self.compute)
        if self.faces:
            load_model(FacesModel, self.faces_model, self.faces, self.compute)
        if self.fusion:
            load_model(FusionModel, self.fusion_model, self.fusion, self.compute)

    def _persons(self, weights: str, embeddings: Floats, track: Ids, inputs: Mapping[str, Artifact]) -> Floats:
        """Return the faces model's logits (P, 7) of each person, in the order of their ids."""
        from vidfer.inference.classifiers import FacesModel
        from vidfer.inference.network import load_model

        model = load_model(FacesModel, self.faces_model, weights, self.compute)
        rows = [spread(track, person, model.max_frames) for person in np.unique(track)]
        read: list[dict[str, npt.NDArray[Any]]] = [{"frames": embeddings[each]} for each in rows]
        if "image" in model.reads:  # of all persons at once, since the files of crops are large
            known = np.sort(np.concatenate(rows))
            image, landmarks = read_faces(inputs["faces"], inputs["denoise"], known)
            for each, entries in zip(rows, read, strict=True):
                places = np.searchsorted(known, each)
                entries |= {"image": image[places], "landmarks": landmarks[places]}
        return np.array([model(each) for each in read])

    def _sound(self, vectors: Floats, weights: str) -> SoundPrediction:
        from vidfer.inference.classifiers import AudioModel
        from vidfer.inference.network import load_model

        model = load_model(AudioModel, self.audio_model, weights, self.compute)
        return decision.predict_sound(model(vectors), self.rules, sequential=model.sequential)

    def _joint(
        self, weights: str, faces: FacePrediction, embeddings: Floats, track: Ids, vectors: Floats
    ) -> tuple[Floats, Floats | None]:
        """Fuse each person with the sound, since nobody knows who speaks: a distribution (7,), and the gates' means (2,)."""
        from vidfer.inference.classifiers import FusionModel
        from vidfer.inference.network import load_model

        model = load_model(FusionModel, self.fusion_model, weights, self.compute)
        rows = [spread(track, person, model.max_frames) for person in faces.people]
        found = [model(embeddings[each], vectors) for each in rows]
        logits = np.array([each for each, _ in found])
        gates = [each for _, each in found if each is not None]
        return decision.predict_joint(logits, faces.share, self.rules), faces.share @ np.array(gates) if gates else None

    def _votes(self, probabilities: Floats) -> Record:
        """Let the face images vote whose class can be named; where none can, the vote is `UNCERTAIN`."""
        voting = decision.certain(probabilities, self.rules.abstain)
        record: Record = {**_BLANK, "predominant": UNCERTAIN}
        if voting.any():
            record = _record(decision.vote(probabilities[voting]))
        return {"vote": record, "n_uncertain": int((~voting).sum())}

    def _face_record(self, faces: FacePrediction | None, inputs: Mapping[str, Artifact]) -> Record:
        meta, record = inputs["faces"].meta, _nothing(inputs["finetune"])
        record |= {
            "n_frames": meta.get("frames", 0),
            "n_faces": meta.get("faces", 0),
            "n_unusable": meta.get("unusable", 0),
        }
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
        elif used.any():
            record |= {"status": Status.NO_MODEL, "message": "there is no sound model: --audio-model names one"}
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

    def _settings(self, sound: SoundPrediction | None) -> Record:
        rules, adjusted = self.rules, self.rules.class_shares is not None
        temperature, smoothing = rules.face_calibration or (1.0, 0.0)
        return {
            "temperature": temperature,
            "smoothing": smoothing,
            "prior": "uniform" if adjusted else "training",
            "prior_strength": decision.PRIOR_STRENGTH if adjusted else 0.0,
            "faces": "trained" if self.faces else rules.answer,
            "pool": rules.pool,
            "pooled_temperature": rules.pooled_temperature,
            "abstain": rules.abstain,
            "voice": rules.speech_only,
            "sound": "sequence" if sound and sound.sequential else "pool",
            "face_weight": rules.face_weight,
            "sound_weight": rules.sound_weight,
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
