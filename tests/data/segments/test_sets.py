"""Every layout gives the same masks; splits, lists of classes, what is ignored, EXIF, policies."""

import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import SceneSegments
from saccade.data.scenes.write import write_scenes
from saccade.data.segments.class_lists import voc_palette
from saccade.data.segments.known_sets import CAMVID, CITYSCAPES, VOC, VOC_BORDER
from saccade.data.segments.sets import open_segments, segment_splits
from saccade.errors import DataError

from .masked_sets import CLASSES, COLOURS, NAMES, SIZES, SPLITS, coloured, grey, indices, palette, picture, write

SEGNET = {"picture_at": "CamVid/{split}/{name}.png", "mask_at": "CamVid/{split}annot/{name}.png", "splits": SPLITS}
LAYOUTS = {
    "images, masks": ({}, None),
    "jpegs": ({"picture_at": "images/{name}.jpg"}, None),
    "label names": ({"picture_at": "img/{name}.png", "mask_at": "SegmentationLabels/{name}_L.png"}, None),
    "marked": ({"picture_at": "{name}.png", "mask_at": "{name}_mask.png"}, None),
    "images/train": ({"picture_at": "images/{split}/{name}.png", "mask_at": "masks/{split}/{name}.png"}, SPLITS),
    "train/images": ({"picture_at": "{split}/images/{name}.png", "mask_at": "{split}/masks/{name}.png"}, SPLITS),
    "train, train_labels": ({"picture_at": "{split}/{name}.png", "mask_at": "{split}_labels/{name}_L.png"}, SPLITS),
    "one folder of masks": ({"picture_at": "images/{split}/{name}.png", "mask_at": "annotations/{name}.png"}, SPLITS),
    "marked in splits": ({"picture_at": "{split}/{name}.png", "mask_at": "{split}/{name}_mask.png"}, SPLITS),
    "masks_train": ({"picture_at": "images_{split}/{name}.png", "mask_at": "masks_{split}/{name}.png"}, SPLITS),
}


def check(dataset, names: str = "abcde", classes=("sky", "road", "car"), masks=indices) -> None:
    assert dataset.classes == list(classes)
    assert [name.rsplit("/", 1)[-1][0] for name in dataset.names] == list(names)
    for index, name in enumerate(names):
        i = NAMES.index(name)
        found = dataset.mask(index)
        assert (found.dtype, tuple(found.shape)) == (torch.uint8, SIZES[i])
        assert np.array_equal(found.numpy(), masks(i))
        assert dataset.picture(index).image.size == SIZES[i][::-1]
    assert dataset.skipped == {}


