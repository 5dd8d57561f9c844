"""Stage `classify`: probabilities per face, window, person and clip, and the fused answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vidfer.inference.decision import (
    PRIOR_STRENGTH,
    UNCERTAIN,
    by_name,
    fuse,
    invert_label_smoothing,
    logit_adjustment,
    pool,
    pool_peaks,
    predominant,
    softmax,
    vote,
)
from vidfer.inference.sound import Calibration, calibrated, heard, require_finite, window_probabilities
from vidfer.pipeline.columns import read_parquet
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.pipeline.versions import tool_versions
from vidfer.types import EMOTIONS, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating]

Answer = dict[str, Any]
Prior = Literal["uniform", "training"]
Pool = Literal["peaks", "mean"]


@dataclass(frozen=True)
class ClassifyStage(Stage):
    """Answer for every person, for the faces, for the sound, and for both together.

    Where both have an answer, the joint one is the mean of the trained fusion model's, if its weights fit the inputs, and of the
    weighted sum of the two; else it is that sum. With several people the model answers for each of them with the sound, since
    nobody knows who speaks, and these answers are averaged by their number of faces.

    The probabilities of a face are its logits' softmax at the card's temperature, moved towards equal class shares. A
    person's distribution is pooled from them over time; the faces' is the mean of the persons', weighted by their number
    of faces; the sound's is the mean of the log-probabilities of the windows in which someone speaks. `vote` is the paper's:
    the share of each class over the face images that have an answer.

    Artifact: `probabilities.safetensors` with `faces` (N, 7) and `windows` (W, 7) float32, as far as there are any (rows
    of windows that are not used are NaN), and `answer.json` with `faces`, `sound`, `fused`, `people` and `settings`.

    Args:
        weights: Digest of the sound model's weights, see `weights_digest`.
        face_weight: Trust in the faces in late fusion, in (0, 1); the sound gets the rest. The default leans on the faces:
            the shipped sound model has heard fifteen actors only.
        temperature: What the image model's logits are divided by, above 0; None where its card has none, which is 1.
        smoothing: Label smoothing of the image model's training, which is taken back before, in [0, 0.5].
        prior: `uniform` to move the faces' probabilities towards equal class shares, `training` to leave them.
        class_shares: Seven shares, above 0, of the classes in the image model's training images, for `uniform`; None where
            its card has none, so that nothing is moved.
        pool: `peaks` for the half of a person's face images with most expression, `mean` for all of them.
        abstain: Probability in (0, 1) that the most probable class needs to be named; None to name it always.
        voice: Whether windows of sound count only where someone speaks.
        sound_calibration: Temperature and label smoothing of the sound model's card; None where it has none.
        fusion: Digest of the fusion model's weights; None for late fusion.
        fusion_calibration: As `sound_calibration`, of the fusion model's card.
        fusion_note: Why there is no trained fusion although it was looked for, or nothing.
        audio_model: Where the sound model's weights are found: a name, or a weights file.
        fusion_model: Where the fusion model's are.
    """

    name: ClassVar[str] = "classify"
    version: ClassVar[int] = 5
    inputs: ClassVar[tuple[str, ...]] = ("faces", "finetune", "audio")

    weights: str
    face_weight: float = 0.7
    temperature: float | None = None
    smoothing: float = 0.0
    prior: Prior = "uniform"
    class_shares: tuple[float, ...] | None = None
    pool: Pool = "peaks"
    abstain: float | None = None
    voice: bool = True
    sound_calibration: Calibration | None = None
    fusion: str | None = None
    fusion_calibration: Calibration | None = None
    fusion_note: str = ""
    audio_model: str = neutral("is10")
    fusion_model: str = neutral("")

    def tools(self) -> Mapping[str, str | None]:
        """Name torch with its version."""
        return tool_versions("torch")

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Classify what each modality has, then fuse."""
        arrays: dict[str, Floats] = {}
        faces, people = self._faces(inputs["faces"], inputs["finetune"], arrays)
        sound = self._sound(inputs["audio"], arrays)
        if arrays:
            draft.write_arrays("probabilities.safetensors", arrays)
        fused = self._fused(faces, sound, inputs)
        parts = {"faces": faces, "sound": sound, "fused": fused, "people": people}
        draft.write_json("answer.json", {**parts, "settings": self._settings()})
        return Outcome(inputs["finetune"].status, inputs["finetune"].message)

    @property
    def _shares(self) -> tuple[float, ...] | None:
        return self.class_shares if self.prior == "uniform" else None

    def _settings(self) -> dict[str, Any]:
        """Say by what rules the answers were made, and what the image model's card could not tell."""
        moved = self._shares is not None
        notes = []
        if self.temperature is None:
            notes.append("the image weights' card has no temperature: 1 is used")
        if self.prior == "uniform" and not moved:
            notes.append("the image weights' card has no class shares: the training set's prior is kept")
        if self.fusion_note:
            notes.append(self.fusion_note)
        return {
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "smoothing": self.smoothing,
            "prior": "uniform" if moved else "training",
            "prior_strength": PRIOR_STRENGTH if moved else 0.0,
            "pool": self.pool,
            "abstain": self.abstain,
            "voice": self.voice,
            "fusion": "trained" if self.fusion else "late",
            "notes": notes,
        }

    def _faces(
        self, faces: Artifact, finetune: Artifact, arrays: "dict[str, Floats]"
    ) -> tuple[Answer, list[dict[str, Any]]]:
        answer: Answer = {
            **_nothing(finetune),
            "vote": None,
            "n_frames": faces.meta.get("frames", 0),
            "n_faces": faces.meta.get("faces", 0),
            "n_uncertain": 0,
            "n_people": 0,
        }
        if not finetune.names("embeddings"):
            return answer, []
        import numpy as np

        table = read_parquet((faces.path / "faces.parquet").read_bytes())
        arrays["faces"] = probabilities = self._of_faces(finetune.arrays("embeddings.safetensors")["logits"])
        people: list[dict[str, Any]] = []
        mixture = np.zeros(len(EMOTIONS))
        for person in np.unique(table["track"]):
            rows = table["track"] == person
            weights, times = table["weight"][rows], table["time_s"][rows]
            peaks = self.pool == "peaks"
            pooled = pool_peaks(probabilities[rows], weights, times) if peaks else pool(probabilities[rows], weights)
            mixture += pooled * rows.sum() / len(rows)
            people.append(
                {
                    "person": int(person),
                    "first_s": round(float(times.min()), 6),
                    "last_s": round(float(times.max()), 6),
                    "n_faces": int(rows.sum()),
                    **self._votes(probabilities[rows]),
                    **self._answer(pooled),
                }
            )
        return {
            **answer,
            **self._answer(mixture),
            **self._votes(probabilities),
            "n_people": len(people),
        }, people

    def _of_faces(self, logits: "Floats") -> "Floats":
        import numpy as np

        require_finite("image", logits)
        plain = invert_label_smoothing(logits, self.smoothing)
        probabilities = softmax(plain, 1.0 if self.temperature is None else self.temperature)
        if self._shares is not None:
            probabilities = logit_adjustment(probabilities, self._shares)
        return np.asarray(probabilities, np.float32)

    def _answer(self, distribution: "Floats") -> Answer:
        name, margin = predominant(distribution, self.abstain)
        return {"predominant": name, "margin": round(margin, 6), "distribution": by_name(distribution)}

    def _votes(self, probabilities: "Floats") -> Answer:
        """Let the face images that have an answer vote; where none has, there is no vote but `UNCERTAIN`."""
        certain = probabilities.max(1).astype(float) >= (self.abstain or 0.0)  # in double precision, as `predominant`
        counted: Answer = {**_BLANK, "predominant": UNCERTAIN}
        if certain.any():
            shares = vote(probabilities[certain])
            name, margin = predominant(shares)
            counted = {"predominant": name, "margin": round(margin, 6), "distribution": by_name(shares)}
        return {"vote": counted, "n_uncertain": int((~certain).sum())}

    def _sound(self, audio: Artifact, arrays: "dict[str, Floats]") -> Answer:
        answer: Answer = {**_nothing(audio), "n_windows": 0, "n_silent": 0, "n_no_voice": 0}
        if not audio.names("windows"):
            return answer
        import numpy as np

        windows = audio.arrays("windows.safetensors")
        silent, kept = windows["silent"] == 1, heard(windows, voice=self.voice)
        answer.update(n_windows=len(kept), n_silent=int(silent.sum()), n_no_voice=int((~silent & ~kept).sum()))
        arrays["windows"] = probabilities = window_probabilities(
            windows, kept, self.audio_model, self.weights, self.sound_calibration
        )
        if kept.any():
            answer.update(self._answer(pool(probabilities[kept], np.ones(int(kept.sum())))))
        elif not silent.all():
            answer.update(status=Status.NO_VOICE, message="nobody speaks: --voice off answers for any sound")
        return answer

    def _fused(self, faces: Answer, sound: Answer, inputs: Mapping[str, Artifact]) -> Answer:
        import numpy as np

        trust = {"faces": self.face_weight, "sound": 1.0 - self.face_weight}
        parts = {
            name: np.array(list(part["distribution"].values()))
            for name, part in (("faces", faces), ("sound", sound))
            if part["distribution"] is not None
        }
        if not parts:
            message = f"neither faces ({faces['status']}) nor sound ({sound['status']}) could be answered"
            status = faces["status"] if faces["status"] != Status.OK else sound["status"]
            return {"status": status, "message": message, **_BLANK, "modalities": [], "method": None, "weights": {}}
        distribution: Floats
        if len(parts) > 1 and self.fusion:
            method = "trained"
            learnt, used = self._by_model(inputs)
            distribution = np.asarray(
                (learnt + fuse(parts, trust)) / 2
            )  # far from its training, the model must not veto alone
        else:
            method = "late" if len(parts) > 1 else "alone"
            used = {name: trust[name] for name in parts} if len(parts) > 1 else dict.fromkeys(parts, 1.0)
            distribution = fuse(parts, used)
        return {
            "status": Status.OK,
            "message": "",
            **self._answer(distribution),
            "modalities": list(parts),
            "method": method,
            "weights": used,
        }

    def _by_model(self, inputs: Mapping[str, Artifact]) -> "tuple[Floats, dict[str, float]]":
        """Answer by the fusion model for each person with the sound, and average by their number of faces."""
        import numpy as np

        from vidfer.inference.loaded import fusion_model, one_thread

        embeddings = inputs["finetune"].arrays("embeddings.safetensors")["embeddings"]
        track = read_parquet((inputs["faces"].path / "faces.parquet").read_bytes())["track"]
        windows = inputs["audio"].arrays("windows.safetensors")
        vectors = windows["vectors"][heard(windows, voice=self.voice)]
        mixture, gates = np.zeros(len(EMOTIONS)), np.zeros(2)
        with one_thread():
            model = fusion_model(self.fusion_model, str(self.fusion))
            for person in np.unique(track):
                rows = track == person
                logits, weights = model(embeddings[rows], vectors)
                require_finite("fusion", logits)
                share = rows.sum() / len(rows)
                mixture += share * calibrated(logits[None], self.fusion_calibration)[0]
                gates += share * weights
        return mixture, {"faces": round(float(gates[0]), 6), "sound": round(float(gates[1]), 6)}


_BLANK: dict[str, None] = {"predominant": None, "margin": None, "distribution": None}


def _nothing(artifact: Artifact) -> Answer:
    return {"status": artifact.status, "message": artifact.message, **_BLANK}
