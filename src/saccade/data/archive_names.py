"""Names of members of archives as names in a set."""

from collections import Counter
from typing import Literal

from saccade.data.files import escape, is_hidden
from saccade.errors import DataError

MAX_NAME, MAX_DEPTH = 1024, 64  # characters of a member's name, folders in it; every folder of every name is kept

Kind = Literal["file", "folder", "link", "special file"]


class ArchiveMembers:
    """The names of the files of an archive, checked one by one. title: of the archive.

    Attributes:
        files: normalized names, in the order of the archive; a name that is held again stays where it was.
        folders: all folders likewise.
    """

    def __init__(self, title: str):
        self.title = title
        self.files: dict[str, None] = {}
        self.folders: set[str] = set()
        self._again = 0
        self._left: Counter[str] = Counter()

    def add(self, name: str, kind: Kind) -> str:
        """The normalized name of a file; "" for other members, and for those of hidden folders.

        Raises DataError for a name that points outside the archive, and for one that is too long or too deep."""
        name = name.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
            raise DataError(f"{self.title} holds '{escape(name)}', a name that points outside it; refused")
        if len(name) > MAX_NAME or len(parts) > MAX_DEPTH:
            raise DataError(
                f"{self.title} holds a name of {len(name)} characters in {len(parts) - 1} folders, "
                f"'{escape(name[:40])}...'; at most {MAX_NAME} in {MAX_DEPTH - 1} are read: unpack it to a folder"
            )
        if kind in ("link", "special file"):
            self._left[kind] += 1
        is_folder = kind == "folder" or name.endswith("/")  # some programs mark folders only by a final backslash
        folder = parts if is_folder else parts[:-1]
        if any(map(is_hidden, folder)):
            return ""
        at = "/".join(folder)
        while at and at not in self.folders:
            self.folders.add(at)
            at = at.rpartition("/")[0]
        if kind != "file" or is_folder or not parts:
            return ""
        normalized = "/".join(parts)
        self._again += normalized in self.files
        self.files[normalized] = None
        return normalized

    def notes(self) -> list[str]:
        """What was left out, one sentence each. Raises DataError for a name of both a file and a folder."""
        both = next((name for name in self.files if name in self.folders), None)
        if both is not None:
            raise DataError(f"{self.title} holds '{escape(both)}' as a file and as a folder; pack it anew")
        notes = [f"{n} {kind}s in {self.title} were passed over" for kind, n in self._left.items()]
        if self._again:
            notes.append(f"{self._again} files of {self.title} have the name of an earlier one, which they replace")
        return notes
