"""Pascal VOC: an XML file for each picture in Annotations/, pictures in JPEGImages/, splits in ImageSets/Main/*.txt.

Other names of these folders are read, too: XML files are recognised by what they hold, and their pictures are those of
the same names.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from saccade.data.dataset import Problem
from saccade.data.files import escape, is_picture, natural_key
from saccade.data.objects.annotations import AnnotatedObject, AnnotatedPicture, Annotations, resolve_classes
from saccade.data.objects.voc_xml import CoordinateOrigin, ParsedXml, find_origin, parse_annotation
from saccade.data.recognise_formats import recognise_formats
from saccade.data.split_names import folder_kind, sibling_roles, split_role
from saccade.data.store import FileStore, join_path, parent_folder, read_bytes, read_text, relative_to
from saccade.errors import DataError

FLAGS = ("-1", "0", "1")  # of the lists for one class: absent, difficult, present
FEW = 50


@dataclass
class VOC:
    """A Pascal VOC data set. folders: split -> folder of XML files; a single one, or one for each split. lists: split
    -> file in ImageSets/Main that lists its pictures."""

    store: FileStore
    root: str
    folders: dict[str, str]
    lists: dict[str, str]
    format: str = "VOC"
    _parsed: dict[str, ParsedXml | Problem] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        return list(self.lists) or (list(self.folders) if len(self.folders) > 1 else [])

    @cached_property
    def origin(self) -> CoordinateOrigin:
        """From which number coordinates count, the same for all splits."""
        files = (self._parse(name) for folder in self.folders.values() for name in self._by_key(folder).values())
        return find_origin(each for each in files if isinstance(each, ParsedXml))

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations:
        """Parse the set or a split. classes: default, all that occur in the XML files, sorted."""
        label = f"{self.store.title}" + (f", {split}" if split else "")
        folder = self.folders[split] if split in self.folders else next(iter(self.folders.values()))
        origin = self.origin
        sound = [each for each in self._parsed.values() if isinstance(each, ParsedXml)]
        found = sorted({name for each in sound for _, name, _, _ in each.objects})
        result = Annotations(label, "VOC", self.store, self.root, resolve_classes(found, classes, label))
        result.notes += [origin.note] if origin.note else []
        files = self._by_key(folder)
        pictures = self._pictures(folder, files)
        wanted = self._listed(self.lists[split], files, result.problems) if split in self.lists else list(files)
        taken: dict[str, str] = {}
        for key in wanted:
            self._add(key, files, pictures, taken, result)
        if split not in self.lists:
            broken = {key for key in files if isinstance(self._parse(files[key]), Problem)}
            result.unlabelled = [
                name for key, names in pictures.items() if key not in broken for name in names if name not in taken
            ]
        return result

    def orphans(self) -> list[str]:
        """Pictures and XML files that are in no list of a split."""
        if not self.lists:
            return []
        folder = next(iter(self.folders.values()))
        files = self._by_key(folder)
        named = {key for name in self.lists.values() for key in self._listed(name, files, [])}
        both = [(key, [name]) for key, name in files.items()] + list(self._pictures(folder, files).items())
        return [name for key, names in both if key not in named for name in names]

    def _parse(self, name: str) -> ParsedXml | Problem:
        if name not in self._parsed:
            display = escape(relative_to(self.root, name))
            try:
                self._parsed[name] = parse_annotation(read_bytes(self.store, name))
            except DataError as error:
                self._parsed[name] = Problem("annotation broken", display, f"{display} {error}")
        return self._parsed[name]

    def _by_key(self, folder: str) -> dict[str, str]:
        """Key -> XML file. The key of a file is its path in the folder without the suffix."""
        inside = (n for n in self.store.files if _is_xml(n) and _is_below(n, folder))
        return {_key(name, folder): name for name in sorted(inside, key=natural_key)}

    def _pictures(self, folder: str, files: dict[str, str]) -> dict[str, list[str]]:
        """Key -> pictures (a.jpg and a.png share one) of the folder that belongs to a folder of XML files: the one with
        most pictures of the same names; of several the closest."""
        stems = {str(PurePosixPath(name).with_suffix("")) for name in self.store.files if is_picture(name)}
        few, around = list(files)[:FEW], parent_folder(folder)
        role = split_role(folder)

        def fits(place: str) -> tuple:
            kind, parts = folder_kind(PurePosixPath(place).name) if place else None, place.split("/")
            return (
                sum(join_path(place, key) in stems for key in few),
                sum(join_path(place, PurePosixPath(key).name) in stems for key in few),
                role is not None and role in map(split_role, parts),
                kind == "pictures" and parent_folder(place) == around,
                _is_below(place, around),
                -len(place),
            )

        best = max(sorted({"", *self.store.folders}), key=fits)
        by_key: dict[str, list[str]] = {}
        for name in sorted((n for n in self.store.files if is_picture(n) and _is_below(n, best)), key=natural_key):
            by_key.setdefault(_key(name, best), []).append(name)
        return by_key

    def _listed(self, name: str, files: dict[str, str], problems: list[Problem]) -> list[str]:
        """The keys in a list of a split, without repeats."""
        display, keys = escape(relative_to(self.root, name)), dict[str, int]()
        for i, line in enumerate(read_text(self.store, name).splitlines(), start=1):
            key = _listed_key(line.strip(), files)
            if key in keys:
                problems.append(
                    Problem("picture listed twice", display, f"{display}, line {i}: {escape(key)} is listed again")
                )
            elif key:
                keys[key] = i
        return list(keys)

    def _add(
        self,
        key: str,
        files: dict[str, str],
        pictures: dict[str, list[str]],
        taken: dict[str, str],
        result: Annotations,
    ) -> None:
        """Add the picture of a key, or its problem. taken: picture -> XML file, of the pictures added so far."""
        name = files.get(key)
        if name is None:
            text = f"{escape(key)} is in the list of {result.title} and has no {escape(key)}.xml; left out: "
            text += "a picture without objects needs one too"
            result.problems.append(Problem("annotation missing", escape(key), text))
            return
        parsed, display = self._parse(name), relative_to(self.root, name)
        if isinstance(parsed, Problem):
            result.problems.append(parsed)
            return
        found = _pictures_of(key, parsed.filename, pictures)
        if len(found) > 1:
            both = ", ".join(escape(relative_to(self.root, each)) for each in found)
            meant = PurePosixPath(parsed.filename.replace("\\", "/")).name
            found = [each for each in found if PurePosixPath(each).name == meant]
            if not found:
                text = (
                    f"{escape(display)} may be of {both}, and its <filename> '{escape(meant)}' is neither; correct it"
                )
                result.problems.append(Problem("annotation broken", display, text, fatal=True))
                return
        if not found:
            text = f"{escape(display)} has no picture of its name; add or remove it"
            result.problems.append(Problem("picture missing", display, text))
        elif found[0] in taken:
            text = f"{escape(display)} and {escape(taken[found[0]])} are both of the picture "
            text += f"{escape(relative_to(self.root, found[0]))}; keep one"
            result.problems.append(Problem("annotation broken", display, text, fatal=True))
        else:
            index, origin = {name: i for i, name in enumerate(result.classes)}, self.origin
            objects = [
                AnnotatedObject(where, origin.to_continuous(box), index[c], crowd, row=i)
                for i, (where, c, box, crowd) in enumerate(parsed.objects)
            ]
            taken[found[0]] = display
            result.pictures.append(AnnotatedPicture(found[0], display, objects, parsed.size))


def find_dataset(store: FileStore) -> VOC | None:
    """Detect the set in a store; None if there is none. Raises DataError for several sets that are not splits of
    one."""
    folders = sorted({_annotation_root(folder) for folder in _xml_folders(store)}, key=natural_key)
    folders = [each for each in folders if not any(each != other and _is_below(each, other) for other in folders)]
    if not folders:
        return None
    if len(folders) == 1:
        return _with_one_folder(store, folders[0])
    roles = sibling_roles({part for folder in folders for part in folder.split("/")})
    names = [next((part for part in folder.split("/") if part in roles), "") for folder in folders]
    if "" in names or len(set(names)) < len(names):
        around = ", ".join(escape(_around(folder) or ".") for folder in folders[:4])
        raise DataError(f"{store.title} holds {len(folders)} VOC sets ({around}); give the folder of one")
    root = parent_folder(_around(folders[0]))
    return VOC(store, root, dict(zip(names, folders, strict=True)), {})


def _with_one_folder(store: FileStore, folder: str) -> VOC:
    """Splits from lists, or from folders of splits inside the folder."""
    root = _around(folder)
    lists = _lists(store, root)
    inside = {relative_to(folder, n).split("/")[0] for n in store.files if _is_xml(n) and _is_below(n, folder)}
    roles = sibling_roles(name for name in inside if not _is_xml(name))
    if not lists and len(roles) > 1 and len(roles) == len(inside):
        return VOC(store, root, {name: join_path(folder, name) for name in sorted(roles, key=natural_key)}, {})
    return VOC(store, root, {"": folder}, lists)


def _xml_folders(store: FileStore) -> Iterable[str]:
    """Folders of VOC's XML files, and of XML files that cannot be recognised, in a folder named annotations."""
    if not any(map(_is_xml, store.files)):
        return ()
    others = set[str]()
    found = set[str]()
    for each in recognise_formats(store):
        xmls = {parent_folder(name) for name in each.files if _is_xml(name)}
        (found if each.format == "VOC XML" else others).update(xmls)
    named = {parent_folder(name) for name in store.files if _is_xml(name)} - others
    return found | {each for each in named if folder_kind(PurePosixPath(each).name) == "annotations"}


