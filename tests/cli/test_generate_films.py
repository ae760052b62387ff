"""`saccade generate --frames`: films on the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.film_files import read_embedded_settings
from saccade.data.film_frames import read_film
from saccade.tasks.generate.film_settings import FilmSettings
from saccade.tasks.generate.settings import Settings
from tests.tasks.generate import generators

RED = "a red star moving left"


@pytest.fixture(scope="module")
def painters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("painters")
    generators.film_task().save(folder / "films", scores={}, recipe={"frames": 9})
    generators.task().save(folder / "toy", scores={}, recipe={})
    return folder


@pytest.fixture
def paint(saccade, painters, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, model="films": saccade("generate", *arguments, "--model", painters / model, "--steps", 2)


def picture(path: Path, grey: int = 90) -> Path:
    Image.new("RGB", (24, 16), (grey, 10, 200)).save(path)
    return path


def test_a_film_with_its_settings(paint):
    done = paint(RED, "--frames", 6, "--seed", 7, "--fps", 12)
    assert (done.code, done.err) == (0, "")
    assert done.out == f'generated.mp4: "{RED}", seed 7, 6 frames of 24 x 16 pixels, 12 a second\n'
    film = read_film(Path("generated.mp4"))
    assert len(film.frames) == 6
    assert float(film.rate) == 12
    settings = Settings.from_metadata(Path("generated.mp4"))
    assert settings.film == FilmSettings(6, 12.0)
    again = paint("--like", "generated.mp4", "--out", "again.mp4")
    assert again.code == 0, again.err
    assert Path("again.mp4").read_bytes() == Path("generated.mp4").read_bytes()
    longer = paint("--like", "generated.mp4", "--frames", 8, "--out", "longer.gif", "--json")
    assert json.loads(longer.out)["pictures"][0]["num_frames"] == 8
    more = paint(RED, "--film", "longer.gif", "--frames", 2, "--out", "more.gif", "--json")
    [film] = json.loads(more.out)["pictures"]
    assert (film["num_frames"], film["frames"]) == (2, 10)
    assert Settings.from_metadata(Path("longer.gif")).film == FilmSettings(8, 12.0)
    assert "say how many frames, 2 or more" in paint("--like", "generated.mp4", "--frames", 1).err


def test_a_first_and_a_last_frame_are_kept(paint):
    first, last = picture(Path("first.png")), picture(Path("last.png"), 200)
    done = paint(RED, "--frames", 5, "--image", first, "--last", last, "--out", "film")
    assert done.code == 0, done.err
    names = [f"{i:04}.png" for i in range(5)]
    assert sorted(file.name for file in Path("film").iterdir()) == names
    for name, expected in ((names[0], first), (names[-1], last)):
        assert Image.open(Path("film") / name).tobytes() == Image.open(expected).tobytes()
    refused = paint("--like", "film", "--out", "again")
    assert "give it with --image" in refused.err
    assert not Path("again").exists()
    again = paint("--like", "film", "--image", first, "--last", last, "--out", "again")
    assert again.code == 0, again.err
    assert (Path("again") / names[2]).read_bytes() == (Path("film") / names[2]).read_bytes()
    other = paint("--like", "film", "--image", last, "--last", last, "--out", "other")
    assert other.code == 0, "options replace settings"
    assert "the settings are of first.png," in other.err
    assert "last.png" in other.err


def test_a_film_goes_on_again_and_again(paint):
    paint(RED, "--frames", 4, "--out", "0.webp")
    for i, frames in ((1, 7), (2, 10)):
        done = paint(RED, "--film", f"{i - 1}.webp", "--frames", 3, "--out", f"{i}.webp")
        assert done.code == 0, done.err
        assert "frames at 8 a second, painted on at 24 x 16 pixels" in done.err
        assert len(read_film(Path(f"{i}.webp")).frames) == frames
    before, after = (read_film(Path(f"{i}.webp")).frames for i in (1, 2))
    assert [frame.tobytes() for frame in after[:7]] == [frame.tobytes() for frame in before]


def test_a_film_goes_on_at_the_size_that_is_announced(paint):
    Image.new("RGB", (2000, 3)).save("strip.png")
    done = paint(RED, "--film", "strip.png", "--frames", 2, "--out", "film.gif")
    assert "1 frame at 10 a second, painted on at 504 x 8 pixels" in done.err
    assert "3 frames of 504 x 8 pixels" in done.out


def test_several_films_go_to_a_folder(paint):
    done = paint(RED, "--frames", 3, "--n", 3, "--seed", 1, "--out", "films")
    assert done.code == 0, done.err
    assert sorted(file.name for file in Path("films").iterdir()) == ["0.mp4", "1.mp4", "2.mp4"]
    assert "3 films, the first" in done.out
    assert "Seed: 3," in (read_embedded_settings(Path("films/2.mp4")) or "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((RED, "--frames", "0"), "--frames"),
        ((RED, "--frames", "10001"), "--frames"),
        ((RED, "--fps", "8"), "--fps is of a film"),
        ((RED, "--frames", "3", "--fps", "0"), "--fps"),
        ((RED, "--last", "a.png"), "--last goes with --frames"),
        ((RED, "--film", "a.png"), "--film goes with --frames"),
        ((RED, "--frames", "3", "--last", "a.png"), "--last goes with --image"),
        ((RED, "--frames", "3", "--film", "a.png", "--image", "a.png"), "goes on from --film, or begins with"),
        ((RED, "--frames", "3", "--image", "a.png", "--strength", "0.5"), "--strength is for pictures"),
        ((RED, "--frames", "3", "--grid", "g.png"), "--grid is for pictures"),
        ((RED, "--frames", "3", "--out", "film.avi"), "suffix"),
        ((RED, "--frames", "3", "--out", "nowhere/film.mp4"), "nowhere"),
        ((RED, "--frames", "10000", "--fps", "60", "--out", "film.gif"), "0.01 to 50 expected"),
        ((RED, "--frames", "3", "--film", "link.mp4"), "link.mp4 is a link to a file that does not exist"),
        ((RED, "--frames", "3", "--film", "empty.mp4"), "empty"),
        ((RED, "--frames", "3", "--film", "text.mp4"), "not a video"),
        ((RED, "--frames", "3", "--film", "missing.mp4"), "missing.mp4"),
        (("--like", "empty.mp4"), "empty"),
        (("--like", "plain"), "holds no settings"),
    ],
)
def test_bad_input_is_one_clear_line(paint, arguments, message):
    picture(Path("a.png"))
    Path("plain").mkdir()
    picture(Path("plain/0000.png"))
    Path("empty.mp4").write_bytes(b"")
    Path("text.mp4").write_text("no film")
    Path("link.mp4").symlink_to("nowhere.mp4")
    done = paint(*arguments)
    assert done.code != 0
    assert message in done.err
    assert "Traceback" not in done.err
    assert not Path("generated.mp4").exists()


def test_a_generator_of_pictures_says_that_it_paints_no_films(paint):
    done = paint(RED, "--frames", 3, model="toy")
    assert done.code != 0
    assert "paints pictures, not films" in done.err


def test_a_public_pipeline_makes_films(saccade, tmp_path, monkeypatch):
    pytest.importorskip("diffusers")
    from tests.tasks.generate import film_pipelines

    monkeypatch.chdir(tmp_path)
    film_pipelines.ltx().save_pretrained("ltx")
    command = ("generate", RED, "--model", "diffusers:ltx", "--steps", 2, "--height", 64, "--width", 96, "--seed", 3)
    done = saccade(*command, "--frames", 9, "--out", "film.gif")
    assert done.code == 0, done.err
    assert "9 frames of 96 x 64 pixels, 25 a second" in done.out
    again = saccade("generate", "--like", "film.gif", "--model", "diffusers:ltx", "--out", "again.gif")
    assert again.code == 0, again.err
    assert Path("again.gif").read_bytes() == Path("film.gif").read_bytes()
    first = picture(Path("first.png"))
    begun = saccade(*command, "--frames", 9, "--image", first, "--out", "begun.gif")
    assert begun.code == 0, begun.err
    assert Path("begun.gif").read_bytes() != Path("film.gif").read_bytes()
    refused = saccade(*command, "--frames", 8)
    assert refused.code != 0
    assert "9" in refused.err
    assert "--frames" in saccade(*command).err, "it makes no pictures"


def content(page: Path) -> dict:
    return json.loads(re.search(r'id="content">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)[1])


@pytest.mark.parametrize("known", ["nothing", "image", "film"])
def test_look(paint, known):
    """The page's film is that of the same command without it."""
    if known == "film":
        assert paint("a ring", "--frames", 4, "--seed", 3, "--out", "start.mp4").code == 0
    given = {"nothing": [], "image": ["--image", picture(Path("first.png"))], "film": ["--film", "start.mp4"]}[known]
    plain = paint(RED, "--frames", 6, "--seed", 7, *given, "--out", "plain/")
    assert plain.code == 0, plain.err
    done = paint(RED, "--frames", 6, "--seed", 7, *given, "--out", "looked/", "--look", "look.html", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["page"] == "look.html"
    frames = [
        [np.asarray(Image.open(f), int) for f in sorted(Path(name).glob("*.png"))] for name in ("looked", "plain")
    ]
    assert len(frames[1]) >= 6
    apart = [np.abs(a - b).max() for a, b in zip(*frames, strict=True)]
    assert max(apart) <= 1, "the same but for rounding: a recorded attention may sum in another order"
    targets = content(Path("look.html"))["targets"]
    assert (targets["kind"], bool(targets["known"])) == ("painted-film", known != "nothing")


def test_look_shows_one_film(paint):
    done = paint(RED, "--frames", 6, "--n", 2, "--look", "look.html")
    assert done.code == 2
    assert "--look shows one picture or film, and --n 2 paints more" in done.err
