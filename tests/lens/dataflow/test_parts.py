"""Joint attention: which tokens of one sequence are image and which text, and the blocks of its map."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from saccade.errors import CheckpointError, SaccadeError
from saccade.lens import Call, Trace, watch

from ..models import Attend
from ..trace.test_call import Largest

IMAGE, TEXT = 7, 5
FIRST = {"image": slice(0, IMAGE), "text": slice(IMAGE, IMAGE + TEXT)}


def swapped(joint):
    return torch.cat([joint[:, :, IMAGE:], joint[:, :, :IMAGE]], dim=2)


def rotated(joint):
    """As rotary positions are written on the image only."""
    joint[:, :, :IMAGE] = torch.stack([-joint[:, :, :IMAGE, ::2], joint[:, :, :IMAGE, 1::2]], dim=-1).flatten(3)
    return joint


class Double(Attend):
    """Attends jointly as SD3 does: projects both, then puts queries and keys together. how: is done to them."""

    def __init__(self, how=lambda joint: joint):
        super().__init__(width=16)
        self.added, self.done = nn.Linear(16, 16), how

    def forward(self, hidden_states, encoder_hidden_states, temb=None):
        if temb is not None:
            hidden_states, encoder_hidden_states = (t * temb for t in (hidden_states, encoder_hidden_states))
        both = (self.q(hidden_states), self.added(encoder_hidden_states))
        joint = torch.cat([F.rms_norm(self._split(t), (8,)) for t in both], dim=2)
        out = F.scaled_dot_product_attention(self.done(joint), self.done(joint.clone()), joint).transpose(1, 2)
        image, text = out.flatten(2).split_with_sizes([hidden_states.shape[1], encoder_hidden_states.shape[1]], dim=1)
        return hidden_states + image, encoder_hidden_states + text


class Model(nn.Module):
    """Blocks of two streams, or one joint stream if `single`, all in one forward."""

    def __init__(self, *blocks, single=False):
        super().__init__()
        self.blocks, self.single = nn.ModuleList(blocks), single
        self.inner = Attend(width=16)

    def forward(self, hidden_states, encoder_hidden_states):
        for block in self.blocks:
            hidden_states, encoder_hidden_states = block(hidden_states, encoder_hidden_states)
        if self.single:  # after joint blocks both come from both inputs: only their places tell them apart
            joint = torch.cat([encoder_hidden_states, F.layer_norm(hidden_states, (16,))], 1)
            return self.inner(joint)[:, encoder_hidden_states.shape[1] :]
        return hidden_states


def run(model):
    x, text = torch.randn(2, IMAGE, 16), torch.randn(2, TEXT, 16)
    with torch.no_grad():
        plain = model(x, text)
        with watch(model) as trace:
            watched = model(x, text)
    torch.testing.assert_close(watched, plain, rtol=0, atol=0)
    return trace


def test_parts_by_the_names_of_the_arguments():
    trace = run(Model(Double(), Double()))
    assert [(c.name, c.kind, c.parts) for c in trace] == [(f"blocks.{i}", "joint", FIRST) for i in range(2)]
    (call,) = run(Double(rotated))
    assert (call.kind, call.parts) == ("joint", FIRST)
    assert repr(call) == "Call('Double', joint, b=2 h=2 n=12 m=12)"


def test_other_names_and_a_condition_of_all_parts():
    class Other(Double):
        def forward(self, picture, *, sound):
            return super().forward(picture, sound, torch.randn(2, 1, 16))

    model = Other()
    with watch(model) as trace:
        model(torch.randn(2, IMAGE, 16), sound=torch.randn(2, TEXT, 16))
        Double.forward(model, torch.randn(2, IMAGE, 16), torch.randn(2, TEXT, 16))
    assert trace[0].parts == {"picture": slice(0, 7), "sound": slice(7, 12)}
    double = Double()
    with watch(double) as trace:
        double(torch.randn(2, IMAGE, 16), torch.randn(2, TEXT, 16), torch.randn(2, 1, 16))
    assert trace[0].parts == FIRST


def test_joint_streams_inside_one_module():
    class Inline(Double):
        """Two joint layers in one forward, so that both streams have seen each other before the second."""

        def forward(self, hidden_states, encoder_hidden_states):
            return super().forward(*super().forward(hidden_states, encoder_hidden_states))

    trace = run(Inline())
    assert [c.parts for c in trace] == [FIRST] * 2


def test_a_single_stream_keeps_its_parts_through_a_module_with_one_input():
    (call,) = run(Model(single=True))
    assert call.name == "inner"
    assert call.parts == {"text": slice(0, TEXT), "image": slice(TEXT, TEXT + IMAGE)}


@pytest.mark.parametrize(
    "how",
    [
        lambda joint: joint.flip(2),
        lambda joint: joint[:, :, torch.arange(IMAGE + TEXT) * 5 % 12],
        lambda joint: joint.roll(1, 2),
        lambda joint: joint.flatten(1).roll(1, 1).view_as(joint),
        lambda joint: joint.index_copy_(2, torch.arange(IMAGE), joint[:, :, -IMAGE:].clone()),
        lambda joint: joint.cumsum(2),
    ],
)
def test_what_may_move_tokens_ends_the_parts(how):
    (call,) = run(Double(how))
    assert (call.kind, call.parts) == ("self", None)


def test_an_empty_tensor_of_one_axis_is_no_part():
    model = Double(lambda joint: torch.cat([torch.empty(0), joint], dim=2))
    assert run(model)[0].parts == FIRST


def test_parts_that_were_swapped_are_found_where_they_are_now():
    (call,) = run(Double(swapped))
    assert call.parts == {"text": slice(0, TEXT), "image": slice(TEXT, TEXT + IMAGE)}


def test_writing_the_text_over_the_image_ends_the_parts():
    def written(joint):
        joint[:, :, :TEXT] = joint[:, :, IMAGE:].clone()
        return joint

    (call,) = run(Double(written))
    assert call.parts is None


def test_learned_tokens_before_those_of_a_picture_are_no_part():
    class Classified(Attend):
        def forward(self, x, position):
            return super().forward(torch.cat([self.q.weight[:2].expand(2, -1, -1), x + position], dim=1))

    model = Classified()
    with watch(model) as trace:
        model(torch.randn(2, 7, 14), torch.randn(2, 7, 14))
    assert [(c.kind, c.parts) for c in trace] == [("self", None)]


def joint(parts=FIRST, n=IMAGE + TEXT, **options):
    return Call("a", "joint", torch.randn(2, 3, n, 4), torch.randn(2, 1, n, 4), parts=parts, **options)


@pytest.mark.parametrize("targets", ["image", "text"])
@pytest.mark.parametrize("sources", ["image", "text"])
def test_blocks_are_parts_of_the_map(targets, sources):
    call = joint(mask=torch.rand(12, 12) > 0.3)
    w = call.weights()[:, :, FIRST[targets], FIRST[sources]]
    block = call.block(targets, sources)
    assert block.shape == tuple(w.shape)
    torch.testing.assert_close(block.weights(), w)
    torch.testing.assert_close(block.rows([2, -1]), w[:, :, [2, -1]])
    torch.testing.assert_close(block.columns([-1, 0]), w[..., [-1, 0]])
    torch.testing.assert_close(block.received(), w.mean(dim=2))
    torch.testing.assert_close(block.share(), w.sum(dim=-1))
    with pytest.raises(SaccadeError, match=r"target \[7\] of 'a': it has"):
        block.rows(7)


def test_blocks_make_no_map():
    call = joint({"image": slice(0, 400), "text": slice(400, 521)}, 521)
    block = call.block("image", "text")
    with Largest() as largest:
        block.received(), block.share(), block.rows(3), block.columns(5)
    assert largest.elements < 2 * 3 * 521 * 521 / 2


def test_blocks_of_other_names_are_refused():
    with pytest.raises(SaccadeError, match=r"'a' has no part 'word'; its parts are image, text"):
        joint().block("image", "word")
    with pytest.raises(SaccadeError, match="no part 'image'; its parts are none: it is self-attention"):
        Call("a", "self", torch.randn(1, 1, 3, 2), torch.randn(1, 1, 3, 2)).block("image", "text")


def test_rollout_of_joint_attention():
    trace = Trace([joint(), joint()])
    maps = [call.weights().mean(dim=1) / 2 + torch.eye(12) / 2 for call in trace]
    torch.testing.assert_close(trace.rollout(3), (maps[1] @ maps[0])[:, 3])
    turned = {"text": slice(0, TEXT), "image": slice(TEXT, TEXT + IMAGE)}
    with pytest.raises(SaccadeError, match="one sequence of tokens; found"):
        Trace([joint(), joint(turned)]).rollout()


def test_save_and_load(tmp_path):
    path = tmp_path / "look.safetensors"
    Trace([joint()]).save(path)
    (call,) = Trace.load(path)
    assert (call.kind, call.parts) == ("joint", FIRST)
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    (about,) = json.loads(metadata["calls"])
    for parts in ({"image": [0, 12]}, {"image": [0, 7], "text": [8, 12]}, {"image": [0, 7], "text": [7, 11]}, {}, None):
        save_file(tensors, path, metadata | {"calls": json.dumps([about | {"parts": parts}])})
        with pytest.raises(CheckpointError, match="damaged"):
            Trace.load(path)
