"""Films with captions: videos, animated pictures and folders of frames."""

from saccade.data.films.arrays import FilmArrays, prepare_films
from saccade.data.films.sets import FilmSet, film_splits, open_films
from saccade.data.films.store import holds_films

__all__ = ["FilmArrays", "FilmSet", "film_splits", "holds_films", "open_films", "prepare_films"]
