"""Captions in a text file beside each picture: a.txt or a.caption describes a.jpg, a caption a line; or a.json with a
text as its "caption" or "text", as in the tars of WebDataset.

YOLO's labels and lists of files may lie in the same places. A line is a label if it has five values or more of which
all but the first are numbers, or if it is names of pictures; text files are captions if more of them have words than
labels.
"""

from collections import Counter
from pathlib import PurePosixPath

from saccade.data.captions.annotations import Document, Row
from saccade.data.dataset import Problem
from saccade.data.files import escape, is_picture, natural_key, parse_json
from saccade.data.store import FileStore, join_path, parent_folder, read_text, relative_to, without_suffix
from saccade.errors import DataError

SUFFIXES = (".txt", ".caption")
JSON_KEYS = ("caption", "text")
SAMPLE = 8  # JSON files that are looked at
OTHER_TEXTS = ("readme", "license", "licence", "classes", "captions")  # stems of files that describe no picture


def kind_of_line(line: str) -> str:
    """ "label", "words", or "" for a few numbers, which may be either. Names of pictures are a label, too."""
    if line.strip() and all(is_picture(word) for word in line.split()):
        return "label"
    numbers = [_is_number(word) for word in line.split()]
    if len(numbers) >= 5 and all(numbers[1:]):
        return "label"
    return "" if all(numbers) else "words"


def find_texts(store: FileStore) -> list[str]:
    """Text files beside pictures, if they hold captions; none if they hold labels. Files that are not UTF-8 do not
    count."""
    stems = {without_suffix(store, name) for name in store.files if store.is_picture(name)}
    texts = [name for name in store.files if _is_text(name) and name.rpartition(".")[0] in stems]
    kinds: Counter[str] = Counter()
    for name in texts:
        try:
            lines = {kind_of_line(line) for line in read_text(store, name).splitlines()}
        except DataError:
            continue
        kinds["words" if "words" in lines else "label" if "label" in lines else ""] += 1
    if kinds["words"] > kinds["label"]:
        return sorted(texts, key=natural_key)
    objects = [n for n in store.files if n.endswith(".json") and n.rpartition(".")[0] in stems] if not texts else []
    some = objects[:: max(1, len(objects) // SAMPLE)]
    return sorted(objects, key=natural_key) if 2 * sum(bool(_json_caption(store, n)) for n in some) > len(some) else []


def read_texts(store: FileStore, root: str, texts: list[str]) -> Document:
    """Parse the text files beside pictures, and list those without a picture in the same folders."""
    document = Document(join_path(root, "*.txt"))
    pictures: dict[str, list[str]] = {}
    for name in store.files:
        if store.is_picture(name):
            pictures.setdefault(without_suffix(store, name), []).append(relative_to(root, name))
    several = sum(_read(store, root, name, pictures[name.rpartition(".")[0]], document) for name in texts)
    if several:
        document.notes.append(f"{several} text files have several lines; each line was taken as a caption")
    folders, known = {parent_folder(name) for name in texts}, set(texts)
    for name in store.files if not texts[0].endswith(".json") else ():  # JSON may be of anything
        if _is_text(name) and name not in known and parent_folder(name) in folders:
            where = escape(relative_to(root, name))
            text = f"{where} lies beside no picture of its name; add the picture or remove it"
            document.problems.append(Problem("annotation without picture", where, text))
    return document


def _read(store: FileStore, root: str, name: str, pictures: list[str], document: Document) -> bool:
    """Add the captions of a file; whether they are several."""
    where = escape(relative_to(root, name))
    if len(pictures) > 1:
        text = f"{where} lies beside {' and '.join(map(escape, pictures))}; which it describes is unknown: rename one"
        document.problems.append(Problem("caption broken", where, text))
        return False
    if name.endswith(".json"):
        document.rows.append(Row(where, pictures[0], [_json_caption(store, name)]))
        return False
    try:
        # str.splitlines would split at control characters, too, and hide them
        lines = read_text(store, name).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    except DataError as error:
        document.problems.append(Problem("caption broken", where, str(error)))
        return False
    found = [(i, line.strip()) for i, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        document.rows.append(Row(where, pictures[0], [""]))
    for i, line in found:
        place = f"{where}, line {i}"
        if kind_of_line(line) == "label":
            text = f"{place} reads like a label of YOLO ('{escape(line[:40])}'); a caption in words expected"
            document.problems.append(Problem("caption broken", place, text))
        else:
            document.rows.append(Row(place, pictures[0], [line]))
    return len(found) > 1


def _json_caption(store: FileStore, name: str) -> str:
    """The caption in a JSON object; "" for a file without one."""
    try:
        found = parse_json(read_text(store, name), escape(name))
    except DataError:
        return ""
    texts = [found[key] for key in JSON_KEYS if isinstance(found.get(key), str)] if isinstance(found, dict) else []
    return texts[0] if texts else ""


def _is_text(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix in SUFFIXES and not path.name.startswith(".") and path.stem.lower() not in OTHER_TEXTS


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
