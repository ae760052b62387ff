"""Pictures and class folders made on the fly."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def noise(rows: int, columns: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """make_folder({"cat": 3, "dog": 2}, name) -> a folder with that many small pictures a class."""

    def make(counts: dict[str, int], name: str = "set") -> Path:
        for i, (kind, count) in enumerate(counts.items()):
            (tmp_path / name / kind).mkdir(parents=True)
            for j in range(count):
                noise(5, 7, seed=100 * i + j).save(tmp_path / name / kind / f"{j + 1}.png")
        return tmp_path / name

    return make


def pack(folder: Path, tar: Path, mode: str, prefix: str = ".") -> Path:
    with tarfile.open(tar, mode) as file:
        file.add(folder, arcname=prefix)
    return tar
