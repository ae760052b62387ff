"""Findings of the doctor: their severity, and what to do about them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

from saccade.errors import printable

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

MANY_OBJECTS = 60  # the queries of a detector, by default


@dataclass(frozen=True)
class Check:
    """what: the finding, in words that follow a count. advice: what to do."""

    severity: Severity
    what: str
    advice: str


# severity -> kind -> (what, advice). Errors affect training or scores, warnings may, notes are information.
_CHECKS: dict[Severity, dict[str, tuple[str, str]]] = {
    "error": {
        "structure": ("parts of the set that cannot be read", "fix the named problem; these parts were not checked"),
        "no pictures": ("sets without a picture", "check that this is the right folder or file"),
        "annotation broken": ("annotations that cannot be read", "fix or remove them"),
        "annotation missing": (
            "listed pictures without an annotation file",
            "add one (empty, if there are no objects) or remove them from the list",
        ),
        "annotation without picture": (
            "annotations of pictures that do not exist",
            "add the pictures or remove the annotations",
        ),
        "picture missing": ("listed pictures that do not exist", "add them or remove their annotations"),
        "picture unreadable": ("pictures that cannot be decoded", "replace or remove them"),
        "picture size": (
            "pictures of another size than their annotation",
            "annotate them again, or restore the annotated pictures",
        ),
        "picture in two classes": ("identical pictures in two classes", "choose one class for each"),
        "path refused": ("file names outside the set", "use file names relative to the folder of the set"),
        "class unknown": ("objects of a class that is not listed", "list the class or correct the objects"),
        "classes differ": ("splits whose classes differ from those of the first", "use the same classes in all splits"),
        "box not finite": ("boxes with a coordinate that is not finite", "annotate these objects again"),
        "box inverted": ("boxes with right < left or bottom < top", "swap their corners, or annotate again"),
        "box empty": ("boxes without width or height", "remove them; often a click without a drag"),
        "box outside": ("boxes entirely outside their picture", "remove them, or check sizes and units"),
        "boxes implausible": (
            "sets whose boxes contradict their pictures or outlines",
            "correct them; training refuses them, as what they mean cannot be known",
        ),
        "objects none": ("sets without an object", "annotate objects, or check that all annotation files are there"),
        "mask broken": (
            "segmentations that are not polygons or run lengths of their picture",
            "annotate them again, or remove them and keep the boxes",
        ),
        "mask missing": ("listed pictures without a mask", "add one or remove them from the list"),
        "mask without picture": ("masks of pictures that do not exist", "add the pictures or remove them"),
        "mask unreadable": ("masks that cannot be read exactly", "save them again, as PNG without alpha"),
        "mask of one class": (
            "splits in which all pixels are of one class or ignored",
            "check that masks hold the objects, and which value stands for them",
        ),
        "mask size": ("masks of another size than their picture", "create masks of the size of the pictures"),
        "mask value": (
            "masks with values or colours that are not a class",
            "list the class, correct the masks, or set pixels without a class to 255",
        ),
        "caption broken": ("captions that cannot be read", "correct them or remove the entries"),
        "caption blank": ("entries without a word as their caption", "write a caption or remove the entry"),
        "pair aspect": (
            "pairs of pictures whose aspects differ",
            "crop one of each: training leaves these pairs out",
        ),
        "pair odd": (
            "pictures side by side of odd width",
            "two halves of equal width are expected; training leaves these out",
        ),
        "style small": ("styles with a single picture", "add more: a picture takes its style from another one of it"),
        "relation broken": ("relations between objects that do not exist", "correct their ids and names"),
        "id repeated": ("ids that are missing or not unique", "renumber the entries"),
        "leak": (
            "training pictures that are also in validation or test",
            "remove them from one of the two: scores would measure memorization",
        ),
    },
    "warning": {
        "box beyond": ("boxes that extend beyond their picture", "clip them, as training does"),
        "boxes reread": (
            "sets whose boxes or outlines are written otherwise than their format defines",
            "training reads them as named; look at the drawn boxes, and write them as the format defines",
        ),
        "boxes in a corner": (
            "sets whose boxes all lie in one corner of their pictures",
            "look at the drawn boxes: those of smaller copies are too small and lie too far left and up",
        ),
        "box beside outline": (
            "sets with boxes elsewhere than the outlines of their objects",
            "look at the drawn boxes, and correct them",
        ),
        "crowds only": (
            "sets whose objects are all marked as crowds or difficult",
            "training reads them as single objects; if they are, set iscrowd or difficult to 0",
        ),
        "class of crowds": (
            "classes of which all objects are marked as crowds or difficult",
            "such objects are not learned; set iscrowd or difficult to 0 for single objects",
        ),
        "crowds many": (
            "sets with many objects that are marked as crowds",
            "crowds are neither learned nor counted; set iscrowd to 0 for single objects",
        ),
        "turn unknown": (
            "pictures that EXIF turns so that their sizes do not say of which pixels the annotations are",
            "look at the drawn ones: if they lie elsewhere, train with --exif stored, or save the pictures upright",
        ),
        "box repeated": ("boxes that are annotated twice (same class, IoU 0.95 or more)", "remove one of each pair"),
        "picture listed twice": ("pictures that are listed twice", "list each once"),
        "picture repeated": ("pictures identical to another one", "keep one of each"),
        "similar leak": (
            "training pictures similar to one in validation or test",
            "look at the pairs; remove those of the same scene",
        ),
        "film noted": ("films that were read in part or with assumptions", "look at them; training reads them so too"),
        "film still": ("films of a single frame", "nothing moves in them; remove them or keep them as pictures"),
        "caption unused": ("captions that cannot be used", "correct them; their pictures are painted without words"),
        "pair alone": (
            "pictures without a partner of the same name",
            "add it or remove them; training leaves them out",
        ),
        "pair equal": ("pairs of identical pictures", "check the folders: there is nothing to learn from them"),
        "annotations unread": (
            "kinds of annotations beside the class folders",
            "if the folders are no classes, convert the annotations as named; else nothing is to be done",
        ),
        "picture unlabelled": ("pictures without an annotation", "annotate or remove them"),
        "picture uncaptioned": ("pictures without a caption", "write one or remove them"),
        "caption repeated": ("captions that a picture has twice", "remove one of each pair"),
        "caption long": (
            "captions of more than 64 words",
            "shorten them: most text encoders refuse or cut longer ones",
        ),
        "mask of objects": (
            "masks whose values look like numbers of objects",
            "list background and object if they are",
        ),
        "mask alike": (
            "splits whose masks are all the same",
            "check the folder: these may show the field of view, and not objects",
        ),
        "picture drawn": (
            "pictures with one colour for each class of their mask",
            "check the folder: these may be coloured copies of the masks",
        ),
        "mask ignored": ("masks in which all pixels are ignored", "training learns nothing from them; remove them"),
        "class alike": (
            "classes whose names differ only in case, spaces or the form of their characters",
            "give them one name if they are one class",
        ),
        "class rare": ("classes with fewer than 10 examples", "collect more, or merge it with another class"),
        "class absent": ("classes in validation or test that are not in training", "split the set again"),
    },
    "note": {
        "picture empty": ("pictures without objects", "fine, if they show none"),
        "pair size": ("pairs of the same aspect, and of different sizes", "fine: both are resized"),
        "style alone": (
            "pictures whose name no other style has",
            "fine: they show their style, and are not painted",
        ),
        "picture similar": ("pictures similar to another one", "look at the pairs"),
        "picture noted": ("pictures of which a part is not used as it is stored", "training reads them so too"),
        "picture turned": (
            "pictures rotated by EXIF, with boxes of the stored pixels",
            "boxes are rotated when they are read",
        ),
        "mask turned": (
            "pictures rotated by EXIF, with masks of the stored pixels",
            "masks are rotated when they are read",
        ),
        "class small": (
            "classes with less than a thousandth of the pixels",
            "look at scores per class; mIoU weights all classes equally",
        ),
        "caption shared": ("captions of several pictures", "matching cannot tell these pictures apart"),
        "objects many": (
            f"pictures with more than {MANY_OBJECTS} objects",
            "a detector finds as many as it has queries: train with --queries of that number or more",
        ),
        "assumed": ("assumptions made while reading", "check that they are correct"),
        "class unused": ("listed classes without an example", "remove them, unless examples will be added"),
        "class balance": (
            "classes with less than a twentieth of the examples of the most frequent one",
            "look at scores per class",
        ),
        "box tiny": (
            "boxes with a side of less than 3 pixels",
            "few detectors find these; check that they are intended",
        ),
        "id zero": ("annotations with the id 0, which some evaluators treat as missing", "number them from 1"),
        "in no split": ("files in no split", "fine, if they are excluded on purpose"),
    },
}
CHECKS = {kind: Check(severity, *texts) for severity, kinds in _CHECKS.items() for kind, texts in kinds.items()}


@dataclass
class Finding:
    """A kind of CHECKS, with its places and their count."""

    kind: str
    count: int = 0
    places: list[str] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        return CHECKS[self.kind].severity

    @property
    def what(self) -> str:
        return CHECKS[self.kind].what

    @property
    def advice(self) -> str:
        return CHECKS[self.kind].advice

    def to_dict(self) -> dict:
        return {"severity": self.severity, **asdict(self), "what": self.what, "advice": self.advice}


class Findings:
    """Findings by kind, without duplicate places."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, None]] = {}

    def add(self, kind: str, place: str) -> None:
        self._places.setdefault(kind, {})[printable(place)] = None

    def extend(self, kind: str, places: Iterable[str]) -> None:
        for place in places:
            self.add(kind, place)

    def __contains__(self, kind: str) -> bool:
        return kind in self._places

    def all(self) -> list[Finding]:
        """By severity, then by count."""
        found = [Finding(kind, len(places), list(places)) for kind, places in self._places.items()]
        return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), -each.count))


@dataclass
class Split:
    """pictures: number of pictures. objects: number of objects of each class, or of pictures in sets for classification
    and with masks. pixels: of each class, in sets with masks. ignored: pixels without a class. captions: number of
    captions, in sets with captions. seconds: length of all films, in sets of films."""

    pictures: int
    objects: dict[str, int]
    pixels: dict[str, int] | None = None
    ignored: int | None = None
    captions: int | None = None
    seconds: float | None = None

    def to_dict(self) -> dict:
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass
class Report:
    """Result of checking a set. sizes: (height, width) -> number of readable pictures. items: what it is of, "pictures"
    or "films"."""

    source: str
    format: str
    splits: dict[str, Split]
    findings: list[Finding]
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    seconds: float = 0.0
    items: str = "pictures"

    @property
    def sound(self) -> bool:
        """Whether there are no errors."""
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
