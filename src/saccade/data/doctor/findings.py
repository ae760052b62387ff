"""What a doctor of data sets can find, how bad each is, and what to do about it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
PLACES = 5  # shown of each finding


@dataclass(frozen=True)
class Check:
    """severity; what was found, in words to stand after a count; what to do."""

    severity: Severity
    what: str
    advice: str


CHECKS: dict[str, Check] = {
    # errors: something is lost or wrong in training and scores
    "structure": Check(
        "error", "parts of the set that cannot be read at all", "mend what is named; nothing of it was examined"
    ),
    "no pictures": Check("error", "sets without a picture", "check that this is the folder or file that was meant"),
    "annotation broken": Check("error", "annotations that cannot be read", "mend or remove them"),
    "annotation missing": Check(
        "error",
        "listed pictures without an annotation file",
        "add one (without objects, if there are none) or take them off the list",
    ),
    "annotation without picture": Check(
        "error", "annotations of pictures that are not there", "add the pictures or remove the annotations"
    ),
    "picture missing": Check(
        "error", "pictures that are listed and not there", "put them back or remove their annotations"
    ),
    "picture unreadable": Check("error", "pictures that cannot be decoded", "replace or remove them"),
    "picture size": Check(
        "error",
        "pictures of another size than their annotation claims",
        "annotate them anew, or put back the pictures that were annotated",
    ),
    "picture in two classes": Check(
        "error", "pictures that are in two classes, byte for byte", "decide on one class for each"
    ),
    "path refused": Check("error", "file names that point outside the set", "name files below the set's own folder"),
    "class unknown": Check("error", "objects of a class that is not listed", "list the class or correct the objects"),
    "classes differ": Check(
        "error", "splits whose classes are not those of the first", "use the same classes everywhere"
    ),
    "box not finite": Check("error", "boxes with a coordinate that is no finite number", "annotate these objects anew"),
    "box inverted": Check("error", "boxes that end before they begin", "exchange their corners, or annotate anew"),
    "box empty": Check("error", "boxes without width or height", "remove them; often a click without a drag"),
    "box outside": Check(
        "error", "boxes wholly outside their picture", "remove them, or check whether sizes or units are mixed up"
    ),
    "mask broken": Check(
        "error",
        "segmentations that are no polygons or run lengths of their picture",
        "annotate them anew, or remove them and keep the boxes",
    ),
    "mask missing": Check("error", "listed pictures without a mask", "add one or take them off the list"),
    "mask without picture": Check("error", "masks of pictures that are not there", "add the pictures or remove them"),
    "mask unreadable": Check("error", "masks that cannot be read exactly", "save them anew, as PNG without alpha"),
    "mask size": Check("error", "masks of another size than their picture", "make masks of the pictures' size"),
    "mask value": Check(
        "error",
        "masks with values or colours that are no class",
        "list the class, correct the masks, or set what is of no class to 255",
    ),
    "relation broken": Check("error", "relations between objects that are not there", "correct their ids and names"),
    "id repeated": Check("error", "ids that two entries share or that are missing", "number the entries anew"),
    "leak": Check(
        "error",
        "pictures for training that are for validation or test, too",
        "remove them from one side: scores measure memory",
    ),
    # warnings: worth a look
    "box beyond": Check("warning", "boxes that reach beyond their picture", "cut them at its edges, as reading does"),
    "box repeated": Check(
        "warning", "boxes that are annotated twice (same class, overlap 0.95 or more)", "remove one of each pair"
    ),
    "picture listed twice": Check("warning", "pictures that a list names twice", "list each once"),
    "picture repeated": Check("warning", "pictures that are byte for byte copies of another", "keep one of each"),
    "similar leak": Check(
        "warning",
        "pictures for training that look like one for validation or test",
        "look at the pairs; remove those that are the same scene",
    ),
    "picture unlabelled": Check("warning", "pictures that no annotation names", "annotate or remove them"),
    "mask ignored": Check("warning", "masks whose every pixel is ignored", "nothing is learnt from them; remove them"),
    "class rare": Check("warning", "classes with fewer than 10 examples", "collect more, or join it with another"),
    "class absent": Check(
        "warning", "classes that a split for validation or test has and training has not", "divide the set anew"
    ),
    # notes: good to know
    "picture empty": Check("note", "pictures without objects", "fine, if there is nothing in them to find"),
    "picture similar": Check("note", "pictures that look like another one", "look at the pairs"),
    "picture turned": Check(
        "note", "pictures that EXIF turns, with boxes of the pixels before", "reading turns the boxes with them"
    ),
    "mask turned": Check(
        "note", "pictures that EXIF turns, with masks of the pixels before", "reading turns the masks with them"
    ),
    "class small": Check(
        "note", "classes with less than a thousandth of the pixels", "score each class by itself; mIoU counts them all"
    ),
    "assumed": Check("note", "things assumed on reading it", "see whether they are so"),
    "class unused": Check("note", "listed classes without an example", "remove them, if none are to come"),
    "class balance": Check(
        "note", "classes with less than a twentieth of the most frequent one's examples", "score each class by itself"
    ),
    "box tiny": Check(
        "note", "boxes with a side of less than 3 pixels", "few detectors find such; check that they are meant"
    ),
    "id zero": Check(
        "note", "annotations with the id 0, which some evaluators take for no annotation", "number them from 1"
    ),
    "in no split": Check("note", "files in no split", "fine, if they are meant to be left out"),
}


@dataclass
class Finding:
    """A kind of CHECKS, how often it was found, and a few of the places."""

    kind: str
    count: int = 0
    places: list[str] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        return CHECKS[self.kind].severity

    def to_dict(self) -> dict:
        return {
            "severity": self.severity,
            **asdict(self),
            "what": CHECKS[self.kind].what,
            "advice": CHECKS[self.kind].advice,
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
