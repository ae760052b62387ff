"""Pipelines: all modules by component, and each component's own runs."""

import pytest
import torch
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import Trace, watch
from saccade.lens.modules.components import named_modules

from ..models import Attend, Stack
from ..watching.test_watch import assert_untouched


class Pipe:
    """Like a pipeline of diffusers: encodes twice, denoises a few times, decodes by a part of a component."""

    def __init__(self):
        self.components = {
            "text_encoder": Stack(a=Attend()),
            "unet": Stack(a=Attend(), cross=Attend()),
            "vae": nn.ModuleDict({"encoder": Stack(a=Attend()), "decoder": Stack(a=Attend())}),
            "scheduler": object(),
            "safety_checker": None,
        }

    def __call__(self, x, steps):
        parts = self.components
        text, _ = parts["text_encoder"](x), parts["text_encoder"](-x)
        x = parts["vae"]["encoder"](x)
        for _ in range(steps):
            x = parts["unet"](x, text)
        return parts["vae"]["decoder"](x)


@pytest.fixture
def seen():
    pipe, x = Pipe(), torch.randn(2, 5, 14)
    plain = pipe(x, 3)
    with watch(pipe) as trace:
        assert torch.equal(pipe(x, 3), plain)
    for part in list(pipe.components.values())[:3]:
        assert_untouched(part)
    return trace


def test_names_begin_with_the_component_and_each_counts_its_runs(seen):
    assert [(c.name, c.component, c.run, c.kind) for c in seen] == [
        ("text_encoder.blocks.a", "text_encoder", 0, "self"),
        ("text_encoder.blocks.a", "text_encoder", 1, "self"),
        ("vae.encoder.blocks.a", "vae", 0, "self"),
        *(
            (f"unet.blocks.{name}", "unet", run, kind)
            for run in range(3)
            for name, kind in (("a", "self"), ("cross", "cross"))
        ),
        ("vae.decoder.blocks.a", "vae", 0, "self"),
    ]


def test_runs_choose_steps(seen):
    steps = seen["unet.*"]
    assert [c.run for c in steps.runs(1)] == [1, 1]
    assert [c.run for c in steps.runs(range(1, 3))] == [1, 1, 2, 2]
    assert [c.run for c in steps.runs([2, torch.tensor(0)])] == [0, 0, 2, 2]
    assert len(seen.runs(1)) == 3
    assert len(steps.runs(7)) == 0
    with pytest.raises(SaccadeError, match="no call is of run 7; the last is 2"):
        steps.runs(7).rollout()
    for wrong in (-1, [0, -1], 0.5, "a", None):
        with pytest.raises(SaccadeError, match="expected the number of a run"):
            seen.runs(wrong)


def test_rollout_is_of_one_component_and_run(seen, tmp_path):
    assert seen["unet.*"].runs(1).rollout().shape == (2, 5)
    with pytest.raises(SaccadeError, match="one forward pass; the trace holds 3"):
        seen["unet.*"].rollout()
    seen.save(tmp_path / "look.safetensors")
    for trace in (seen, Trace.load(tmp_path / "look.safetensors")):
        with pytest.raises(SaccadeError, match=r'holds text_encoder, vae, unet. .* trace\["text_encoder.\*"\]'):
            trace.runs(0).rollout()


def test_a_pipeline_with_one_model():
    class Classifier:
        def __init__(self):
            self.model = Stack(a=Attend())

    pipe = Classifier()
    with watch(pipe) as trace:
        pipe.model(torch.randn(2, 5, 14))
    assert [(c.name, c.run) for c in trace] == [("model.blocks.a", 0)]


def test_components_that_share_a_module_and_compiled_ones(unchecked):
    pipe, shared = Pipe(), Attend()
    pipe.components = {"one": torch.compile(shared, backend="eager"), "two": Stack(a=shared, b=Attend())}
    x = torch.randn(2, 5, 14)
    with watch(pipe) as trace:
        pipe.components["one"](x)
        pipe.components["two"](x)
    assert [(c.name, c.run) for c in trace] == [("one", 0), ("one", 1), ("two.blocks.b", 0)]


def test_what_runs_before_the_model_belongs_to_the_run_that_it_prepares():
    model, x = Stack(a=Attend(), b=Attend()), torch.randn(2, 5, 14)
    model.encoder = Attend()
    with watch(model) as trace:
        model.encoder(x)
        model(x)
        model(x)
        model.blocks["a"](x)
    assert [(c.name, c.run) for c in trace] == [
        ("encoder", 0),
        ("blocks.a", 0),
        ("blocks.b", 0),
        ("blocks.a", 1),
        ("blocks.b", 1),
        ("blocks.a", 2),
    ]


def test_what_has_no_modules_is_refused_in_words():
    class Empty:
        components = {"scheduler": object()}  # noqa: RUF012

    for given, said in ((3, "a int"), (Empty(), "a Empty"), (None, "a NoneType")):
        with pytest.raises(SaccadeError, match=f"{said}; expected a torch.nn.Module, or a pipeline"), watch(given):
            pass


class _Renaming(nn.Module):
    """Says itself what its modules are called."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        yield from super().named_modules(memo, f"{prefix}~", remove_duplicate)


def test_modules_come_in_pytorchs_order_each_once():
    shared = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    model = nn.Sequential(shared, nn.ModuleDict({"a": nn.ModuleList([nn.Linear(2, 2), shared]), "b": shared[1]}))
    model.append(_Renaming())
    model.append(nn.Identity())
    model.register_module("none", None)
    assert list(named_modules({"": model})) == list(model.named_modules())
    assert list(named_modules({"m": model, "n": shared})) == list(model.named_modules(prefix="m"))
