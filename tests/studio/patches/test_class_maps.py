"""Class maps: relevance (eq. 5 and 6 of Chefer et al. 2021) as with whole maps; scores tell good maps from bad ones."""

import json

import pytest
import torch
from torch import nn

from saccade.data import Picture
from saccade.data.preprocess import Preprocess
from saccade.errors import SaccadeError
from saccade.lens import TokenMap, watch
from saccade.models import Classifier
from saccade.studio.look import look
from saccade.studio.patches import class_maps as module
from saccade.studio.patches.class_maps import class_maps
from saccade.studio.views import LookOptions
from saccade.tasks import ClassifyTask

from ...tasks import tiny
from ..node import needs_node
from .test_features import in_node


def red(size=(23, 19)):
    return Picture(tiny.picture("red", size=size), "red.png", ())


def task(pool="cls"):
    torch.manual_seed(0)
    config = tiny.config().model_copy(update={"pool": pool})
    model = Classifier(config).eval()
    nn.init.normal_(model.head.weight, std=0.5)
    return ClassifyTask(model, Preprocess((16, 16), "crop"), pool, labels=list(tiny.COLOURS))


def whole_relevance(model, inputs, index, start):
    """R ← R + ĀR with whole maps and their gradients from autograd."""
    chain = torch.eye(len(start), dtype=torch.float64)
    with watch(model, gradients=True) as trace, torch.enable_grad():
        model(inputs)[0, index].backward()
    for call in trace:
        gradient = call.gradient.value(call.name)[0].double() @ call.v[0].double().mT
        chain = chain + (gradient * call.weights()[0].double()).clamp_min(0).mean(dim=0) @ chain
    return start.double() @ (chain - torch.eye(len(start)))


@pytest.mark.parametrize(("pool", "source"), [("cls", "token"), ("mean", "mean"), ("cls+mean", "both")])
def test_the_map_is_the_relevance_of_what_the_classes_are_read_from(pool, source):
    one = task(pool)
    found = look(one, red(), LookOptions(classes=["blue"]))
    maps = found.extras.classes
    assert maps.source == source
    start = torch.zeros(17)
    start[0] = {"cls": 1, "mean": 0, "cls+mean": 0.5}[pool]
    start[1:] += (1 - start[0]) / 16
    assert maps.maps[0].label == "blue"
    for each in maps.maps:
        expected = whole_relevance(one.model, one.preprocess(red().image)[None], each.index, start)
        torch.testing.assert_close(each.relevance, expected / expected.sum(), rtol=1e-4, atol=1e-6)
        assert one.labels[each.index] == each.label
    assert sorted({each.label for each in maps.maps}) == sorted(tiny.COLOURS)


class OneCorner(nn.Module):
    """Says class 1 where the upper left quarter of the picture is bright."""

    def forward(self, x):
        score = x[:, :, :8, :8].mean(dim=(1, 2, 3))
        return torch.stack([-score, score], dim=1) * 4


def test_scores_tell_a_good_map_from_random_ones():
    quarter = torch.zeros(4, 4)
    quarter[:2, :2] = 0.25
    found = module.ClassMap(1, "corner", 1.0, torch.cat([torch.zeros(1), quarter.flatten()]).double())
    wrong = module.ClassMap(1, "elsewhere", 1.0, torch.cat([torch.zeros(1), (0.25 - quarter).flatten()]).double())
    maps, notes = module._scored(
        module.ClassMaps([found, wrong], "token"), OneCorner(), torch.ones(1, 3, 16, 16), (4, 4), 1e5
    )
    good, bad = maps.maps
    assert notes == []
    assert maps.random == 4
    assert good.deletion.area.value < good.deletion.area.random - 0.05
    assert bad.deletion.area.value > bad.deletion.area.random + 0.05
    assert good.deletion.curve[0] == pytest.approx(1, abs=1e-3)


def test_pictures_that_classes_share_go_through_the_model_once():
    seen = []

    def model(pictures):
        seen.extend(each.numpy().tobytes() for each in pictures)
        return OneCorner()(pictures)

    some = [module.ClassMap(i % 2, str(i), 0.5, torch.rand(17).double()) for i in range(3)]
    maps, _ = module._scored(module.ClassMaps(some, "token"), model, torch.randn(1, 3, 16, 16), (4, 4), 1e5)
    assert all(each.deletion is not None for each in maps.maps)
    assert len(seen) == len(set(seen)) == 3 + 2 * 9 * (4 + 3)


def test_scores_are_left_out_where_they_take_long():
    some = [module.ClassMap(i, str(i), 0.5, torch.rand(17).double()) for i in range(2)]
    found = module.ClassMaps(some, "token")
    maps, notes = module._scored(found, OneCorner(), torch.ones(1, 3, 16, 16), (4, 4), module.OPERATIONS / 32)
    assert (maps.random, [each.deletion is None for each in maps.maps]) == (2, [False, True])
    assert notes == ["scores of class maps beside random ones are there for 1 of 2 classes: more take long"]
    maps, notes = module._scored(found, OneCorner(), torch.ones(1, 3, 16, 16), (4, 4), module.OPERATIONS)
    assert all(each.deletion is None for each in maps.maps)
    assert "0 of 2" in notes[0]


def test_classes_are_found_by_name():
    with pytest.raises(SaccadeError, match="--class 'gren' is none of the model's 3 classes; did you mean 'green'"):
        look(task(), red(), LookOptions(classes=["gren"]))
    maps = look(task(), red(), LookOptions(classes=["GREEN", "green"])).extras.classes.maps
    assert [each.label for each in maps].count("green") == 1


def test_an_untrained_head_has_no_maps():
    model = Classifier(tiny.config()).eval()
    assert not model.head.weight.any()
    maps, notes = class_maps(model, model, torch.randn(1, 3, 16, 16), TokenMap((4, 4), 1), {0: "a"})
    assert maps is None
    assert notes == ["no class maps: the classes do not depend on the last layer: nothing can be told of them"]


def test_large_grids_have_no_maps():
    maps, notes = class_maps(OneCorner(), OneCorner(), torch.ones(1, 3, 8, 8), TokenMap((80, 80), 0), {0: "a"})
    assert maps is None
    assert "6400 tokens" in notes[0]


@needs_node
def test_the_page_holds_the_maps_and_their_scores(tmp_path, node_viewer):
    view = look(task(), red())
    report = view.page(tmp_path / "look.html")
    got = in_node(node_viewer, report.path, layer=0, token=3)
    for drawn, each in zip(got["maps"], view.extras.classes.maps, strict=True):
        step = float(each.relevance.max()) / 32767
        torch.testing.assert_close(torch.tensor(drawn).double(), each.relevance, rtol=0, atol=0.51 * step)
    content = json.loads(report.path.read_text().split('id="content">')[1].split("</script>")[0])
    first, area = content["classes"]["maps"][0], view.extras.classes.maps[0].deletion.area
    shown = (first["deletion"]["area"], first["deletion"]["random"])
    assert view.to_dict()["class_maps"][0]["deletion"] == {"area": shown[0], "random": shown[1]}
    assert shown == pytest.approx((area.value, area.random), abs=1e-4)
