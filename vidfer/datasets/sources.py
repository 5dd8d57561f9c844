"""Where the data sets that vidfer reads are had, under which terms, and how much each holds as published."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Source:
    """A data set.

    Args:
        title: Its name and what it holds.
        page: The publisher's own page.
        get: How it is had from there.
        terms: What its publisher allows, in short; the page has the whole.
        folder: Where it is looked for unless told otherwise.
        layout: What lies in that folder.
        published: How many items each part has as published, where that is one number.
    """

    title: str
    page: str
    get: str
    terms: str
    folder: str
    layout: str
    published: Mapping[str, int]


_KAGGLE: Final = "challenges-in-representation-learning-facial-expression-recognition-challenge"

SOURCES: Final[Mapping[str, Source]] = {
    "fer2013": Source(
        "FER2013: gray photographs of faces, 48x48 px, in seven classes",
        f"https://www.kaggle.com/c/{_KAGGLE}",
        "with a Kaggle account that has accepted the rules: fer2013.tar.gz, or icml_face_data.csv named fer2013.csv",
        "the rules of the Kaggle competition, which do not let the data be passed on; no licence is named",
        "data/fer2013",
        "fer2013.csv",
        {"train": 28_709, "public_test": 3_589, "private_test": 3_589},
    ),
    "ferplus": Source(
        "FER+: votes of ten taggers for each row of FER2013",
        "https://github.com/microsoft/FERPlus",
        "fer2013new.csv of the repository; the photographs are FER2013's",
        "MIT licence, for the votes",
        "data/fer2013",
        "fer2013new.csv beside fer2013.csv",
        {"train": 28_709, "public_test": 3_589, "private_test": 3_589},
    ),
    "ravdess": Source(
        "RAVDESS: 24 actors who speak and sing two sentences, with video",
        "https://zenodo.org/records/1188976",
        "Audio_Speech_Actors_01-24.zip (and Audio_Song_...), or Video_Speech_Actor_01.zip to 24, unpacked",
        "CC BY-NC-SA 4.0: not for commercial use; to be cited",
        "data/ravdess",
        "03-01-05-01-02-01-12.wav and the like, in any folders",
        {"speech": 1_440, "song": 1_012},
    ),
    "crema_d": Source(
        "CREMA-D: 91 actors who speak twelve sentences, with video",
        "https://github.com/CheyneyComputerScience/CREMA-D",
        "git lfs install, then git clone, of AudioWAV (sound) or VideoFlash (both)",
        "Open Database License 1.0, its contents Database Contents License 1.0; to be cited",
        "data/crema_d",
        "1001_DFA_ANG_XX.wav and the like, in any folders",
        {"all": 7_442},
    ),
    "afew": Source(
        "AFEW: scenes of films, with sound, in seven classes",
        "https://cs.anu.edu.au/few/AFEW.html",
        "on request: a licence agreement signed by a permanent member of a university",
        "by that agreement: academic research only, not passed on",
        "data/afew",
        "Train_AFEW/Angry/*.avi, Val_AFEW/Angry/*.avi and so on",
        {},
    ),
    "div2k": Source(
        "DIV2K: photographs of high resolution, clean, for the denoiser",
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/",
        "vidfer download div2k --out data/DIV2K",
        "academic research only",
        "data/DIV2K",
        "DIV2K_train_HR/0001.png to 0800.png, DIV2K_valid_HR/0801.png to 0900.png",
        {"train": 800, "valid": 100},
    ),
    "nemo": Source(
        "nEMO: nine actors who speak Polish, sound",
        "https://github.com/amu-cai/nEMO",
        "the folder samples of the repository",
        "CC BY-NC-SA 4.0: not for commercial use",
        "data/nemo",
        "EB0_anger_16.wav and the like, in any folders",
        {"all": 4_481},
    ),
    "ased": Source(
        "ASED: 65 volunteers who speak Amharic, sound",
        "https://doi.org/10.1145/3529759",
        "from where the paper says",
        "free for research; to be cited",
        "data/ased",
        "a5-03-01-01-01.wav and the like, in any folders",
        {"all": 2_474},
    ),
}
"""The data sets by the names that `vidfer data check` takes."""
