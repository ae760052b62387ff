"""Search by a graph of near neighbours, beside the exact one."""

import sys

import pytest
import torch

from saccade.errors import DataError, SaccadeError
from saccade.tasks.match.index import FileEntry, PictureIndex
from saccade.tasks.match.neighbour_graph import NeighbourGraph, graph_file, import_usearch


def index(n=1009, width=61, model="m"):
    """Vectors with a common mean, as those of pictures have."""
    vectors = torch.randn(n, width, generator=torch.Generator().manual_seed(0)) + 1
    entries = tuple(FileEntry(f"{i}.png", i, 1) for i in range(n))
    return PictureIndex(model, entries, torch.nn.functional.normalize(vectors, dim=1))


def test_without_usearch(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch", None)
    with pytest.raises(SaccadeError, match=r"usearch, which is not installed: pip install '.\[search\]'"):
        import_usearch()


def test_the_file_is_of_these_pictures_and_this_model(tmp_path):
    one = graph_file(index(7), tmp_path / "photos-12.34.safetensors")
    assert one == graph_file(index(7), tmp_path / "photos-12.34.safetensors")
    assert one.parent == tmp_path
    assert one.name.startswith("photos-12.34.")
    others = [index(6), index(7, model="other"), index(7).take(torch.tensor([1, 0, 2, 3, 4, 5, 6]))]
    assert len({one, *(graph_file(each, tmp_path / "photos-12.34.safetensors") for each in others)}) == 4


class TestGraph:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("usearch")

    def test_nearly_all_of_the_nearest_are_found(self, tmp_path):
        pictures = index()
        graph = NeighbourGraph.open_or_build(pictures, tmp_path / "i.safetensors")
        found = [len({*graph.nearest(v, 10).tolist()} & {*(pictures.vectors @ v).topk(10).indices.tolist()})
                 for v in index(53).vectors.flip(1)]  # fmt: skip
        assert sum(found) / 530 > 0.97
        assert graph.nearest(pictures.vectors[5], 3)[0] == 5
        assert 1000 <= len(graph.nearest(pictures.vectors[5], 5000)) <= len(pictures)

    def test_a_graph_is_kept_until_the_pictures_change(self, tmp_path):
        file = tmp_path / "i.safetensors"
        NeighbourGraph.open_or_build(index(101), file)
        (tmp_path / "i.other.usearch").touch()
        (written,) = tmp_path.glob("i.????????????????.usearch")
        before = written.stat().st_mtime_ns
        again = NeighbourGraph.open_or_build(index(101), file)
        assert written.stat().st_mtime_ns == before
        torch.testing.assert_close(again.nearest(index(101).vectors[7], 1), torch.tensor([7]))
        NeighbourGraph.open_or_build(index(103), file)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {graph_file(index(103), file).name, "i.other.usearch"}, "the one of before is deleted"

    def test_a_file_that_is_no_graph(self, tmp_path):
        graph_file(index(11), tmp_path / "i").write_bytes(b"no graph at all, of any library")
        with pytest.raises(DataError, match=r"is no graph of usearch .*: delete it"):
            NeighbourGraph.open_or_build(index(11), tmp_path / "i")

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        with pytest.raises(DataError, match="cannot be written"):
            NeighbourGraph.open_or_build(index(11), tmp_path / "missing" / "i")
