"""Versions of the packages whose output ends up in artifacts, without importing them."""

from importlib.metadata import PackageNotFoundError, version


def tool_versions(*names: str) -> dict[str, str | None]:
    """Return the installed version of each distribution, such as `facenet-pytorch`, None where it is missing."""
    found: dict[str, str | None] = dict.fromkeys(names)
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
