"""One vector a picture."""

import pytest
import torch
from pydantic import ValidationError

from saccade.models import Embedder, EmbedderConfig

VIT = {"block": {"width": 12, "heads": 2, "hidden": 24}, "depth": 2, "patch": 4, "grid": (2, 3)}


def test_it_is_the_projected_class_token():
    model = Embedder(EmbedderConfig.model_validate({"vit": VIT, "width": 5})).eval()
    picture = torch.randn(2, 3, 9, 13)
    expected = model.vit(picture)[:, 0] @ model.project.weight.T
    torch.testing.assert_close(model(picture), expected)
    assert EmbedderConfig.model_validate_json(model.config.model_dump_json()) == model.config


def test_it_needs_a_class_token():
    with pytest.raises(ValidationError, match="reads the class token, and the vit has none"):
        EmbedderConfig.model_validate({"vit": {**VIT, "cls": False}, "width": 5})
