"""Training on films: drawn ones beside pictures, and films on disk."""

from fractions import Fraction

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from saccade.data.film_files import write_film
from saccade.data.films import film_splits, holds_films
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.errors import DataError, UsageError
from saccade.tasks.generate.batches import KnownFrameCounts, known_clips, normalize_pixels, random_known_frames
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.training import GenerateTraining
from saccade.tasks.generate.training_films import FilmsToPaint, SceneFilms

TINY = {"size": 32, "width": 32, "depth": 2, "text_width": 32, "text_depth": 1, "refine": 5}
CPU = Device(torch.device("cpu"), False, 0, 1)


def scenes(n: int = 24, seed: int = 0) -> Scenes:
    return Scenes(n, 32, seed, objects=(1, 2), combinations="seen")


def training(**options) -> GenerateTraining:
    recipe = GenerateRecipe(**{**TINY, "film_share": 0.4, "frames": 5, **options})
    return GenerateTraining(scenes(), scenes(4, 1), recipe)


def test_a_step_has_a_batch_of_pictures_and_one_of_films():
    task = training(picture_share=0.5)
    shards = [task.batch(torch.arange(5), torch.Generator().manual_seed(i), 0.3) for i in range(3)]
    pictures, films = task.collate(shards)
    assert pictures.pictures.shape == (9, 1, 3, 32, 32)
    assert films.pictures.shape == (6, 5, 3, 32, 32)
    assert not films.sources["picture"].present.any()
    assert films.known == shards[1][1].known, "the same frames are known in all shards of a step"
    assert films.t.shape[1] == (5 - films.known.before + 1) // 2
    assert (films.t == films.t[:, :1]).all()


def test_every_kind_of_known_frames_is_drawn():
    generator = torch.Generator().manual_seed(0)
    drawn = {random_known_frames(9, generator) for _ in range(300)}
    expected = {KnownFrameCounts(), KnownFrameCounts(1, last=True), *(KnownFrameCounts(n) for n in (1, 3, 5, 7))}
    assert drawn == expected
    assert {random_known_frames(3, generator) for _ in range(99)} == {
        KnownFrameCounts(),
        KnownFrameCounts(1),
        KnownFrameCounts(1, last=True),
    }
    assert random_known_frames(1, generator) == KnownFrameCounts()


def test_known_frames_are_clips_of_the_film():
    film = normalize_pixels(torch.randint(256, (2, 5, 3, 8, 8), dtype=torch.uint8))
    first, last = known_clips(film, KnownFrameCounts(1, last=True))
    assert torch.equal(first.pixels, film[:, :1])
    assert torch.equal(last.pixels, film[:, 4:])
    assert (first.first, last.first) == (0, 4)
    (both,) = known_clips(film, KnownFrameCounts(3))
    assert torch.equal(both.pixels, film[:, :3])
    assert known_clips(film, KnownFrameCounts()) == ()


@pytest.mark.parametrize("progress", [0.1, 0.2, 0.3, 0.4, 0.5])
def test_the_loss_reaches_the_weights_of_films(progress):
    task = training()
    with torch.no_grad():  # gates are 0 at first
        for parameter in task.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    batch = task.collate([task.batch(torch.arange(5), torch.Generator(), progress)])
    task.loss(task.model, batch, torch.device("cpu")).backward()
    for module in (task.model.embed.second, task.model.out.second, task.model.refine.first):
        assert module.weight.grad.abs().amax() > 0


def test_scores_of_pictures_and_films_apart():
    task = training()
    found = task.evaluate(task.model, CPU)
    assert set(found) == {"r2", "velocity error", "film r2", "film velocity error"}


