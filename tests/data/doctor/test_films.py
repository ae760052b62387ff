"""Films with captions, as the doctor sees them."""

from fractions import Fraction

import pytest
from PIL import Image

from saccade.data.doctor import examine, open_parts, write_clean
from saccade.data.film_files import write_film
from saccade.errors import DataError

from .. import tiny_videos


def film(path, count=5, red=0):
    frames = [Image.new("RGB", (32, 24), (red, 40 * i, 0)) for i in range(count)]
    write_film(path, frames, Fraction(10))
    return path


@pytest.fixture
def root(tmp_path):
    for name, red in (("a.mp4", 0), ("b.mp4", 90), ("c.gif", 180)):
        film(tmp_path / name, red=red)
    (tmp_path / "metadata.csv").write_text("file_name,text\na.mp4,one\nb.mp4,two\nc.gif,three\n")
    return tmp_path


def kinds(report):
    return {each.kind: each.places for each in report.findings}


def test_sound_films(root):
    examined = examine(root)
    report = examined.report
    assert (report.items, report.format, kinds(report)) == ("films", "captions in CSV", {})
    assert report.splits["all"].to_dict() == {
        "pictures": 3,
        "objects": {},
        "captions": 3,
        "seconds": pytest.approx(1.5),
    }
    assert report.sizes == {(24, 32): 3}
    (films,) = open_parts(examined).values()
    assert films.captions(1) == ("two",)


def test_what_is_wrong_with_films(root):
    data = (root / "b.mp4").read_bytes()
    (root / "b.mp4").write_bytes(data[:60])
    (root / "d.mp4").write_bytes((root / "a.mp4").read_bytes())
    film(root / "e.gif", 1)
    tiny_videos.film(root / "f.mkv", 3, times=[0, 40, 4_000_000], time_base=tiny_videos.MS)
    found = kinds(examine(root).report)
    assert [place.split(":")[0] for place in found.pop("picture unreadable")] == ["b.mp4"]
    assert found.pop("picture repeated") == ["d.mp4 = a.mp4"]
    assert found.pop("film still") == ["e.gif"]
    assert "time stamps jump" in found.pop("film noted")[0]
    assert sorted(found.pop("picture uncaptioned")) == ["d.mp4", "e.gif", "f.mkv"]
    assert "holds films (a.mp4) and pictures (e.gif)" in found.pop("structure")[0]
    assert not found


def test_films_without_captions_and_pictures_beside_a_film(root):
    (root / "metadata.csv").unlink()
    assert examine(root).report.format == "films without captions"
    for name in ("red", "blue"):
        (root / "set" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (9, 7), name).resize((9 + i, 7)).save(root / "set" / name / f"{i}.png")
    film(root / "set" / "clip.mp4")
    assert examine(root / "set").report.format == "class folders"


@pytest.mark.parametrize("captioned", [True, False])
def test_a_clean_copy_is_not_written(root, tmp_path, captioned):
    if not captioned:
        (root / "metadata.csv").unlink()
    with pytest.raises(DataError, match=r"no clean copy of films is written; correct the files that .* names"):
        write_clean(examine(root), tmp_path / "clean")
    assert not (tmp_path / "clean").exists()
