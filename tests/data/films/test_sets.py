"""Films with captions in every form."""

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.film_files import write_film
from saccade.data.films import FilmSet, film_splits, open_films
from saccade.data.films.sets import check_length, read_resized_frames
from saccade.errors import DataError

from .. import tiny_videos

RATE = Fraction(8)


def frames_of(
    dataset: FilmSet, index: int, count: int, size: tuple[int, int], rate: Fraction, start: Fraction = Fraction(0)
) -> np.ndarray:
    """`count` frames of a film, as training reads them."""
    with dataset.film(index, rate) as film:
        frames, _ = read_resized_frames(film, size, rate, count, start)
    check_length(dataset.path(index), len(frames), count, rate)
    return frames


def grey(i: int, size: tuple[int, int] = (19, 13)) -> Image.Image:
    return Image.new("RGB", size, (10 * i,) * 3)


def film(out: Path, count: int = 5, rate: Fraction = RATE) -> Path:
    """Frame i has grey level 10 i, in the format of the suffix; a folder that is there is filled."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix in (".mkv", ".mov", ".avi", ".webm"):
        codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(out.suffix, "libx264")
        return tiny_videos.film(out, count, codec=codec)
    write_film(out, [grey(i) for i in range(count)], rate)
    return out


FILES = ["a.mp4", "b.mkv", "c.webm", "d.mov", "e.avi", "f.gif", "g.webp", "clips/h"]
TEXTS = {name: f"film {i} moves" for i, name in enumerate(FILES)}


def table(separator: str, header: tuple[str, str]) -> str:
    rows = [header, *TEXTS.items()]
    return "".join(f"{separator.join(row)}\n" for row in rows)


def beside(root: Path) -> None:
    for name, text in TEXTS.items():
        (root / name).with_suffix(".txt").write_text(f"{text}\n")


FORMS: dict[str, Callable[[Path], object]] = {
    "CSV": lambda root: (root / "metadata.csv").write_text(table(",", ("file_name", "text"))),
    "TSV": lambda root: (root / "captions.tsv").write_text(table("\t", ("path", "caption"))),
    "JSON lines": lambda root: (root / "metadata.jsonl").write_text(
        "".join(json.dumps({"file_name": name, "text": text}) + "\n" for name, text in TEXTS.items())
    ),
    "text files": beside,
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film in every format."""
    root = tmp_path_factory.mktemp("films")
    for name in FILES:
        film(root / name)
    return root


@pytest.mark.parametrize("form", FORMS)
def test_captions_in_every_form_of_films_in_every_format(form: str, films: Path, tmp_path: Path):
    root = tmp_path / "set"
    shutil.copytree(films, root)
    FORMS[form](root)
    dataset = open_films(root)
    assert {name: dataset.captions(i) for i, name in enumerate(dataset.names)} == {n: (t,) for n, t in TEXTS.items()}
    assert form in dataset.notes[0]
    assert "8 films, 8 captions" in dataset.notes[0]
    assert not dataset.skipped
    for i in range(len(dataset)):
        frames = frames_of(dataset, i, 2, (11, 11), RATE)
        assert (frames.shape, frames.dtype) == ((2, 11, 11, 3), np.uint8)


def test_frames_are_chosen_by_time_resized_and_cropped(tmp_path: Path):
    film(tmp_path / "a.gif", 16, Fraction(16)), (tmp_path / "a.txt").write_text("words of it")
    dataset = open_films(tmp_path)
    levels = frames_of(dataset, 0, 4, (7, 11), RATE, start=Fraction(1, 4)).mean((1, 2, 3))
    assert levels.tolist() == [40, 60, 80, 100]
    with pytest.raises(DataError, match=r"a\.gif is too short: 8 frames at 8 per second, 9 expected"):
        frames_of(dataset, 0, 9, (7, 11), RATE)
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = (255, 0, 0)
    write_film(tmp_path / "wide.webp", [Image.fromarray(picture)] * 2, RATE)
    wide = open_films(tmp_path)
    centre = frames_of(wide, wide.names.index("wide.webp"), 2, (10, 10), RATE)
    assert np.array_equal(centre, np.broadcast_to(np.array((255, 0, 0), np.uint8), (2, 10, 10, 3)))


