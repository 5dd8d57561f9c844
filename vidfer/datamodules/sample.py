"""Generated data in place of FER2013 and RAVDESS."""

from pathlib import Path

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datasets.synthetic import write_faces, write_sounds


class SampleFacesDataModule(Fer2013DataModule):
    """Drawn faces, made on first use in `root`; everything else as for FER2013."""

    source = "sample (drawn faces: no people)"
    licence = "Apache-2.0"

    def prepare_data(self) -> None:
        """Draw the faces unless they are there."""
        write_faces(self.root)


class SampleSoundsDataModule(ClipDataModule):
    """Synthesised voices of six speakers, made on first use in `root`; everything else as for RAVDESS."""

    licence = "Apache-2.0"

    @property
    def source(self) -> str:
        """What the data are, for the card."""
        return "sample (synthesised voices: no people)"

    def prepare_data(self) -> None:
        """Synthesise the voices unless they are there."""
        write_sounds(Path(self.options["root"]))
