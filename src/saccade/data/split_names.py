"""What names of files and folders say: training, validation or test; pictures, annotations or masks.

One table for all tasks. Case, digits, separators and accents are ignored, and so are words that say nothing about the
split: `training_set`, `Valid`, `instances_train2017.json`, `TestImages`. The words for the splits are those of the
`datasets` library (train, validation | valid | dev | val, test | eval) and their translations.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from saccade.data.files import escape
from saccade.errors import DataError

# Words of each split, in order of preference.
SPLIT_NAMES = {
    "train": ("train", "training", "trn", "trainaug", "trainings", "entrainement", "entrenamiento", "훈련", "학습",
              "训练"),
    "val": ("val", "valid", "validation", "validate", "dev", "minival", "validierung", "validierungs", "validacion",
            "검증", "验证"),
    "test": ("test", "testing", "tests", "tst", "eval", "evaluation", "prueba", "pruebas", "테스트", "시험", "测试"),
}  # fmt: skip
TRAINVAL = ("trainval", "trainvalidation")  # pictures for training and for validation together
FOLDER_NAMES = {
    "pictures": ("images", "image", "imgs", "img", "jpegimages", "pictures", "picture", "pics", "photos", "photo",
                 "frames", "bilder", "rgb", "jpg", "jpeg", "png", "imagery"),
    "annotations": ("annotations", "annotation", "annots", "annot", "anns", "ann", "labels", "label", "labeltxt", "txt",
                    "bboxes", "xml", "xmls", "json", "instances", "instance"),
    "masks": ("masks", "mask", "segmentation", "segmentations", "segmentationclass", "gt", "trimaps"),
}  # fmt: skip
FORMATS = ("jpg", "jpeg", "png", "xml", "xmls", "json", "txt")  # words of `FOLDER_NAMES` for files of any kind
# Words beside that of the split which do not change what a name says.
FILLERS = {
    "set", "sets", "subset", "data", "dataset", "daten", "satz", "split", "splits", "dir", "folder", "file", "files",
    "list", "part", "fold", "default", "final", "full", "raw", "集", "셋", "용", "데이터", "이미지",
    *(word for words in FOLDER_NAMES.values() for word in words),
}  # fmt: skip


def _plain(text: str) -> str:
    """Without case and accents; Hangul is decomposed, as in file names of macOS."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


_ROLES = {_plain(word): role for role, words in (*SPLIT_NAMES.items(), ("trainval", TRAINVAL)) for word in words}
_RANKS = {_plain(word): rank for words in SPLIT_NAMES.values() for rank, word in enumerate(words)}
_KINDS = {word: kind for kind, words in FOLDER_NAMES.items() for word in words}
_FILLERS = {_plain(word) for word in FILLERS}


def split_role(name: str) -> str | None:
    """ "train", "val" or "test" if the last part of a path contains a word for it: `valid`,
    `instances_train2017.json`. "train" for `trainval` and `train_val`: see `is_trainval`."""
    role = _role(_words(name))
    return "train" if role == "trainval" else role


def is_trainval(name: str) -> bool:
    """Whether a split is for training and validation together: its pictures are divided."""
    return _role(_words(name)) == "trainval"


def folder_kind(name: str) -> str | None:
    """ "pictures", "annotations" or "masks" if a folder's name says so: `Images`, `ann_dir`, `train_masks`.

    A name with any other word (`yellow_labels`) says nothing; one of a file format (`masks_png`) only if alone."""
    words = [word for word in _words(name) if word not in _ROLES and word not in ("dir", "folder", "set")]
    kinds = {_KINDS.get(word) for word in [word for word in words if word not in FORMATS] or words}
    return next(iter(kinds)) if len(kinds) == 1 else None


def sibling_roles(names: Iterable[str]) -> dict[str, str]:
    """Name -> role, of the folders side by side whose names mean splits.

    Any other word in a name must be in the name of another split, too: `cars_train` and `cars_test` are splits,
    `test tubes` and `train station` beside `airport` are not."""
    words = {name: _words(name) for name in names}
    roles = {name: role for name, each in words.items() if (role := _role(each)) is not None}
    others = {name: tuple(w for w in words[name] if w not in _ROLES and w not in _FILLERS) for name in roles}
    shared = Counter(rest for rest, _ in {(others[name], role) for name, role in roles.items()})
    return {
        name: "train" if role == "trainval" else role
        for name, role in roles.items()
        if not others[name] or shared[others[name]] > 1
    }


def splits_by_role(splits: Sequence[str]) -> dict[str, str]:
    """Role -> the split to use for it, of the splits of a set.

    Of several of one role, that with the plainest name. Without one for training, a single split that says nothing
    (`default`) is for training, alone or beside others."""
    found = {}
    for role in SPLIT_NAMES:
        named = sorted((name for name in splits if split_role(name) == role), key=_rank)
        if named:
            found[role] = named[0]
    rest = [name for name in splits if split_role(name) is None]
    if "train" not in found and len(rest) == 1:
        found["train"] = rest[0]
    return found


def find_split(splits: Sequence[str], split: str, label: str) -> str:
    """The split of that name, letters' case ignored, or the one of that role ("val" finds `validation`).

    Raises DataError if there is none, and if several names of that role are equally plain."""
    if split in splits:
        return split
    same = [name for name in splits if name.casefold() == split.casefold()]
    role = split_role(split)
    if not same and role is not None:
        named = sorted((name for name in splits if split_role(name) == role), key=_rank)
        same = [name for name in named if _rank(name) == _rank(named[0])]
        same = same or [name for name in [splits_by_role(splits).get(role)] if name is not None]
    if len(same) == 1:
        return same[0]
    raise DataError(f"{label} has no split '{escape(split)}' (found: {', '.join(map(escape, splits)) or 'none'})")


def _words(name: str) -> list[str]:
    """The words of the last part of a path: `TrainSet_2.txt` -> train, set, txt."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", PurePosixPath(name).name)
    return [part for word in re.findall(r"[^\W\d_]+", _plain(text)) for part in _parts(word)]


def _parts(word: str) -> list[str]:
    """`trainset` -> train, set; other words whole."""
    if word in _ROLES or word in _FILLERS:
        return [word]
    for cut in range(len(word) - 1, 1, -1):
        if word[:cut] in _ROLES and word[cut:] in _FILLERS:
            return [word[:cut], word[cut:]]
    return [word]


def _role(words: Sequence[str]) -> str | None:
    """COCO's `test-dev` is a test split; `train_val` is `trainval`."""
    found = {_ROLES[word] for word in words if word in _ROLES}
    if {"train", "val"} <= found and "test" not in found:
        return "trainval"
    return next((role for role in ("train", "trainval", "test", "val") if role in found), None)


def _rank(name: str) -> tuple[int, int]:
    """How plainly a name says its split, 0 best; `trainval` last."""
    words = _words(name)
    ranks = [_RANKS[word] for word in words if word in _RANKS]
    return (len(words) if ranks and not is_trainval(name) else 99), min(ranks, default=0)