def test_films_without_a_caption_are_kept_and_named(tmp_path: Path):
    for name in ("a.mp4", "b.gif", "clips/c"):
        film(tmp_path / name)
    (tmp_path / "metadata.csv").write_text("file_name,text\na.mp4,a thing moves\nclips/c,  \n")
    dataset = open_films(tmp_path)
    captions = {name: dataset.captions(i) for i, name in enumerate(dataset.names)}
    assert captions == {"a.mp4": ("a thing moves",), "clips/c": (), "b.gif": ()}
    assert any("2 films have no caption and are used without one: clips/c, b.gif" in note for note in dataset.notes)
    assert any("blank caption" in why for why in dataset.skipped.values())
    kept = dataset.readable_captions(lambda text: None)
    assert kept.names == dataset.names
    with pytest.raises(DataError, match="blank caption"):
        open_films(tmp_path, on_error="fail")


def test_a_folder_of_films_alone(tmp_path: Path):
    film(tmp_path / "x" / "10.mp4"), film(tmp_path / "x" / "2.gif"), film(tmp_path / "y")
    dataset = open_films(tmp_path)
    assert dataset.names == ["x/2.gif", "x/10.mp4", "y"]
    assert all(dataset.captions(i) == () for i in range(3))
    assert any("3 films have no caption" in note for note in dataset.notes)


def test_a_point_in_the_name_of_a_folder_is_no_suffix(tmp_path: Path):
    (tmp_path / "clip_0.5s").mkdir()
    film(tmp_path / "clip_0.5s"), film(tmp_path / "b.gif")
    (tmp_path / "clip_0.5s.txt").write_text("half a second of it")
    dataset = open_films(tmp_path)
    assert {name: dataset.captions(i) for i, name in enumerate(dataset.names)} == {
        "clip_0.5s": ("half a second of it",),
        "b.gif": (),
    }
    (tmp_path / "clip_0.5s.txt").unlink()
    (tmp_path / "captions.csv").write_text("stem,text\nclip_0.5s,by its stem\nb,another\n")
    assert sorted(open_films(tmp_path).captions(i) for i in range(2)) == [("another",), ("by its stem",)]


def test_which_folders_are_films(tmp_path: Path):
    """Pictures with captions, animations with numbers for names and thumbnails are not."""
    film(tmp_path / "frames"), film(tmp_path / "animations" / "1.webp"), film(tmp_path / "animations" / "2.webp")
    for name in ("described/1.png", "named/cat.png", "beside/1.png"):
        (tmp_path / name).parent.mkdir()
        grey(1).save(tmp_path / name)
    (tmp_path / "described" / "1.txt").write_text("a cat")
    (tmp_path / "beside" / "metadata.csv.bak").write_text("no table")
    from saccade.data.films.store import FilmStore

    store = FilmStore(tmp_path)
    assert store.films == ["animations/1.webp", "animations/2.webp", "beside", "frames"]
    assert "named/cat.png" in store.files
    assert not any(name.startswith("frames/") for name in store.files)


def test_a_table_can_name_an_animated_png(tmp_path: Path):
    grey(1).save(tmp_path / "a.png", save_all=True, append_images=[grey(2)], duration=125)
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,it grows lighter\n")
    assert frames_of(open_films(tmp_path), 0, 2, (5, 5), RATE).mean((1, 2, 3)).tolist() == [10, 20]


def test_films_with_a_caption_in_common_are_held_out_together(tmp_path: Path):
    for i in range(12):
        film(tmp_path / f"{i}.gif", 2)
        (tmp_path / f"{i}.txt").write_text(f"thing {i // 2} moves")
    train, val = film_splits(tmp_path, val_fraction=0.3, seed=1)
    assert len(train) + len(val) == 12
    assert len(val) == 4
    both = [{dataset.captions(i) for i in range(len(dataset))} for dataset in (train, val)]
    assert not both[0] & both[1]
    assert film_splits(tmp_path, val_fraction=0.3, seed=1)[1].names == val.names


def test_splits_by_folder(tmp_path: Path):
    for split in ("train", "val"):
        film(tmp_path / split / "0001")
        (tmp_path / split / "0001.txt").write_text(f"{split} film")
    train, val = film_splits(tmp_path)
    assert (train.captions(0), val.captions(0)) == (("train film",), ("val film",))


def test_sources_that_hold_no_films(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no films \(found: nothing\)"):
        open_films(tmp_path / "empty")
    with pytest.raises(DataError, match="does not exist"):
        open_films(tmp_path / "none")
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.tar is a file; .* unpack"):
        open_films(tmp_path / "a.tar")
    film(tmp_path / "set" / "a.gif")
    (tmp_path / "set" / "metadata.csv").write_text("file_name,label\na.gif,3\n")
    with pytest.raises(DataError, match="file_name, label"):
        open_films(tmp_path / "set")
    (tmp_path / "set" / "metadata.csv").write_text("file_name,text\n../../a.gif,out of it\n")
    with pytest.raises(DataError, match="outside the set"):
        open_films(tmp_path / "set")
