"""Films decoded once for training."""

import gc
import os
import pickle
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image

from saccade.data.film_files import write_film
from saccade.data.films import FilmSet, open_films, prepare_films
from saccade.data.films import arrays as module
from saccade.errors import DataError, SaccadeError

RATE = Fraction(8)
SIZE = (7, 11)
FRAME = 3 * 7 * 11  # bytes


def film(out: Path, first: int, count: int, rate: Fraction = RATE, size: tuple[int, int] = (23, 17)) -> None:
    write_film(out, [Image.new("RGB", size, (first + i,) * 3) for i in range(count)], rate)
    out.with_suffix(".txt").write_text(f"film {out.stem} moves")


@pytest.fixture
def dataset(tmp_path: Path) -> FilmSet:
    film(tmp_path / "a.webp", 0, 9)
    film(tmp_path / "b.gif", 100, 12, Fraction(16))
    film(tmp_path / "c.mp4", 200, 7, size=(31, 13))
    return open_films(tmp_path)


def levels(clips: torch.Tensor) -> list[list[int]]:
    return clips.float().mean((2, 3, 4)).round().int().tolist()


def test_films_are_at_the_rate_and_size_of_the_model(dataset: FilmSet):
    films, kept = prepare_films(dataset, 5, SIZE, RATE)
    assert kept == [0, 1, 2]
    assert films.names == dataset.names
    assert films.captions == [("film a moves",), ("film b moves",), ("film c moves",)]
    assert [films.film(i).shape for i in range(3)] == [(9, 3, 7, 11), (6, 3, 7, 11), (7, 3, 7, 11)]
    clips = films.clips([1, 0])
    assert clips.shape == (2, 5, 3, 7, 11)
    assert clips.dtype == torch.uint8
    assert levels(clips) == [[100, 102, 104, 106, 108], [0, 1, 2, 3, 4]]


def test_clips_start_anywhere_and_are_drawn_by_the_generator(dataset: FilmSet):
    films, _ = prepare_films(dataset, 5, SIZE, RATE)
    generator = torch.Generator().manual_seed(3)
    starts = {levels(films.clips([0], generator))[0][0] for _ in range(60)}
    assert starts == {0, 1, 2, 3, 4}
    same = [films.clips(torch.tensor([0, 1, 2]), torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*same)


@pytest.mark.parametrize("budget", [0, 10 * FRAME, 1 << 20])
def test_what_does_not_fit_into_memory_is_mapped(budget: int, dataset: FilmSet, tmp_path: Path, monkeypatch):
    expected, _ = prepare_films(open_films(dataset.path(0).parent), 2, SIZE, RATE)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    films, _ = prepare_films(dataset, 2, SIZE, RATE, budget)
    mapped = budget < 1 << 20
    assert (films.frames.file is not None) == mapped
    assert any("decoded frames are in a file" in note for note in dataset.notes) == mapped
    for i in range(3):
        assert torch.equal(films.film(i), expected.film(i)[: len(films.film(i))])
    assert torch.equal(films.clips([2, 0, 1]), expected.clips([2, 0, 1]))
    assert len(os.listdir(tmp_path / "temporary")) == mapped
    del films
    gc.collect()
    assert not os.listdir(tmp_path / "temporary")


def test_processes_share_mapped_frames(dataset: FilmSet):
    """A process that is sent them gets their file and not their bytes, and leaves it when it ends."""
    films, _ = prepare_films(dataset, 2, (64, 64), RATE, budget=0)
    sent = pickle.dumps(films)
    assert len(sent) < 2000 < films.frames.pixels.numel()
    there = pickle.loads(sent)
    assert torch.equal(there.clips([1, 2]), films.clips([1, 2]))
    del there
    gc.collect()
    assert films.frames.file is not None
    assert films.frames.file.exists()
    assert torch.equal(pickle.loads(sent).clips([1, 2]), films.clips([1, 2]))
    in_memory, _ = prepare_films(dataset, 2, (64, 64), RATE)
    assert torch.equal(pickle.loads(pickle.dumps(in_memory)).clips([1, 2]), films.clips([1, 2]))


def test_long_films_are_kept_up_to_a_length(tmp_path: Path):
    film(tmp_path / "long.webp", 0, 50)
    film(tmp_path / "short.webp", 0, 3)
    dataset = open_films(tmp_path)
    films, _ = prepare_films(dataset, 2, SIZE, RATE, budget=20 * FRAME)
    assert [len(films.film(i)) for i in range(2)] == [10, 3]
    assert any("1 films of which the first 1.25 s are used: long.webp" in note for note in dataset.notes)


def test_what_the_films_have_is_said_beside_what_the_model_takes(dataset: FilmSet):
    prepare_films(dataset, 6, SIZE, Fraction(12))
    assert any(
        "8 to 16 frames per second, last 0.75 to 1.12 s and are 23 to 32 x 14 to 17 pixels; "
        "the model takes 6 frames at 12 per second (0.5 s) of 11 x 7" in note
        for note in dataset.notes
    )
    assert any(
        "2 films with fewer than 12 frames per second, some of them repeated: a.webp, c.mp4" in note
        for note in dataset.notes
    )


def test_films_that_are_too_short_or_broken_are_left_out_and_named(tmp_path: Path):
    film(tmp_path / "a.gif", 0, 5)
    film(tmp_path / "one.mp4", 0, 1)
    for name, content in {"empty.mp4": b"", "words.mp4": b"no film", "words.gif": b"none"}.items():
        (tmp_path / name).write_bytes(content)
    dataset = open_films(tmp_path)
    films, kept = prepare_films(dataset, 5, SIZE, RATE)
    assert [dataset.names[i] for i in kept] == films.names == ["a.gif"]
    assert sorted(dataset.skipped) == ["empty.mp4", "one.mp4", "words.gif", "words.mp4"]
    assert "too short: 1 frames at 8 per second, 5 expected" in dataset.skipped["one.mp4"]
    assert any("1 films that are too short, left out: one.mp4" in note for note in dataset.notes)
    with pytest.raises(DataError, match=r"one\.mp4 is too short|words|empty"):
        prepare_films(open_films(tmp_path, on_error="fail"), 5, SIZE, RATE)
    with pytest.raises(DataError, match=r"no film of .* could be read"):
        prepare_films(dataset.subset([dataset.names.index("one.mp4")]), 5, SIZE, RATE)


def test_a_full_disk_is_no_fault_of_a_film(dataset: FilmSet, monkeypatch: pytest.MonkeyPatch):
    class Full:
        name = str(dataset.path(0).parent / "none")

        def close(self) -> None: ...

        def write(self, data: Sequence[int]) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "NamedTemporaryFile", lambda **_: Full())
    with pytest.raises(SaccadeError, match=r"No space left on device.*TMPDIR") as raised:
        prepare_films(dataset, 5, SIZE, RATE, budget=0)
    assert not isinstance(raised.value, DataError)
    assert not dataset.skipped
