"""Names of members of archives as names in a set."""

from pathlib import PurePosixPath

from saccade.data.files import escape, is_hidden
from saccade.errors import DataError


def inside(name: str, folder: bool, folders: set[str], label: str) -> str:
    """The normalized name of a member, "" for one in a hidden folder; its folders are added to `folders`.

    Raises DataError for a name that points outside the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts[:1] and path.parts[0].endswith(":")):
        raise DataError(f"{label} holds '{escape(name)}', a name that points outside it; refused")
    parts = path.parts if folder else path.parts[:-1]
    if any(is_hidden(part) for part in parts):
        return ""
    folders.update("/".join(parts[: i + 1]) for i in range(len(parts)))
    return str(path)
