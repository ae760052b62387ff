"""What the names of files and folders say in a set of masks: picture, mask, or a companion of a mask.

The key of a file is its path without the words for "picture" and "mask"; a picture and a mask with the same key match:
images/train/a.jpg and masks/train/a.png, img_dir/val/a.jpg and ann_dir/val/a.png, train/a.png and trainannot/a.png,
leftImg8bit/val/b/c_leftImg8bit.png and gtFine/val/b/c_gtFine_labelIds.png, JPEGImages/a.jpg and
SegmentationClass/a.png. Case is ignored in the names of folders.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from saccade.data.split_names import FOLDER_NAMES, FORMATS, split_role

TAIL = r"(?:[-_. ]?(?:dir|folder|files|data|set|png|jpe?g|tiff?|bmp|\d{1,2}))?"
# Beside the words of `FOLDER_NAMES`, which mean the same in sets of every kind.
MASK_WORDS = (
    *FOLDER_NAMES["masks"], "annotations?", "annots?", "anns?", "labels?", "label_?maps?", "lbls?", "gts?", "gtfine",
    "gtcoarse", "mask_?machine", r"segmentation_?class(?:_?raw|png|es|aug)?", "seg_?maps?", "segmasks?", "semsegs?",
    "segs?", "semantics?", "trimaps?", r"ground[-_ ]?truths?", "mattes?", r"(?:1st_)?manual\d?", "targets?",
)  # fmt: skip
PICTURE_WORDS = (*FOLDER_NAMES["pictures"], "leftimg8bit", "inputs?", "stillsraw_full", "pngimages")
GLUED = r"annotations?|annots?|labels?|masks?|segmentations?|segmaps?|segmasks?|groundtruths?"  # trainannot
MASK_FOLDER = re.compile(
    rf"(?:(?P<rest>.*?)[-_. ])??(?P<word>{'|'.join(MASK_WORDS)}){TAIL}|(?P<rest2>.*?)(?P<word2>{GLUED}|"
    rf"segmentationclass)|(?P<word3>labell?ed\w*|masks?_\w+|y)",
    re.IGNORECASE,
)
PICTURE_FOLDER = re.compile(
    rf"(?:(?P<rest>.*?)[-_. ]?)??(?P<word>{'|'.join(PICTURE_WORDS)}){TAIL}|(?P<word2>x)", re.IGNORECASE
)
# Folders of neither pictures nor class masks: instances, drawings of masks, depth.
COMPANION_FOLDER = re.compile(
    r"(?:.*[-_. ])?(?:instances?|instance_?ids|segmentation_?object.*|"
    r"visuali[sz]ations?|visuali[sz]ed?|vis|viz|panoptic.*"
    r"|depths?|disparit(?:y|ies)|previews?|overlays?|blends?|blended|thumbs?|thumbnails?|heatmaps?|contours?|boundar"
    r"(?:y|ies)|predictions?|preds?|2nd_manual\d?)|"
    r".*visuali[sz]ations?|panoptic.*|masks?_human|(?:instances?|objects?)[-_. ].*(?:masks?|labels?|segmentations?)|"
    r"(?:.*[-_. ])?(?:masks?|labels?|anns?|annotations?|semantics?|seg\w*|gt|gtfine|palette)[-_. ]?"
    r"(?:colou?r\w*|rgb)|colou?r\w*[-_. ]?(?:masks?|labels?|anns?|annotations?|gt|seg\w*|semantics?)",
    re.IGNORECASE,
)
# Suffixes of the names of masks and pictures. Of several masks with one key, the first is used.
MASK_MARKS = (
    r"_gtfine_labeltrainids", r"_gtfine_labelids", r"_gtcoarse_labeltrainids", r"_gtcoarse_labelids",
    r"[-_. ](masks?|labels?|label_?(?:train)?ids|gt|ground_?truth|seg|segmentation|annot|annotation|semantic|manual"
    r"\d?)",
    r"_[lp]", r"\.(jpe?g|png)",
)  # fmt: skip
MARKS = (
    *(re.compile(f"(.+){mark}", re.IGNORECASE) for mark in MASK_MARKS),
    re.compile(r"(?:masks?|labels?|lbl|gt|seg|man_seg|segmentation|annotation)[-_ ]?(\d.*)", re.IGNORECASE),
)
COMPANION_MARK = re.compile(
    r"(.*?)[-_. ](colou?rs?|colou?r_?masks?|(?:masks?|labels?|gt)_?(?:colou?r|rgb|vis)|instance_?(?:train)?ids|"
    r"instances?|overlay|vis|depth|panoptic|blend)",
    re.IGNORECASE,
)
PICTURE_MARK = re.compile(r"(.+)(_leftimg8bit|_0000|[-_](image|img|rgb|sat|training|test))", re.IGNORECASE)
PICTURE_PREFIX = re.compile(r"(?:images?|img|im|pictures?|photos?|frames?|rgb|sat|t)[-_ ]?(\d.*)", re.IGNORECASE)
# nnU-Net's imagesTr, labelsTs
NNUNET = re.compile(r"(?P<word>images|labels)(?P<split>tr|ts|val)", re.IGNORECASE)
TURNED = re.compile(r"(?P<word>[a-z]+(?:[-_. ](?:dir|folder))?)[-_. ]?(?P<split>[A-Z]?[a-z]+)")

AXES = {"x": "images", "y": "masks"}

Key = tuple[str, ...]


@dataclass(frozen=True)
class NamedFile:
    """key: words of the folders, in lower case, and the stem. kind: the word for masks among the names of its folders
    ("mask", "annot", "gtfine"), "" for none. worded: whether the name of a folder says that it is a picture; the letter
    x does not, which may be a class."""

    name: str
    key: Key
    kind: str
    worded: bool

    @property
    def folder(self) -> Key:
        return self.key[:-1]

    @property
    def stem(self) -> str:
        return self.key[-1]


def parse_file_name(name: str) -> NamedFile:
    """A file with its key."""
    path = PurePosixPath(name)
    key, kind, worded = [], "", False
    for part in path.parts[:-1]:
        part = _split_first(part)
        mask = MASK_FOLDER.fullmatch(part)
        picture = PICTURE_FOLDER.fullmatch(part)
        if picture is not None and mask is not None and str(picture["word"]).lower() in FORMATS:  # masks_png
            picture = None
        if mask is not None and not (picture is not None and split_role(part) is None and not _rest(mask)):
            kind, part = _word(mask), _rest(mask)
            if PICTURE_FOLDER.fullmatch(part):  # image_masks
                part = ""
        elif picture is not None:
            worded, part = worded or picture["word"] is not None, picture["rest"] or ""
        if part:
            key.append(part.lower())
    return NamedFile(name, (*key, path.stem), kind, worded and not kind)


def is_companion(name: str) -> bool:
    """Whether the name of a folder says that its files are neither pictures nor masks of classes."""
    return any(COMPANION_FOLDER.fullmatch(part) for part in PurePosixPath(name).parts[:-1])


def picture_stems(file: NamedFile) -> list[str]:
    """The stem of a picture, without its suffix, without its prefix, and in lower case."""
    matches = (PICTURE_MARK.fullmatch(file.stem), PICTURE_PREFIX.fullmatch(file.stem))
    return [file.stem, *(match[1] for match in matches if match), file.stem.lower()]


def mask_stems(file: NamedFile) -> list[str]:
    """Likewise of a mask."""
    return [file.stem, *strip_mask_suffixes(file.stem), file.stem.lower()]


def strip_mask_suffixes(stem: str, marks: tuple[re.Pattern, ...] = MARKS) -> list[str]:
    """The stem of a mask without the suffixes that it may have."""
    return [match[1] for form in marks if (match := form.fullmatch(stem)) is not None]


def names_split_and_mask(mask: str) -> bool:
    """Whether the name of a folder contains both split and mask: train_masks."""
    return any(split_role(part) and MASK_FOLDER.fullmatch(part) for part in PurePosixPath(mask).parts[:-1])


def is_word(form: re.Pattern, name: str) -> bool:
    """Whether a name is a word of a form and nothing else."""
    match = form.fullmatch(name)
    return match is not None and not any(match[key] for key in ("rest", "rest2") if key in form.groupindex)


def is_role_folder(part: str) -> bool:
    """Whether a folder's name says a split, pictures or masks."""
    return bool(split_role(part) or MASK_FOLDER.fullmatch(part) or PICTURE_FOLDER.fullmatch(part))


