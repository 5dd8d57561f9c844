"""Stage `classify`: probabilities per face, window, person and clip, and the fused answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vidfer.answer import by_name, fuse, pool, predominant, vote
from vidfer.media.versions import tool_versions
from vidfer.stage import Outcome, Progress, Stage, neutral
from vidfer.store import Artifact, Draft
from vidfer.tables import read_parquet
from vidfer.types import EMOTIONS, Status, VidferError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating]

Answer = dict[str, Any]


@dataclass(frozen=True)
class ClassifyStage(Stage):
    """Answer for every person, for the faces, for the sound, and for both together.

    A person's distribution is the mean of the log-probabilities of their faces, weighted by quality; the faces' is the
    mean of the persons', weighted by their number of faces; the sound's is the mean of the log-probabilities of the
    windows with sound. `vote` is the paper's: the share of each class over all face images.

    Artifact: `probabilities.safetensors` with `faces` (N, 7) and `windows` (W, 7) float32, as far as there are any (rows
    of silent windows are NaN), and `answer.json` with `faces`, `sound`, `fused` and `people`.

    Args:
        face_weight: Trust in the faces where both modalities answer, in (0, 1); the sound gets the rest. The default leans
            on the faces: the shipped sound model has heard fifteen actors only.
        weights: Digest of the sound model's weights, see `weights_digest`.
        audio_model: Where they are found: name of shipped weights, or a weights file.
    """

    name: ClassVar[str] = "classify"
    version: ClassVar[int] = 2
    inputs: ClassVar[tuple[str, ...]] = ("faces", "finetune", "audio")

    weights: str
    face_weight: float = 0.7
    audio_model: str = neutral("is10")

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
        fused = self._fused(faces, sound)
        draft.write_json("answer.json", {"faces": faces, "sound": sound, "fused": fused, "people": people})
        return Outcome(inputs["finetune"].status, inputs["finetune"].message)

    def _faces(
        self, faces: Artifact, finetune: Artifact, arrays: "dict[str, Floats]"
    ) -> tuple[Answer, list[dict[str, Any]]]:
        answer: Answer = {
            **_nothing(finetune),
            "vote": None,
            "n_frames": faces.meta.get("frames", 0),
            "n_faces": faces.meta.get("faces", 0),
            "n_people": 0,
        }
        if not finetune.names("embeddings"):
            return answer, []
        import numpy as np

        table = read_parquet((faces.path / "faces.parquet").read_bytes())
        arrays["faces"] = probabilities = _softmax("image", finetune.arrays("embeddings.safetensors")["logits"])
        people: list[dict[str, Any]] = []
        mixture = np.zeros(len(EMOTIONS))
        for person in np.unique(table["track"]):
            rows = table["track"] == person
            pooled = pool(probabilities[rows], table["weight"][rows])
            mixture += pooled * rows.sum() / len(rows)
            times = table["time_s"][rows]
            people.append(
                {
                    "person": int(person),
                    "first_s": round(float(times.min()), 6),
                    "last_s": round(float(times.max()), 6),
                    "n_faces": int(rows.sum()),
                    **_answer(pooled),
                    "vote": _answer(vote(probabilities[rows])),
                }
            )
        return {
            **answer,
            **_answer(mixture),
            "vote": _answer(vote(probabilities)),
            "n_people": len(people),
        }, people

    def _sound(self, audio: Artifact, arrays: "dict[str, Floats]") -> Answer:
        answer: Answer = {**_nothing(audio), "n_windows": 0, "n_silent": 0}
        if not audio.names("windows"):
            return answer
        import numpy as np

        windows = audio.arrays("windows.safetensors")
        heard = windows["silent"] == 0
        answer.update(n_windows=len(heard), n_silent=int((~heard).sum()))
        probabilities = np.full((len(heard), len(EMOTIONS)), np.nan, np.float32)
        if heard.any():
            from vidfer.chain.models import audio_model, one_thread

            with one_thread():
                model = audio_model(self.audio_model, self.weights)
                probabilities[heard] = _softmax("sound", model(windows["vectors"][heard]))
            answer.update(_answer(pool(probabilities[heard], np.ones(int(heard.sum())))))
        arrays["windows"] = probabilities
        return answer

    def _fused(self, faces: Answer, sound: Answer) -> Answer:
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
            return {"status": status, "message": message, **_BLANK, "modalities": [], "weights": {}}
        used = {name: trust[name] for name in parts} if len(parts) > 1 else dict.fromkeys(parts, 1.0)
        return {
            "status": Status.OK,
            "message": "",
            **_answer(fuse(parts, used)),
            "modalities": list(parts),
            "weights": used,
        }


_BLANK: dict[str, None] = {"predominant": None, "margin": None, "distribution": None}


def _nothing(artifact: Artifact) -> Answer:
    return {"status": artifact.status, "message": artifact.message, **_BLANK}


def _answer(distribution: "Floats") -> Answer:
    name, margin = predominant(distribution)
    return {"predominant": name, "margin": round(margin, 6), "distribution": by_name(distribution)}


def _softmax(kind: str, logits: "Floats") -> "Floats":
    import numpy as np

    if not np.isfinite(logits).all():
        raise VidferError(f"the {kind} model answered with numbers that are not finite: its weights cannot be used")
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True), np.float32)