def _annotation_root(folder: str) -> str:
    """The closest folder named annotations or alike that holds a folder, or the folder itself."""
    parts = folder.split("/")
    for i in range(len(parts), 0, -1):
        if folder_kind(parts[i - 1]) == "annotations":
            return "/".join(parts[:i])
    return folder


def _around(folder: str) -> str:
    """The folder of the set with a folder of XML files."""
    while folder and folder_kind(PurePosixPath(folder).name) == "annotations":
        folder = parent_folder(folder)
    return folder


def _lists(store: FileStore, root: str) -> dict[str, str]:
    """Split -> the file that lists its pictures."""
    for place in ("imagesets/main", "imagesets", ""):
        folder = join_path(root, place).lower()
        found = {}
        for name in sorted(store.files, key=natural_key):
            path = PurePosixPath(name)
            known = place or split_role(path.stem)
            is_list = parent_folder(name).lower() == folder and path.suffix.lower() == ".txt" and known
            if is_list and not _is_of_one_class(store, name):
                found[path.stem] = name
        if found:
            return found
    return {}


def _is_of_one_class(store: FileStore, name: str) -> bool:
    """Whether a list is of the pictures with one class (cat_train.txt): those of train.txt, with a flag."""
    if "_" not in PurePosixPath(name).stem:
        return False
    words = next((line.split() for line in read_text(store, name).splitlines() if line.strip()), [])
    return len(words) == 2 and words[1] in FLAGS


