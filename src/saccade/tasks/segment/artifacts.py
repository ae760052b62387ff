"""Masks and COCO annotations that `predict` writes."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from saccade.data import output
from saccade.tasks.artifacts import ArtifactWriter, Frame, output_paths
from saccade.tasks.coco_file import relative_names
from saccade.tasks.segment.coco import open_areas_writer
from saccade.tasks.segment.colours import index_png
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.task import BaseSegmentTask


class MaskWriter(ArtifactWriter):
    """Index PNGs of the classes: one for each picture, a folder of them for each video."""

    def __init__(self, folder: Path, files: Sequence[Path]):
        self.paths = output_paths(folder, files, "masks")

    def add(self, frame: Frame, result: Segmentation) -> None:
        path = self.paths[frame.file]
        if frame.video is not None:
            path = path / f"{frame.index:06}.png"
        output.write_png(path, index_png(result.mask))


class CocoWriter(ArtifactWriter):
    """The class areas of all pictures as one COCO JSON file, complete when the writer is left, or absent."""

    def __init__(self, out: Path, files: Sequence[Path], task: BaseSegmentTask):
        output.check_writable(out, files)
        self.message = f"The areas are in {out}"
        self._names = relative_names(files, "coco")
        self._writing = open_areas_writer(out, task.labels, f"class areas predicted by {task.name}")

    def __enter__(self) -> Self:
        self._areas = self._writing.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.__exit__(kind, error, trace)

    def add(self, frame: Frame, result: Segmentation) -> None:
        name = self._names[frame.file]
        self._areas.add(name if frame.video is None else f"{name}/{frame.index:06}.png", result.mask)
