"""Versions of the packages whose output ends up in artifacts, without importing them."""

from importlib.metadata import PackageNotFoundError, version


def tool_versions(*names: str) -> dict[str, str | None]:
    """Return the installed version of each distribution, such as `facenet-pytorch`, None where it is missing.

    Example:
        >>> tool_versions("no-such-package")
        {'no-such-package': None}
    """
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
