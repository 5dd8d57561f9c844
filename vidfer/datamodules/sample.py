"""Generated data in place of FER2013 and RAVDESS."""

from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datamodules.ravdess import RavdessDataModule
from vidfer.datasets.sample import write_faces, write_sounds


class SampleFacesDataModule(Fer2013DataModule):
    """Drawn faces, made on first use in `root`; everything else as for FER2013."""

    source = "sample (drawn faces: no people)"
    licence = "Apache-2.0"

    def prepare_data(self) -> None:
        """Draw the faces unless they are there."""
        write_faces(self.root)


class SampleSoundsDataModule(RavdessDataModule):
    """Synthesised voices of six speakers, made on first use in `root`; everything else as for RAVDESS."""

    source = "sample (synthesised voices: no people)"
    licence = "Apache-2.0"

    def prepare_data(self) -> None:
        """Synthesise the voices unless they are there."""
        write_sounds(self.root)