@pytest.mark.parametrize("on_error", ["skip", "fail"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_masks(tmp_path, layout, on_error):
    places, splits = LAYOUTS[layout]
    root = write(tmp_path / "set", **places, splits=splits)
    if splits is None:
        dataset = open_segments(root, on_error=on_error)
        check(dataset)
        assert dataset.notes == [f"{root} was read as index masks: 5 pictures, 3 classes of classes.txt"]
        return
    with pytest.raises(DataError, match=r"holds the splits train, val, test; name one with --split"):
        open_segments(root)
    for split, names in splits.items():
        check(open_segments(root, split, on_error), names)
    train, val = segment_splits(root, on_error=on_error)
    check(train, "abc")
    check(val, "d")
    assert val.notes[-1] == "validation: the split val"


@pytest.mark.parametrize("prefix", [".", "around/it"])
def test_from_a_tar(tmp_path, prefix):
    root = write(tmp_path / "set")
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as file:
        file.add(root, arcname=prefix)
    check(open_segments(tmp_path / "set.tar.gz"))


@pytest.mark.parametrize(
    "save",
    [
        grey,
        palette,
        lambda m: Image.fromarray(m.astype(np.uint16)),
        lambda m: Image.fromarray(np.where(m == 255, 65535, m).astype(np.uint16)),
        lambda m: Image.fromarray(m.astype(np.int32)),
        lambda m: Image.fromarray(np.stack([m] * 3, -1)),
        lambda m: Image.fromarray(np.stack([m] * 3 + [np.full_like(m, 255)], -1)),
    ],
    ids=["L", "P", "16 bits", "16 bits, 65535", "32 bits", "RGB", "RGBA"],
)
@pytest.mark.parametrize("classes", ["sky\nroad\ncar\n", "name,r,g,b\nsky,9,9,9\nroad,8,8,8\ncar,7,6,5\n"])
def test_kinds_of_index_files(tmp_path, save, classes):
    suffix = "tif" if np.asarray(save(indices(0))).dtype == np.int32 else "png"
    dataset = open_segments(write(tmp_path / "set", mask_at="masks/{name}." + suffix, save=save, classes=classes))
    check(dataset)
    grey_rgb = "masks in RGB with three equal parts a pixel were read by number"
    assert (grey_rgb in dataset.notes) == (np.asarray(save(indices(0))).ndim == 3)


def test_lists_of_splits(tmp_path):
    root = write(tmp_path / "set")
    (root / "train.txt").write_text("a\nb.png\n\nimages/c.png\n")
    (root / "test.txt").write_text("/home/me/images/e.jpg\n")
    (root / "val.txt").write_text("images/d.png masks/d.png\n")
    for split, names in SPLITS.items():
        check(open_segments(root, split, "fail"), names)
    (root / "val.txt").unlink()
    train, held = segment_splits(root)
    assert (len(train), len(held)) == (2, 1)
    assert held.notes[-1].endswith("(10%, seed 0) held out; the split test is not used")


def test_a_pair_in_a_list_wins_over_names(tmp_path):
    root = write(tmp_path / "set")
    (root / "masks" / "a.png").rename(root / "masks" / "other.png")
    grey(indices(0) * 0).save(root / "masks" / "a.png")
    (root / "train.txt").write_text("images/a.png masks/other.png\nimages/b.png\n")
    check(open_segments(root, "train", "fail"), "ab")


def test_hold_out(tmp_path):
    root = write(tmp_path / "set")
    train, val = segment_splits(root, val_fraction=0.4, seed=3)
    assert (len(train), len(val)) == (3, 2)
    assert sorted(train.names + val.names) == [f"images/{name}.png" for name in NAMES]
    assert val.notes[-1] == "no validation split was found: 2 pictures (40%, seed 3) held out"
    assert segment_splits(root, val_fraction=0.4, seed=3)[1].names == val.names
    check(val.subset([1]), val.names[1][-5])


def eleven(i: int) -> np.ndarray:
    return indices(i, 12, ignored=False) if SIZES[i][0] >= 12 else indices(i, SIZES[i][0], ignored=False)


def void(i: int) -> np.ndarray:
    return np.where(eleven(i) == 11, 255, eleven(i)).astype(np.uint8)


TWELVE = [*CAMVID, "unlabelled"]


@pytest.mark.parametrize("listed", ["12 lines", "11 lines", "12 in JSON", "12 with colours"])
def test_segnet_with_a_list(tmp_path, listed):
    root = write(tmp_path / "set", **SEGNET, masks=eleven, classes=None)
    names = TWELVE[: int(listed[:2])]
    if "JSON" in listed:
        (root / "CamVid" / "classes.json").write_text(json.dumps({"classes": {str(i): n for i, n in enumerate(names)}}))
    elif "colours" in listed:
        rows = "".join(f"{i} {2 * i} {3 * i}\t{name}\n" for i, name in enumerate(names))
        (root / "CamVid" / "label_colors.txt").write_text(rows)
    else:
        (root / "CamVid" / "labels.txt").write_text("\r\n".join(names))
    for split, names_of in SPLITS.items():
        lines = [f"/SegNet/CamVid/{split}/{n}.png /SegNet/CamVid/{split}annot/{n}.png" for n in names_of]
        (root / "CamVid" / f"{split}.txt").write_text("\n".join(lines))
    train, val = segment_splits(root)
    check(train, "abc", CAMVID, void)
    check(val, "d", CAMVID, void)
    expected = "11, one past" if listed == "11 lines" else "unlabelled is taken for no class; its pixels are ignored"
    assert any(expected in note for note in train.notes)


def test_segnets_camvid_without_a_list(tmp_path):
    root = tmp_path / "set"
    place = {"splits": SPLITS, "masks": eleven, "classes": None}
    write(root, "{split}/0001TP_{name}.png", "{split}annot/0001TP_{name}.png", **place)
    for path in list(root.rglob("*.png")):  # numbers, as those frames have
        path.rename(
            path.with_name(path.name.replace("_", f"_00{ord(path.stem[-1])}").replace(path.stem[-1] + ".", "."))
        )
    train, val = segment_splits(root)
    assert train.classes == val.classes == list(CAMVID)
    assert np.array_equal(train.mask(0), void(0))
    assert any("and 11 as unlabelled, which is ignored" in note for note in train.notes)
    # the same by its size, whatever the names; and in other sizes numbers stand for the classes
    for size, classes in (((360, 480), list(CAMVID)), ((36, 48), [f"class {i}" for i in range(11)])):
        for folder in ("train", "trainannot"):
            (tmp_path / f"{size}" / folder).mkdir(parents=True)
        Image.new("RGB", size[::-1]).save(tmp_path / f"{size}" / "train" / "x.png")
        mask = np.zeros(size, np.uint8)
        mask[0, :12] = range(12)
        grey(mask).save(tmp_path / f"{size}" / "trainannot" / "x.png")
        dataset = open_segments(tmp_path / f"{size}")
        assert dataset.classes == classes
        assert dataset.mask(0)[0, :13].tolist() == [*range(11), 255, 0]
        # names asked for are numbers' names in their order
        assert open_segments(tmp_path / f"{size}", classes=list("abcdefghijk")).mask(0)[0, 11] == 255


def test_eleven_classes_and_255_in_plain_folders(tmp_path):
    root = write(tmp_path / "set", masks=void, classes="\n".join(CAMVID))
    check(open_segments(root, on_error="fail"), "abcde", CAMVID, void)
    root = write(tmp_path / "with void", masks=eleven, classes="\n".join(TWELVE))
    check(open_segments(root, on_error="fail"), "abcde", CAMVID, void)
    root = write(tmp_path / "asked", masks=eleven, classes="\n".join(TWELVE))
    check(open_segments(root, classes=TWELVE), "abcde", TWELVE, eleven)
    root = write(tmp_path / "unlisted", masks=eleven, classes="\n".join(CAMVID))
    with pytest.raises(DataError, match=r"masks/a.png has the value 11 \(\d+ pixels\), of no class; 0 to 10"):
        open_segments(root).mask(0)


def test_values_without_a_list_are_named_by_their_numbers(tmp_path):
    root = write(tmp_path / "set", classes=None, masks=lambda i: np.where(indices(i) == 2, 7, indices(i)))
    dataset = open_segments(root)
    check(dataset, "abcde", ["class 0", "class 1", "class 7"])
    assert dataset.notes[1] == "no file names the classes; the 3 values found stand for them (255 is ignored)"


def test_black_and_white(tmp_path):
    def binary(i: int) -> np.ndarray:
        return np.where(indices(i) == 1, 255, 0).astype(np.uint8)

    for classes, names in (("ground\nthing", ["ground", "thing"]), (None, ["class 0", "class 255"])):
        root = write(tmp_path / f"{classes}"[:3], classes=classes, masks=binary)
        check(open_segments(root), "abcde", names, lambda i: (indices(i) == 1).astype(np.uint8))


@pytest.mark.parametrize("by_palette", [False, True])
def test_coloured_masks(tmp_path, by_palette):
    def save(mask: np.ndarray) -> Image.Image:
        image = coloured(mask)
        return image.quantize(4, dither=Image.Dither.NONE) if by_palette else image

    table = "name,r,g,b\n" + "".join(f"{n},{r},{g},{b}\n" for n, (r, g, b) in zip(CLASSES, COLOURS, strict=True))
    root = write(tmp_path / "set", save=save, classes=None)
    (root / "class_dict.csv").write_text(table)
    dataset = open_segments(root)
    check(dataset)
    assert "void is taken for no class" in dataset.notes[1]
    if by_palette:
        return
    strange = coloured(indices(0))
    strange.putpixel((3, 4), (1, 2, 3))
    strange.putpixel((4, 4), (1, 2, 3))
    strange.save(root / "masks" / "a.png")
    with pytest.raises(DataError, match=r"masks/a.png has the colour \(1, 2, 3\) \(2 pixels\), of no class; one"):
        open_segments(root).mask(0)
    (root / "class_dict.csv").unlink()
    with pytest.raises(
        DataError, match=r"coloured masks .* and no file that says which colour is which class; a class"
    ):
        open_segments(root)
    (root / "classes.txt").write_text("sky\nroad\ncar")
    with pytest.raises(DataError, match=r"coloured masks and classes.txt lists no colours; a line name,r,g,b"):
        open_segments(root)


GREYS = [(0, 0, 0), (9, 9, 9), (2, 2, 2), (1, 1, 1)]


def test_a_table_is_taken_by_colour_even_where_grey(tmp_path):
    root = write(
        tmp_path / "set", save=lambda m: coloured(m, [(0, 0, 0), (9, 9, 9), (2, 2, 2), (1, 1, 1)]), classes=None
    )
    (root / "label_colors.txt").write_text("0 0 0\tsky\n9 9 9\t\troad\n2 2 2\tcar\n1 1 1\tVoid\n")
    check(open_segments(root))


@pytest.mark.parametrize("kind", ["palette", "RGB"])
def test_voc(tmp_path, kind):
    def save(mask: np.ndarray) -> Image.Image:
        image = Image.fromarray(mask)
        image.putpalette([part for colour in voc_palette() for part in colour])
        if kind == "palette":
            return image
        rgb = np.array(image.convert("RGB"))
        rgb[mask == 255] = VOC_BORDER
        return Image.fromarray(rgb)

    root = tmp_path / "VOCdevkit" / "VOC2012"
    write(root, "JPEGImages/{name}.jpg", "SegmentationClass/{name}.png", save=save, classes=None)
    write(root, "JPEGImages/{name}.jpg", "SegmentationObject/{name}.png", save=save, classes=None)
    picture(0).save(root / "JPEGImages" / "boxes_only.jpg")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, names in {"train": "abc", "val": "de", "trainval": "abcde"}.items():
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    train, val = segment_splits(tmp_path, on_error="fail")
    check(train, "abc", VOC)
    check(val, "de", VOC)
    assert f"read as VOC's {'index' if kind == 'palette' else 'coloured'} masks" in train.notes[0]
    check(open_segments(tmp_path, "trainval"), "abcde", VOC)
    (root / "class_names.txt").write_text("_background_\nroad\ncar")
    check(open_segments(root, "val"), "de", ["_background_", "road", "car"])


@pytest.mark.parametrize("ids", ["labelIds", "labelTrainIds"])
def test_cityscapes(tmp_path, ids):
    numbers = np.array([*CITYSCAPES]) if ids == "labelIds" else np.arange(19)

    def masks(i: int) -> np.ndarray:
        found = numbers[indices(i) % 19].astype(np.uint8)
        found[0, 1:3] = 4 if ids == "labelIds" else 255
        return found

    places = "leftImg8bit/{split}/town/{name}_leftImg8bit.png", "gtFine/{split}/town/{name}_gtFine_" + ids + ".png"
    root = write(tmp_path / "set", *places, splits=SPLITS, classes=None, masks=masks)
    for path in list((root / "gtFine").rglob("*.png")):
        coloured(indices(0)).save(path.with_name(path.name.replace(ids, "color")))
        grey(indices(0)).save(path.with_name(path.name.replace(ids, "instanceIds")))
    for split, names in SPLITS.items():
        check(open_segments(root, split, "fail"), names, list(CITYSCAPES.values()))


def test_scenes_as_they_are_and_as_they_are_written(tmp_path):
    scenes = Scenes(3, (37, 53), seed=5)
    direct = SceneSegments(scenes)
    write_scenes(scenes, tmp_path / "out", "masks")
    written = open_segments(tmp_path / "out", on_error="fail")
    assert direct.classes == written.classes == ["background", *scenes.classes]
    assert len(direct) == len(written) == 3
    for i in range(3):
        assert torch.equal(direct.mask(i), written.mask(i))
        assert np.array_equal(direct.picture(i).image, written.picture(i).image)
    assert int(direct.mask(1).max()) > 0


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("whose", ["the mask of stored pixels", "the mask of upright pixels", "a mask with EXIF"])
def test_exif(tmp_path, orientation, whose):
    upright = indices(3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # Pillow's transpose that the tag reverses
    stored = np.asarray(Image.fromarray(upright).transpose(Image.Transpose(undo)))
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.stack([stored] * 3, -1)).save(tmp_path / "images" / "a.png", exif=exif)
    mask = grey(upright if "upright" in whose else stored)
    mask.save(tmp_path / "masks" / "a.png", **({"exif": exif} if "EXIF" in whose else {}))
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    # of the same size either way: upright, unless it is said otherwise
    dataset = open_segments(tmp_path, exif="stored" if "stored" in whose and orientation < 5 else "auto")
    assert np.array_equal(np.asarray(dataset.picture(0).image)[..., 0], upright)
    assert np.array_equal(dataset.mask(0), upright)
    noted = "stored" in whose or ("upright" in whose and orientation < 5)
    assert any("EXIF turns" in note for note in dataset.notes) == noted


def test_unusable_input_is_refused(tmp_path):
    root = write(tmp_path / "set")
    grey(indices(0)[:, :-1]).save(root / "masks" / "a.png")
    (root / "masks" / "b.png").write_bytes((root / "masks" / "b.png").read_bytes()[:60])
    (root / "masks" / "c.png").write_bytes(b"")
    odd = indices(3)
    odd[1, :5], odd[2, :2] = 9, 200
    grey(odd).save(root / "masks" / "d.png")
    grey(indices(4)).save(root / "masks" / "z.png")
    (root / "masks" / "e.png").unlink()
    dataset = open_segments(root)
    messages = [
        "masks/a.png is a mask of 16 x 13 pixels and its picture images/a.png has 17 x 13; make a mask of the picture",
        "b.png is damaged or cut short",
        "c.png is empty",
        r"masks/d.png has the values 9 \(5 pixels\), 200 \(2 pixels\), of no class; 0 to 2, or 255 \(ignored\)",
    ]
    for i, message in enumerate(messages):
        with pytest.raises(DataError, match=message):
            dataset.mask(i)
    assert dataset.skipped == {
        "images/e.png": "images/e.png has no mask; add one or remove it",
        "masks/z.png": "masks/z.png is a mask without a picture; add the picture or remove it",
    }
    with pytest.raises(DataError, match=r"set: images/e.png has no mask; add one"):
        open_segments(root, on_error="fail")


def test_masks_of_several_pages(tmp_path):
    root = tmp_path / "set"
    for folder, mode in (("images", "RGB"), ("masks", "L")):
        (root / folder).mkdir(parents=True)
        for i in range(2):
            pages = [Image.new(mode, (7, 5), k) for k in range(3)]
            pages[0].putpixel((1, 1), 1 if mode == "L" else (9, 9, 9))
            pages[0].save(
                root / folder / f"{i}.tif", save_all=True, append_images=pages[1:] if i and mode == "L" else []
            )
    open_segments(root).mask(0)
    with pytest.raises(DataError, match=r"masks/1.tif holds 3 frames or pages; one mask a file expected"):
        open_segments(root).mask(1)
    Image.new("L", (7, 5), 1).save(root / "masks" / "1.tif", save_all=True, append_images=[Image.new("L", (3, 2))])
    assert open_segments(root).mask(1).unique().tolist() == [1]  # a smaller copy, as in pyramids


def test_lossy_and_transparent_masks(tmp_path):
    root = write(tmp_path / "set", mask_at="masks/{name}.jpg")
    with pytest.raises(DataError, match=r"a.jpg is a mask in JPEG, which changes values as it compresses; save"):
        open_segments(root).mask(0)
    see_through = Image.fromarray(np.stack([indices(0)] * 4, -1))
    root = write(tmp_path / "clear")
    see_through.save(root / "masks" / "a.png")
    with pytest.raises(DataError, match=r"a.png is partly transparent"):
        open_segments(root).mask(0)


def test_sources_without_a_data_set_are_refused(tmp_path):
    (tmp_path / "set").mkdir()
    picture(0).save(tmp_path / "set" / "a.png")
    with pytest.raises(DataError, match=r"holds no masks that can be read \(found: 1 .png\); images/ beside masks/"):
        open_segments(tmp_path / "set")
    root = write(tmp_path / "good")
    with pytest.raises(DataError, match=r"on_error=.maybe. was given"):
        open_segments(root, on_error="maybe")
    with pytest.raises(DataError, match=r"has no split 'train' \(found: none\)"):
        open_segments(root, "train")
    (root / "train.txt").write_text("a\nb\nmissing\n")
    assert open_segments(root, "train").skipped == {
        "train.txt, line 3": "train.txt, line 3 names missing, which is not a picture of the set; add or remove it"
    }


def test_a_validation_set_of_its_own(tmp_path):
    root = write(tmp_path / "set")
    other = write(tmp_path / "other", classes="car\nsky\n", masks=lambda i: indices(i, 2))
    train, val = segment_splits(root, val=other)
    assert train.classes == val.classes
    assert np.array_equal(val.mask(0), np.array([2, 0, *[255] * 254], np.uint8)[indices(0, 2)])
    unlisted = write(tmp_path / "unlisted", classes=None)
    train, val = segment_splits(root, val=unlisted)
    check(val)
    assert "names no classes: its values were taken for the numbers of the 3 expected" in val.notes[1]
    (other / "classes.txt").write_text("car\nboat\n")
    with pytest.raises(DataError, match=r"other has the classes boat, which are not among the expected \(sky, road"):
        segment_splits(root, val=other)


def test_a_split_without_masks_is_none(tmp_path):
    root = write(tmp_path / "set", "{split}/images/{name}.png", "{split}/masks/{name}.png", splits=SPLITS)
    for path in (root / "val" / "masks").iterdir():
        path.unlink()
    train, held = segment_splits(root)
    assert held.notes[-1].endswith("the split test is not used")
    letters = ["".join(name.rsplit("/", 1)[-1][0] for name in part.names) for part in (train, held)]
    assert sorted("".join(letters)) == list("abc")
    check(train, letters[0])


def test_camvids_frames_with_eleven_names_in_any_folders(tmp_path):
    root = tmp_path / "set"
    write(root, "images/0006R0_f0{name}.png", "masks/0006R0_f0{name}.png", masks=eleven, classes="\n".join(CAMVID))
    for path in list(root.rglob("*.png")):
        path.rename(path.with_name(f"0006R0_f{ord(path.stem[-1]):05}.png"))
    dataset = open_segments(root, on_error="fail")
    assert dataset.classes == list(CAMVID)
    assert all(np.array_equal(dataset.mask(i), void(i)) for i in range(5))
