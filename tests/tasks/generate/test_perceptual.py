"""The loss in the features of a picture encoder."""

import pytest
import torch
import torch.nn.functional as F

from saccade.data.scenes import Scenes
from saccade.errors import SaccadeError
from saccade.ops.flow_matching import noised
from saccade.tasks.generate.loss import broadcast_over_pixels, flow_errors
from saccade.tasks.generate.perceptual import PerceptualLoss, load_perceptual
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.training import GenerateTraining
from saccade.tasks.loading import load

TIMES = torch.tensor([0.1, 0.9, 0.5, 0.3, 0.7])


@pytest.fixture(scope="module")
def matcher():
    return load("matcher")


@pytest.fixture
def films() -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and data: five films of three frames."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(5, 3, 3, 40, 24, generator=generator) * 2 - 1 for _ in range(2))


def test_it_is_the_cosine_distance_of_tokens_of_the_samples_with_the_least_noise(matcher, films):
    prediction, data = films
    mean, std = (torch.tensor(each)[:, None, None] for each in (matcher.preprocess.mean, matcher.preprocess.std))
    found = PerceptualLoss(matcher).distances(prediction, data, TIMES[:, None].repeat(1, 2))
    for i, t in enumerate(TIMES.tolist()):
        tokens = [matcher.vit((film[i] / 2 + 0.5 - mean) / std)[:, matcher.vit.prefix :] for film in (prediction, data)]
        expected = (1 - F.cosine_similarity(*tokens, dim=-1)).mean() if t > 0.5 else torch.tensor(0.0)
        torch.testing.assert_close(found[i], expected.detach(), rtol=1e-4, atol=1e-6)


def test_equal_pictures_have_no_distance_and_only_the_prediction_learns(matcher, films):
    loss = PerceptualLoss(matcher)
    prediction, data = (film.clone().requires_grad_() for film in films)
    t = TIMES[:, None]
    assert loss.distances(data, data, t).abs().max() < 1e-5
    loss.distances(prediction, data, t).sum().backward()
    reached = prediction.grad.flatten(1).abs().amax(dim=1) > 0
    assert reached.tolist() == [False, True, False, False, True]
    assert data.grad is None
    assert all(weight.grad is None for weight in matcher.vit.parameters())


def test_a_generator_trains_with_it_and_is_validated_without():
    scenes = {"objects": (1, 2), "apart": True, "combinations": "seen"}
    tiny = {"size": 32, "width": 32, "depth": 2, "text_width": 32, "text_depth": 1}
    recipe = GenerateRecipe(**tiny, perceptual_model="matcher", perceptual_weight=0.5)
    training = GenerateTraining(Scenes(16, 32, 1, **scenes), Scenes(7, 32, 0, **scenes), recipe)
    batch = training.batch(torch.arange(6), torch.Generator().manual_seed(0), 0.0)
    found = training.loss(training.model, [batch[0]], torch.device("cpu"))
    part = batch[0].on(torch.device("cpu"))
    z = noised(part.pictures, part.noise, broadcast_over_pixels(part.t, 1))
    prediction = training.model(z, part.t, part.words, part.present, part.sources)
    distances = PerceptualLoss(load("matcher")).distances(prediction, part.pictures, part.t)
    torch.testing.assert_close(found, (flow_errors(training.model, part) + 0.5 * distances).mean())
    assert training.sampler().perceptual is None
    assert not any("perceptual" in name or "vit" in name for name in training.model.state_dict())


@pytest.mark.parametrize("name", ["painter", "no-such-model"])
def test_a_model_without_a_picture_encoder_is_refused(name):
    with pytest.raises(SaccadeError, match=name):
        load_perceptual(name)


def test_it_is_part_of_the_flow_alone():
    with pytest.raises(ValueError, match="--objective flow"):
        GenerateRecipe(objective="mean-flow", perceptual_model="matcher")
