"""What pages are made with: templates that escape everything, files put into the page, and a policy that lets in nothing else."""

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidfer import __version__
from vidfer.results.colours import COLOURS
from vidfer.results.names import visible
from vidfer.types import DISPLAYED

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

STATIC: Final = Path(__file__).parent / "static"
TEMPLATES: Final = Path(__file__).parent / "templates"

RESPONSIBLE_USE: Final = (
    f"{DISPLAYED} vidfer is wrong at times, and more often for some people than for others: do not decide about anybody by it. "
    "The page “Responsible use” of the documentation says more."
)

NOTHING: Final = "\N{EN DASH}"
"""Stands for a number that is missing."""

_LICENCES: Final = {"uPlot.iife.min.js": "uPlot.LICENSE"}

_UNSAFE: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Assets:
    """Style and scripts that are written into a page, and the policy that allows these and no others.

    Args:
        style: For the one `<style>`.
        early: For a `<script>` in the head.
        script: For the one at the end of the body; empty for none.
        policy: Content of the Content-Security-Policy; empty where a header has it.
    """

    style: "Markup"
    early: "Markup"
    script: "Markup"
    policy: str


@cache
def assets(
    styles: tuple[str, ...] = (), scripts: tuple[str, ...] = (), allow: str = "", images: str = "data: blob:"
) -> Assets:
    """Put static files into one style and one script.

    Args:
        styles: Files of `static/` after `base.css`.
        scripts: Files of `static/`, in order.
        allow: Further directives of the policy, such as `media-src 'self' file:`.
        images: Where pictures may come from.
    """
    from markupsafe import Markup

    style = "\n".join([palette(), *(read_static(name) for name in ("base.css", *styles))])
    early, script = read_static("theme.js"), "\n".join(read_static(name) for name in scripts)
    hashed = " ".join(_hash(text) for text in (early, script) if text)
    rules = ["default-src 'none'", f"img-src {images}", f"style-src {_hash(style)}", f"script-src {hashed}"]
    rules += ["base-uri 'none'", "form-action 'none'", *([allow] if allow else [])]
    return Assets(Markup(style), Markup(early), Markup(script), "; ".join(rules))  # nosec # files of the package


def read_static(name: str) -> str:
    """Read a file of `static/`; one that has a licence of its own begins with it, in every page."""
    text = (STATIC / name).read_text("utf-8")
    if name in _LICENCES:
        text = f"/*!\n{(STATIC / _LICENCES[name]).read_text('utf-8')}*/\n{text}"
    if "</script" in text.lower() or "</style" in text.lower():
        raise ValueError(f"{name} would end the element that it is put into")
    return text


def palette() -> str:
    """Return CSS with the colour of each expression as `--happy`, and as `--this` below an element of class `e-happy`."""
    colours = "".join(f"--{name}:{colour};" for name, colour in COLOURS.items())
    return f":root{{{colours}}}\n" + "".join(f".e-{name}{{--this:var(--{name})}}" for name in COLOURS)


@cache
def environment() -> "Environment":
    r"""Return the templates' environment: everything is escaped, an unknown name is an error, each template is compiled once.

    Filters: `visible` writes signs that nobody sees as `\u202e`; `name` also keeps a text's direction to itself (`<bdi>`);
    `number` writes a number with so many places, and an en dash for none; `seconds` a time; `percent` a share;
    `script_json` a value for `<script type="application/json">`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        **{"visible": visible, "name": named, "script_json": script_json},
        **{"number": number, "seconds": seconds, "percent": percent},
    )
    made.globals.update(version=__version__, responsible_use=RESPONSIBLE_USE, colours=COLOURS)
    return made


def render(template: str, **values: object) -> bytes:
    """Fill a template, as UTF-8."""
    return environment().get_template(template).render(**values).encode("utf-8", "backslashreplace")


def script_json(value: object) -> "Markup":
    """Write a value as JSON that cannot end, or open, any element, and is JavaScript too."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))  # nosec # no sign is left that ends an element


def named(text: object) -> "Markup":
    """Write a name, path or message of unknown origin: escaped, visible, and of a direction of its own."""
    from markupsafe import Markup, escape

    return Markup("<bdi>{}</bdi>").format(escape(visible(text)))


def number(value: float | None, places: int = 2) -> str:
    """Write a number, or an en dash where there is none.

    Example:
        >>> from vidfer.pages.environment import NOTHING, number
        >>> number(0.5) == "0.50" and number(None) == NOTHING
        True
    """
    return NOTHING if value is None or value != value else f"{value:.{places}f}"


def percent(value: float | None) -> str:
    """Write a share in percent.

    Example:
        >>> from vidfer.pages.environment import percent
        >>> percent(0.256)
        '26 %'
    """
    return NOTHING if value is None or value != value else f"{100 * value:.0f} %"


def seconds(value: float | None) -> str:
    """Write a time or a length: in s below a minute, else in minutes and seconds.

    Example:
        >>> from vidfer.pages.environment import seconds
        >>> seconds(12.44), seconds(125)
        ('12.4 s', '2:05.0')
    """
    if value is None or value != value:
        return NOTHING
    tenths = round(10 * value)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    if not hours and not minutes:
        return f"{rest / 10:.1f} s"
    return f"{hours}:{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
