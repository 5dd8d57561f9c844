"""Learning curves on Weights & Biases."""

from lightning.pytorch.loggers import WandbLogger


class WandbCurves(WandbLogger):
    """Lightning's logger with what is safe to choose: numbers and hyper-parameters go out, and nothing that was printed.

    Whether the run goes to a server is the environment's to say (`WANDB_MODE`: `online`, `offline` or `disabled`), and each
    training gets an id of its own, so that none is written over.

    Args:
        project: Where the run is shown.
        name: Name that it is shown under; the server invents one if not given.
        entity: User or team; the login's own if not given.
        group: What it is grouped under.
        tags: What it can be found by.
        notes: What it is about.
        save_dir: Folder of the client's own files, `wandb` below it.
        log_model: Whether the checkpoints are sent, which fit the training data and may tell about them.
        console: Whether what is printed is sent, file names of recordings included.
    """

    def __init__(
        self,
        project: str = "vidfer",
        name: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        save_dir: str = "runs",
        log_model: bool = False,
        console: bool = False,
    ) -> None:
        import wandb

        settings = wandb.Settings(console="auto" if console else "off")
        super().__init__(
            project=project, name=name, save_dir=save_dir, log_model=log_model,
            entity=entity, group=group, tags=tags, notes=notes, settings=settings,
        )  # fmt: skip
        self._wandb_init.pop("anonymous")  # the client warns of it on every start
