"""What a doctor of data sets can find, how bad each is, and what to do about it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
PLACES = 5  # shown of each finding


@dataclass(frozen=True)
class Kind:
    """severity; what was found, in words to stand after a count; what to do."""

    severity: Severity
    what: str
    advice: str


KINDS: dict[str, Kind] = {
    # errors: something is lost or wrong in training and scores
    "structure": Kind(
        "error", "parts of the set that cannot be read at all", "mend what is named; nothing of it was examined"
    ),
    "no pictures": Kind("error", "sets without a picture", "check that this is the folder or file that was meant"),
    "annotation broken": Kind("error", "annotations that cannot be read", "mend or remove them"),
    "annotation missing": Kind(
        "error",
        "listed pictures without an annotation file",
        "add one (without objects, if there are none) or take them off the list",
    ),
    "annotation without picture": Kind(
        "error", "annotations of pictures that are not there", "add the pictures or remove the annotations"
    ),
    "picture missing": Kind(
        "error", "pictures that are listed and not there", "put them back or remove their annotations"
    ),
    "picture unreadable": Kind("error", "pictures that cannot be decoded", "replace or remove them"),
    "picture size": Kind(
        "error",
        "pictures of another size than their annotation claims",
        "annotate them anew, or put back the pictures that were annotated",
    ),
    "picture in two classes": Kind(
        "error", "pictures that are in two classes, byte for byte", "decide on one class for each"
    ),
    "path refused": Kind("error", "file names that point outside the set", "name files below the set's own folder"),
    "class unknown": Kind("error", "objects of a class that is not listed", "list the class or correct the objects"),
    "classes differ": Kind(
        "error", "splits whose classes are not those of the first", "use the same classes everywhere"
    ),
    "box not finite": Kind("error", "boxes with a coordinate that is no finite number", "annotate these objects anew"),
    "box inverted": Kind("error", "boxes that end before they begin", "exchange their corners, or annotate anew"),
    "box empty": Kind("error", "boxes without width or height", "remove them; often a click without a drag"),
    "box outside": Kind(
        "error", "boxes wholly outside their picture", "remove them, or check whether sizes or units are mixed up"
    ),
    "mask broken": Kind(
        "error",
        "segmentations that are no polygons or run lengths of their picture",
        "annotate them anew, or remove them and keep the boxes",
    ),
    "mask missing": Kind("error", "listed pictures without a mask", "add one or take them off the list"),
    "mask without picture": Kind("error", "masks of pictures that are not there", "add the pictures or remove them"),
    "mask unreadable": Kind("error", "masks that cannot be read exactly", "save them anew, as PNG without alpha"),
    "mask size": Kind("error", "masks of another size than their picture", "make masks of the pictures' size"),
    "mask value": Kind(
        "error",
        "masks with values or colours that are no class",
        "list the class, correct the masks, or set what is of no class to 255",
    ),
    "relation broken": Kind("error", "relations between objects that are not there", "correct their ids and names"),
    "id repeated": Kind("error", "ids that two entries share or that are missing", "number the entries anew"),
    "leak": Kind(
        "error",
        "pictures for training that are for validation or test, too",
        "remove them from one side: scores measure memory",
    ),
    # warnings: worth a look
    "box beyond": Kind("warning", "boxes that reach beyond their picture", "cut them at its edges, as reading does"),
    "box repeated": Kind(
        "warning", "boxes that are annotated twice (same class, overlap 0.95 or more)", "remove one of each pair"
    ),
    "picture listed twice": Kind("warning", "pictures that a list names twice", "list each once"),
    "picture repeated": Kind("warning", "pictures that are byte for byte copies of another", "keep one of each"),
    "similar leak": Kind(
        "warning",
        "pictures for training that look like one for validation or test",
        "look at the pairs; remove those that are the same scene",
    ),
    "picture unlabelled": Kind("warning", "pictures that no annotation names", "annotate or remove them"),
    "mask ignored": Kind("warning", "masks whose every pixel is ignored", "nothing is learnt from them; remove them"),
    "class rare": Kind("warning", "classes with fewer than 10 examples", "collect more, or join it with another"),
    "class absent": Kind(
        "warning", "classes that a split for validation or test has and training has not", "divide the set anew"
    ),
    # notes: good to know
    "picture empty": Kind("note", "pictures without objects", "fine, if there is nothing in them to find"),
    "picture similar": Kind("note", "pictures that look like another one", "look at the pairs"),
    "picture turned": Kind(
        "note", "pictures that EXIF turns, with boxes of the pixels before", "reading turns the boxes with them"
    ),
    "mask turned": Kind(
        "note", "pictures that EXIF turns, with masks of the pixels before", "reading turns the masks with them"
    ),
    "class small": Kind(
        "note", "classes with less than a thousandth of the pixels", "score each class by itself; mIoU counts them all"
    ),
    "assumed": Kind("note", "things assumed on reading it", "see whether they are so"),
    "class unused": Kind("note", "listed classes without an example", "remove them, if none are to come"),
    "class balance": Kind(
        "note", "classes with less than a twentieth of the most frequent one's examples", "score each class by itself"
    ),
    "box tiny": Kind(
        "note", "boxes with a side of less than 3 pixels", "few detectors find such; check that they are meant"
    ),
    "id zero": Kind(
        "note", "annotations with the id 0, which some evaluators take for no annotation", "number them from 1"
    ),
    "in no split": Kind("note", "files in no split", "fine, if they are meant to be left out"),
}


@dataclass
class Finding:
    """A kind of KINDS, how often it was found, and a few of the places."""

    kind: str
    count: int = 0
    places: list[str] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    def to_dict(self) -> dict:
        return {
            "severity": self.severity,
            **asdict(self),
            "what": KINDS[self.kind].what,
            "advice": KINDS[self.kind].advice,
        }


class Findings:
    """Findings by kind; each place counts once."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, None]] = {}

    def add(self, kind: str, place: str) -> None:
        self._places.setdefault(kind, {})[place] = None

    def extend(self, kind: str, places: Iterable[str]) -> None:
        for place in places:
            self.add(kind, place)

    def __contains__(self, kind: str) -> bool:
        return kind in self._places

    def all(self) -> list[Finding]:
        """The worst first, of equals the most frequent."""
        found = [Finding(kind, len(places), list(places)[:PLACES]) for kind, places in self._places.items()]
        return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), -each.count))


@dataclass
class Split:
    """pictures: how many. objects: how many of each class; of a set for classification or with masks, its pictures.
    pixels: of each class, in a set with masks. ignored: its pixels that are of no class."""

    pictures: int
    objects: dict[str, int]
    pixels: dict[str, int] | None = None
    ignored: int | None = None

    def to_dict(self) -> dict:
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass
class Report:
    """What was examined and what was found. sizes: (height, width) -> pictures, the readable ones."""

    source: str
    format: str
    splits: dict[str, Split]
    findings: list[Finding]
    sizes: dict[tuple[int, int], int]
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing is worse than a warning."""
        return all(each.severity != "error" for each in self.findings)

    def to_dict(self) -> dict:
        return {
            "source": self.source,
            "format": self.format,
            "sound": self.sound,
            "splits": {name: split.to_dict() for name, split in self.splits.items()},
            "sizes": [{"height": h, "width": w, "pictures": n} for (h, w), n in self.sizes.items()],
            "findings": [each.to_dict() for each in self.findings],
            "seconds": round(self.seconds, 2),
        }