def test_a_generator_of_pictures_learns_films(tmp_path):
    pictures = GenerateTraining(scenes(), scenes(4, 1), GenerateRecipe(**TINY))
    assert pictures.model.embed.second is None
    pictures.save(pictures.model, tmp_path / "model", {})
    start = pictures.trained(pictures.model, "pictures")
    films = GenerateTraining(scenes(), scenes(4, 1), GenerateRecipe(**TINY, film_share=0.5), pretrained=start)
    assert films.model.config.films
    for module in (films.model.embed, films.model.out):
        assert torch.equal(module.second.weight, module.first.weight), "a tube begins as two equal frames"
    further = GenerateTraining(
        scenes(), scenes(4, 1), GenerateRecipe(**TINY), pretrained=films.trained(films.model, "films")
    )
    assert further.model.config.films
    assert not further.model.embed.second.weight.requires_grad, "no sample uses it"


def test_slow_and_whole_films_show_what_their_captions_say():
    source = SceneFilms(scenes(), GenerateRecipe(**TINY, frames=5))
    samples = source.samples(torch.arange(9), (32, 32), torch.Generator().manual_seed(0))
    again = source.samples(torch.arange(9), (32, 32), torch.Generator().manual_seed(0))
    assert torch.equal(samples.pictures, again.pictures)
    assert samples.captions == again.captions
    assert len({film.numpy().tobytes() for film in samples.pictures}) == 9


@pytest.fixture
def folder(tmp_path):
    rows = ["file_name,text"]
    for i in range(6):
        film = scenes().film(i, 7)
        write_film(tmp_path / f"{i}.gif", [Image.fromarray(frame) for frame in film.frames], Fraction(8))
        rows.append(f'{i}.gif,"{film.captions["en"]}"')
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    return tmp_path


def test_films_on_disk(folder):
    assert holds_films(folder)
    train, val = film_splits(folder, None, 0.2)
    recipe = GenerateRecipe(**TINY, frames=5)
    source = FilmsToPaint(train, recipe, (32, 32))
    samples = source.samples(torch.tensor([0, 2]), (32, 32), torch.Generator().manual_seed(0))
    assert samples.pictures.shape == (2, 5, 3, 32, 32)
    assert samples.captions == [train.captions(i)[0] for i in (0, 2)]
    task = GenerateTraining(train, val, recipe)
    assert task.model.config.films
    batch = task.collate([task.batch(torch.arange(3), torch.Generator(), 0.5)])
    assert torch.isfinite(task.loss(task.model, batch, torch.device("cpu")))
    found = task.evaluate(task.model, CPU)
    assert found["r2"] == found["film r2"]


def test_folders_of_films_and_pictures_are_told_apart(folder, tmp_path_factory):
    pictures = tmp_path_factory.mktemp("pictures")
    for i in range(3):
        Image.new("RGB", (8, 8)).save(pictures / f"{i}.webp")
    assert not holds_films(pictures)
    assert holds_films(folder / "metadata.csv")
    Image.new("RGB", (8, 8)).save(folder / "still.png")
    with pytest.raises(DataError, match=r"holds films .* and pictures"):
        holds_films(folder)


def test_what_films_are_not_trained_with(folder):
    train, val = film_splits(folder, None, 0.2)
    with pytest.raises(UsageError, match="--film-share is of drawn scenes"):
        GenerateTraining(train, val, GenerateRecipe(**TINY, film_share=0.5, frames=5))
    with pytest.raises(ValidationError, match="odd number"):
        GenerateRecipe(frames=16)


@pytest.mark.parametrize("progress", [0.1, 0.2, 0.3, 0.4, 0.5])
def test_mean_flow_learns_films_too(progress):
    start = training()
    recipe = GenerateRecipe(**TINY, film_share=0.5, frames=5, objective="mean-flow", split_share=0.4)
    task = GenerateTraining(scenes(), scenes(4, 1), recipe, pretrained=start.trained(start.model, "start"))
    with torch.no_grad():  # gates are 0 at first
        for parameter in task.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    batches = task.collate([task.batch(torch.arange(10), torch.Generator(), progress)])
    loss = task.loss(task.model, batches, torch.device("cpu"))
    loss.backward()
    assert torch.isfinite(loss)
    assert task.model.interval.project.weight.grad.abs().amax() > 0
    assert task.model.embed.second.weight.grad.abs().amax() > 0
