"""Every limit on a size that input controls: nothing that is read may decide alone how much memory, disk or time it takes.

Below each value stands what it counts and, after the colon, why it is as it is. docs/reference/limits.md says what happens
beyond each and who can change it.
"""

from typing import Final

MAX_PIXELS: Final = 7680 * 4320
"""pixels of a frame or picture: 8K; an RGB frame of that size takes 100 MB."""

MEMORY_LIMIT: Final = 4 << 30
"""bytes of address space of a process that decodes: four times what an 8K video needs."""

MAX_ERRORS: Final = 200
"""packets in a row that do not decode: what follows so many is taken for lost."""

MAX_BOXES: Final = 100_000
"""boxes of an MP4 or QuickTime file: so many are looked at for edit lists; a file of 1,000 tracks has about 10,000."""

MAX_OPEN_SECONDS: Final = 10.0
"""seconds of computing that opening a file may take: most take hundredths; FFmpeg compares each name in a header with all."""

MAX_CLIP_SECONDS: Final = 360_000.0
"""seconds from the begin of a clip to any frame or sound: 100 hours; table `seconds` has a row for each."""

MAX_SOUND_SECONDS: Final = 43_200.0
"""seconds of sound of a clip: half a day, whose windows take 270 MB; a few bytes can stand for days of silence."""

MIN_SOUND_RATE: Final = 1000
"""samples of sound per second: at fewer, a few bytes stand for hours, and no speech is heard."""

MAX_SOUND_RATE: Final = 1_000_000
"""samples of sound per second: above any recorder's; the filter to 16 kHz grows with it."""

MAX_GAP: Final = 3600.0
"""seconds between two time stamps of sound: longer pauses are a broken clock, and as silence they would fill the memory."""

MAX_COUNTED_PIXELS: Final = 500_000_000
"""pixels of all frames of an animation: up to so many are decoded to learn how long it lasts, in about two seconds."""

MAX_HEADER_BYTES: Final = 1 << 20
"""bytes of the header of a message from a process that decodes, or of the first line of a manifest: they hold names."""

MAX_MESSAGE_BYTES: Final = 1 << 30
"""bytes of one message of a worker process: the tables of a clip of many hours take a tenth of it."""

MAX_GRANT_SECONDS: Final = 10.0
"""seconds that one message of a process that decodes adds to its time limit: its playing time, if the clock is not broken."""

MAX_NAME_BYTES: Final = 255
"""bytes of the name of a folder of results: what common file systems take."""

MAX_REGISTRY_BYTES: Final = 10_000_000
"""bytes of a registry of weights: one entry has about 500."""

UPLOAD_MEGABYTES: Final = 500.0
"""megabytes of a file that the app takes: half an hour of ordinary video."""

UPLOAD_CLIP_SECONDS: Final = 600.0
"""seconds of a clip that the app takes: analysis takes about as long."""

UPLOAD_SECONDS: Final = 3600.0
"""seconds that an upload may last: a slow sender must not hold its place for ever."""

UPLOAD_SILENCE: Final = 30.0
"""seconds without a byte of an upload: the connection is taken for broken."""

UPLOAD_FORM_BYTES: Final = 65_536
"""bytes of a form beside its file: they are kept in memory."""

UPLOAD_NAME_CHARACTERS: Final = 200
"""characters of an uploaded file's name: it is only shown."""

APP_CONNECTIONS: Final = 100
"""connections to the app at once: a browser has six, and each takes an open file before a token is asked for."""

APP_REQUEST_SECONDS: Final = 10.0
"""seconds until a connection to the app has sent the head of a request, also after an answer: it has some hundred bytes."""

JOBS_WAITING: Final = 8
"""jobs of the app that wait: each holds its file on the disk."""

JOB_SECONDS: Final = 3600.0
"""seconds of one job of the app: one must not keep the others out."""

LIVE_CONNECTIONS: Final = 2
"""connections to live mode at once: each keeps a processor core busy."""

LIVE_FRAME_BYTES: Final = 1_000_000
"""bytes of a JPEG in live mode: a full HD picture has about 300,000."""

LIVE_MESSAGE_BYTES: Final = 4_000_000
"""bytes of any message of a connection of the app: it is held in memory before anything looks at it."""

LIVE_SIDE_PIXELS: Final = 1920
"""pixels of the longer side of a picture in live mode: full HD."""

LIVE_FPS: Final = 15.0
"""pictures answered per second in live mode: more are slowed down."""

LIVE_IDLE_SECONDS: Final = 20.0
"""seconds without a picture in live mode: the page was left."""

LIVE_SECONDS: Final = 1800.0
"""seconds of a connection to live mode: one that was forgotten must not keep others out."""

MAX_WEIGHTS_BYTES: Final = 4 << 30
"""bytes of a file of weights or of a graph: networks for faces have less than one, and it is read whole."""

MAX_UNPACKED: Final = 2
"""times its own size that the files of an archive may have together: photographs cannot be packed any more."""

MAX_JSON_BYTES: Final = 64 << 20
"""bytes of a JSON file, such as a card, a bundle or a summary: those of hours have some megabytes."""

MAX_CONFIG_BYTES: Final = 1 << 20
"""bytes of a YAML file: those that ship have some thousands, and reading a megabyte takes ten seconds."""

MAX_CONFIG_DEPTH: Final = 100
"""levels of a YAML file: LibYAML's loader ends the process where there are some ten thousand."""

MAX_CONFIG_NODES: Final = 100_000
"""values that a YAML file stands for, its aliases followed: nine lines of aliases can stand for thousands of millions."""

MAX_SHEET_BYTES: Final = 256 << 20
"""bytes of a CSV file that is read whole: about two million rows, which take some gigabytes of memory."""

MAX_COLUMNS: Final = 1_000
"""columns of a CSV or Parquet file: each is carried into every table of every clip."""

MAX_CELL_CHARACTERS: Final = 32_767
"""characters of a cell: what Excel takes."""

MAX_ID_CHARACTERS: Final = 4_096
"""characters of a clip's id in a manifest: the longest path on Linux."""
