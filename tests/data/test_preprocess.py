"""What a description of preprocessing may say."""

import math
from dataclasses import asdict

import pytest
from pydantic import TypeAdapter, ValidationError

from saccade.data.preprocess import Preprocess
from saccade.errors import SaccadeError

GREY = {"mean": (0.5,), "std": (0.5,)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (0, 7)}, "size holds 0"),
        ({"size": (7, 16385)}, "size holds 16385; expected whole numbers of pixels from 1 to 16384"),
        ({"size": (7.0, 7)}, "size holds 7.0"),
        ({"size": (True, 7)}, "size holds True"),
        ({"size": (7,)}, "size is"),
        ({"shortest": 0}, "shortest holds 0"),
        ({"detail": -1}, "detail holds -1"),
        ({"mean": (0.5,)}, "mean has 1 and std 3 values"),
        ({"mean": (0.5, 0.5), "std": (0.5, 0.5)}, "mean has 2 and std 2 values"),
        ({"mean": (), "std": ()}, "mean has 0 and std 0 values"),
        ({"mean": (0.5, math.nan, 0.5)}, "mean is .*nan.*; expected finite numbers$"),
        ({"std": (0.5, math.inf, 0.5)}, "std is .*inf.*; expected finite numbers above 0"),
        ({"std": (0.5, 0.0, 0.5)}, "std is .*; expected finite numbers above 0"),
        (GREY | {"std": (-0.5,)}, "std is"),
    ],
)
def test_invalid_fields_are_refused(changes, message):
    with pytest.raises(SaccadeError, match=message):
        Preprocess(**{"size": (5, 7)} | changes)


def test_read_from_json():
    adapter = TypeAdapter(Preprocess)
    for good in (Preprocess((1, 16384)), Preprocess((5, 7), "crop", 11, detail=3, **GREY)):
        assert adapter.validate_json(adapter.dump_json(good)) == good
        assert adapter.validate_python(asdict(good)) == good
    with pytest.raises(ValidationError, match="std is"):
        adapter.validate_python({"size": (5, 7), "std": (0.5, 0, 0.5)})