def _listed_key(line: str, files: dict[str, str]) -> str:
    """The key that a line names, perhaps with a suffix, folders in front, or a flag behind."""
    line, first = line.replace("\\", "/"), ""
    for text in (line, line.rsplit(None, 1)[0] if " " in line else ""):
        key = str(PurePosixPath(text).with_suffix("")) if is_picture(text) or _is_xml(text) else text
        first = first or key
        parts = [part for part in PurePosixPath(key).parts if part not in ("/", ".", "..")]
        known = next((end for i in range(len(parts)) if (end := "/".join(parts[i:])) in files), None)
        if known is not None:
            return known
    words = line.split()
    return words[0] if len(words) == 2 and words[1] in FLAGS else first


def _pictures_of(key: str, filename: str, pictures: dict[str, list[str]]) -> list[str]:
    """The pictures that an XML file may belong to: by its own name, else by its <filename>."""
    found = pictures.get(key) or pictures.get(PurePosixPath(key).name)
    if found is None and filename:
        found = pictures.get(PurePosixPath(filename.replace("\\", "/")).stem)
    return found or []


def _is_xml(name: str) -> bool:
    base = name.rsplit("/", 1)[-1]
    return base.lower().endswith(".xml") and not base.startswith(".")


def _is_below(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")


def _key(name: str, folder: str) -> str:
    return str(PurePosixPath(relative_to(folder, name)).with_suffix(""))
