"""SHA-256 digests of files and of JSON objects, by which damage is found."""

import hashlib
import json
from pathlib import Path
from typing import Any

KEY = "sha256"  # of the digest of a JSON object, in that object


def file_digest(file: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def with_digest(fields: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with a digest of its fields as the last one."""
    fields = json.loads(json.dumps(fields))  # as it is read: tuples are lists, keys are strings
    return {**fields, KEY: _digest(fields)}


def check_digest(fields: dict[str, Any]) -> dict[str, Any]:
    """The object without its digest. Raises ValueError if it does not match; an object without one is accepted."""
    rest = {name: value for name, value in fields.items() if name != KEY}
    if KEY in fields and fields[KEY] != _digest(rest):
        raise ValueError(
            f"it was changed after it was written: its {KEY} does not match. Restore it; or, if the change is meant, "
            f'remove its "{KEY}"'
        )
    return rest


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
