"""What `make docs` adds to mkdocs: the repository's own pages, and files that pages link to outside docs/.

On GitHub, and in an editor, a link such as `../../CONTRIBUTING.md` works as it stands. In the site the guide to
contributing and the changelog are pages, and other files of the repository lie below `source/`, so that the site is whole alone.
"""

import posixpath
import re
from pathlib import Path
from typing import Final

from griffe import Extension, Object
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
"""Files beside docs/ that are pages of the site; the README is told anew in index.md."""

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the contributor's guide, the changelog, and the files that pages link to."""
    for origin in ("CONTRIBUTING.md", "CHANGELOG.md"):
        files.append(File.generated(config, PAGES[origin], content=(ROOT / origin).read_text("utf-8")))
    linked: set[str] = set()
    for page in files.documentation_pages():
        origin = _origin(page.src_uri)
        linked |= {_target(origin, link[1]) for link in _LINK.finditer(_CODE.sub("", page.content_string))}
    for path in sorted(linked):
        if not path.startswith(("docs/", "..")) and path not in PAGES and (ROOT / path).is_file():
            files.append(File.generated(config, f"source/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links within the repository into links within the site."""
    here = page.file.src_uri
    origin = _origin(here)

    def moved(link: re.Match[str]) -> str:
        path = _target(origin, link[1])
        place = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}")
        return posixpath.relpath(place, posixpath.dirname(here) or ".")

    return _LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give the theme's search box, which is a dialog, the name that it lacks for screen readers."""
    return _named(output)


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """Do the same for the page that says that there is none."""
    return _named(output_content)


def _named(html: str) -> str:
    return html.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def _origin(uri: str) -> str:
    """Return where in the repository a page of the site comes from."""
    return next((origin for origin, page in PAGES.items() if page == uri != "index.md"), f"docs/{uri}")


def _target(origin: str, link: str) -> str:
    """Return the path in the repository that a link of the file `origin` leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


class Docstrings(Extension):
    """Show docstrings as the site wants them."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Read `Example:` as griffe's section of examples, so that they are code; make links of the names of pages."""
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r"\bdocs/([\w/-]+)\.md\b", r"[\1](../../\1.md)", text)