def _split_first(part: str) -> str:
    """masks_train, MasksTrain and labelsTr as train_masks and train_labels."""
    match = NNUNET.fullmatch(part)
    if match is not None:
        split = {"tr": "train", "ts": "test"}.get(match["split"].lower(), "val")
        return f"{split}_{match['word']}"
    letter = re.fullmatch(r"(?P<a>[a-z]+)[-_. ](?P<b>[a-z]+)", part, re.IGNORECASE)
    for split, axis in (letter.group("a", "b"), letter.group("b", "a")) if letter is not None else ():
        if axis.lower() in AXES and split_role(split):
            return f"{split}_{AXES[axis.lower()]}"  # X_train, y_train
    turned = TURNED.fullmatch(part) or re.fullmatch(r"(?P<word>[a-z]+)[-_. ](?P<split>[a-z]+)", part, re.IGNORECASE)
    if turned is not None and split_role(turned["split"]) and not split_role(turned["word"]):
        return f"{turned['split']}_{turned['word']}"
    return part


def _rest(match: re.Match) -> str:
    return match["rest"] or match["rest2"] or ""


def _word(match: re.Match) -> str:
    word = (match["word"] or match["word2"] or match["word3"]).lower()
    if word.startswith(("segmentationclass", "segmentation_class")):
        return "segmentationclass"
    if word in ("annot", "annots"):
        return "annot"
    return "mask" if word == "mask_machine" else word.rstrip("s")
