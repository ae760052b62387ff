"""The training step as a CUDA graph: words as tensors change nothing, and on a GPU neither does the graph."""

import pytest
import torch

from saccade.tasks.generate.cuda_graph import GraphedGenerator, _Flat
from saccade.tasks.generate.fixed_shapes import pad_words
from tests.tasks.generate.test_training import tiny_training

CPU = torch.device("cpu")


def a_batch(seed: int = 0):
    training = tiny_training(picture_share=0.3, mask_share=0.3, style_share=0.3)
    batch = training.batch(torch.arange(11), torch.Generator().manual_seed(seed), 0.0)[0]
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return training.model, batch


def test_padded_words_and_sources_as_tensors_give_the_same():
    model, batch = a_batch()
    model, noised = model.double(), batch.on(CPU)  # padding changes the order of sums
    z, t = noised.noise.double(), noised.t.double()
    sources = {name: each._replace(pixels=each.pixels.double()) for name, each in noised.sources.items()}
    with torch.no_grad():
        expected = model(z, t, noised.words, noised.present, sources)
        words = pad_words(noised.words, model.config.text.max_bytes)
        tensors = (words.ids, words.byte_mask, words.index, words.word_mask)
        flat = (tensor for name in model.pictures for tensor in sources[name])
        found = _Flat(model, tuple(model.pictures))(z, t, *tensors, noised.present, *flat)
    torch.testing.assert_close(found, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_graphs_give_what_the_generator_gives():
    model, _ = a_batch()
    cuda = torch.device("cuda")
    graphed = GraphedGenerator(model.to(cuda).train())
    for seed in (0, 1, 2):
        noised = a_batch(seed)[1].on(cuda)
        given = (noised.noise, noised.t, noised.words, noised.present, noised.sources)
        gradients = []
        for network in (graphed, model):  # a graph must be captured before the autograd graph of another stream exists
            out = network(*given)
            out.square().mean().backward()
            found = (parameter.grad for parameter in model.parameters())
            gradients.append([out.detach().clone(), *(each.clone() for each in found if each is not None)])
            model.zero_grad()
            del out
        assert len(gradients[0]) == len(gradients[1])
        for found, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert graphed._graph is not None
