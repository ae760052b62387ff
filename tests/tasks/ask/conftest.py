"""Tiny models that write, made once."""

import pytest

pytest.importorskip("transformers")

from saccade.tasks.public_loading import load_vlm

from .models import save


@pytest.fixture(scope="session")
def task_of(tmp_path_factory):
    """The task of a family, by name."""
    made = {}

    def task(family):
        if family not in made:
            made[family] = load_vlm(save(family, tmp_path_factory.mktemp(family)))
        return made[family]

    return task
