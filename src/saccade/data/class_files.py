"""A class in a file beside each picture, as in the tars of WebDataset: a.cls holds the number or name of a.jpg's."""

from pathlib import PurePosixPath

from saccade.data.class_tables import ClassTables, Row
from saccade.data.files import escape, has_control_characters, is_picture
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, parent_folder, read_text
from saccade.errors import DataError

SUFFIX = ".cls"


def find_class_files(store: FileStore) -> ClassTables | None:
    """The set of a store in which half of the pictures or more have a class beside them; None for others."""
    classes = {name.removesuffix(SUFFIX): name for name in store.files if name.endswith(SUFFIX)}
    pictures = [name for name in store.files if is_picture(name)] if classes else []
    labelled = [name for name in pictures if name.rpartition(".")[0] in classes]
    if not labelled or 2 * len(labelled) < len(pictures):
        return None
    result = ClassTables(store, "", [], {}, {}, ["classes read from the .cls files beside the pictures"])
    result.format = "classes in files beside the pictures (WebDataset)"
    splits = {folder: _split(folder) for folder in {parent_folder(name) for name in labelled}}
    for name in labelled:
        file = classes[name.rpartition(".")[0]]
        try:
            row = Row(escape(file), name, _class(store, file))
        except DataError as error:
            result.problems[escape(file)] = str(error)
            continue
        result.parts.setdefault(splits[parent_folder(name)], []).append(row)
    if not result.parts:
        raise DataError(next(iter(result.problems.values())))
    if "" in result.parts and len(result.parts) > 1:
        result.parts["default"] = result.parts.pop("")
    if len(labelled) < len(pictures):
        first = next(name for name in pictures if name.rpartition(".")[0] not in classes)
        result.notes.append(
            f"{len(pictures) - len(labelled)} pictures have no .cls and are not used, such as {escape(first)}"
        )
    return result


def _class(store: FileStore, file: str) -> str:
    label = read_text(store, file).strip()
    if not label or has_control_characters(label):
        raise DataError(f"{escape(file)} holds {escape(label[:40]) or 'nothing'}; one class in a line expected")
    return label


def _split(folder: str) -> str:
    return next((role for part in reversed(PurePosixPath(folder).parts) if (role := split_role(part))), "")
