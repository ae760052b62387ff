"""Training of generators: batches, objectives, validation, and what starts from other weights."""

import pytest
import torch
from PIL import Image

from saccade.data.captions import caption_splits
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.errors import SaccadeError, UsageError
from saccade.models.generator import Generator
from saccade.ops.flow_matching import euler_step, noised
from saccade.ops.words import merge_batches
from saccade.tasks.generate.captioned import CaptionedPictures
from saccade.tasks.generate.loss import MeanFlow, broadcast_over_pixels, flow_errors
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.generate.training import GenerateTraining
from saccade.train import TrainConfig, train

TINY = {"size": 32, "width": 32, "depth": 2, "text_width": 32, "text_depth": 1}
SCENES = {"objects": (1, 2), "apart": True, "combinations": "seen"}


def tiny_training(pretrained=None, **recipe) -> GenerateTraining:
    train, val = Scenes(16, 32, 1, **SCENES), Scenes(7, 32, 0, **SCENES)
    return GenerateTraining(train, val, GenerateRecipe(**{**TINY, **recipe}), 0, pretrained)


def batches(training: GenerateTraining, seed: int = 0):
    return [training.batch(torch.arange(i, i + 5), torch.Generator().manual_seed(seed + i), 0.0)[0] for i in (0, 5)]


@pytest.fixture
def trained() -> GenerateTask:
    """A generator whose output depends on everything."""
    training = tiny_training()
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return training.trained(training.model, "tiny")


def test_a_batch_follows_from_its_generator_and_views_share_a_picture():
    training = tiny_training(views=2)
    (first, _), (again, _), (other, _) = batches(training), batches(training), batches(training, seed=9)
    torch.testing.assert_close(first.pictures, again.pictures, rtol=0, atol=0)
    noised = [each.on(torch.device("cpu")) for each in (first, again)]
    torch.testing.assert_close(noised[0].noise, noised[1].noise, rtol=0, atol=0)
    assert noised[0].pictures.amin() >= -1
    assert noised[0].pictures.amax() <= 1
    assert torch.equal(first.words.index, again.words.index)
    assert not torch.equal(first.pictures, other.pictures)
    assert first.pictures.shape == (5, 1, 3, 32, 32)
    assert first.pictures.dtype == torch.uint8
    assert torch.equal(first.pictures[0], first.pictures[1])
    assert not torch.equal(noised[0].noise[0], noised[0].noise[1])
    assert not torch.equal(first.pictures[1], first.pictures[2])


def test_noise_is_the_same_for_a_batch_and_for_its_shards():
    training = tiny_training()
    shards = batches(training)
    (joined,) = training.collate([[each] for each in shards])
    apart = [each.on(torch.device("cpu")).noise for each in shards]
    assert torch.equal(joined.on(torch.device("cpu")).noise, torch.cat(apart))
    captions = [
        words.ids[words.index][words.word_mask] for words in (joined.words, merge_batches([s.words for s in shards]))
    ]
    assert torch.equal(*captions)


def test_worker_processes_make_the_same_batches(tmp_path):
    found = []
    for workers in (0, 2):
        training = tiny_training()
        train(
            training,
            TrainConfig(epochs=2, batch=8, workers=workers, compile="no", precision="fp32"),
            tmp_path / str(workers),
        )
        found.append(training.model.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_the_loss_is_the_error_of_the_velocity_and_falls():
    training = tiny_training()
    batch = batches(training)[0].on(torch.device("cpu"))
    data, t = batch.pictures, broadcast_over_pixels(batch.t)
    # A new generator predicts 0; the velocity of that, with 1 - t of at least 0.05, misses by x / (1 - t).
    expected = (data / (1 - t).clamp(min=0.05)).square().mean(dim=(1, 2, 3, 4))
    found = flow_errors(training.model, batch)
    torch.testing.assert_close(found, expected)
    optimizer = torch.optim.Adam(training.model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = training.loss(
            training.model, training.collate([[each] for each in batches(training)]), torch.device("cpu")
        )
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_validation_is_the_same_every_time():
    training = tiny_training()
    device = Device(torch.device("cpu"), False, 0, 1)
    scores = training.evaluate(training.model, device)
    assert scores == training.evaluate(training.model, device)
    assert set(scores) == {"r2", "velocity error"}
    assert scores["r2"] < 1


def test_the_card_lists_the_words_of_the_captions(tmp_path):
    training = tiny_training()
    used = {word for batch in batches(training) for word in batch.words.vocabulary()}
    training.loss(training.model, training.collate([[each] for each in batches(training)]), torch.device("cpu"))
    training.save(training.model, tmp_path / "run" / "model", {"r2": 0.0})
    opened = GenerateTask.open(tmp_path / "run" / "model")
    plain = {word for word in used if word.isalnum()}
    assert plain <= set(opened.card["words"])
    assert opened.unknown_words(f"{min(plain)} zyzzyva") == ["zyzzyva"]


def test_pictures_on_disk_come_with_one_of_their_captions(tmp_path):
    colours = ("red", "green", "blue", "white", "black", "gray")
    for i, colour in enumerate(colours * 2):
        Image.new("RGB", (47, 41), colour).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(f"a {colour} wall {i}")
    train, val = caption_splits(tmp_path, None, 0.25, 0, "fail")
    training = GenerateTraining(train, val, GenerateRecipe(**TINY))
    assert isinstance(training.source, CaptionedPictures)
    assert len(training.source) + len(training.val) == 12
    for batch in batches(training):
        vocabulary = batch.words.vocabulary()
        for picture, caption in zip(batch.pictures[:, 0], batch.words.index, strict=True):
            colour = next(each for each in colours if each in [vocabulary[word] for word in caption])
            expected = torch.tensor(Image.new("RGB", (1, 1), colour).getpixel((0, 0))).byte()
            assert torch.equal(picture.flatten(1).amax(dim=1), expected)
            assert torch.equal(picture.flatten(1).amin(dim=1), expected)
    assert training.evaluate(training.model, Device(torch.device("cpu"), False, 0, 1))["r2"] < 1


class Exact(Generator):
    """Predicts the one picture that all lines end in, whatever it is asked for: its flow is exact for any interval."""

    end: torch.Tensor

    def predict(self, z, t, sources, interval=None, guidance=None):
        return self.end.expand_as(z)


def test_two_steps_along_an_exact_flow_are_one(trained):
    exact = Exact(trained.model.config)
    exact.end = torch.rand(1, 1, 3, 32, 32, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 2 - 1
    mean_flow = MeanFlow(exact, GenerateRecipe(objective="mean-flow"))
    z = torch.randn(3, 1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    t, until = torch.tensor([[0.0], [0.3], [0.9]]).double(), torch.tensor([[1.0], [0.7], [0.95]]).double()
    found = mean_flow._two_steps(exact, z, t, until, torch.ones_like(t), None)
    torch.testing.assert_close(found, exact.end.expand_as(z))


def test_targets_of_mean_flow_are_two_steps_and_the_guided_teacher(trained):
    training = tiny_training(trained, objective="mean-flow", flow_share=0.2, split_share=0.4)
    assert training.model.config.contained_guidance == (1.0, 5.0)
    batch = batches(training)[0].on(torch.device("cpu"))
    words = batch.words
    mean = slice(1, 5)
    guidance, until = training.mean_flow._draw(batch, mean)
    z, t = noised(batch.pictures, batch.noise, broadcast_over_pixels(batch.t))[mean], batch.t[mean]
    assert (until[:2] > t[:2]).all()
    assert torch.equal(until[2:], t[2:])
    present = torch.ones(5, dtype=torch.bool)
    sources = training.model.encode(words, present).part(mean)
    found = training.mean_flow._targets(
        training.model, z, t, until, guidance, sources, training.mean_flow._both(batch, mean)
    )
    middle = (t + until) / 2
    with torch.no_grad():
        model, half = training.model, sources.part(slice(0, 2))
        first = model.predict(z[:2], t[:2], half, (middle - t)[:2], guidance[:2])
        moved = euler_step(first, z[:2], broadcast_over_pixels(t[:2]), broadcast_over_pixels(middle[:2]))
        second = model.predict(moved, middle[:2], half, (until - middle)[:2], guidance[:2])
        end = euler_step(second, moved, broadcast_over_pixels(middle[:2]), broadcast_over_pixels(until[:2]))
        velocity = (end - z[:2]) / broadcast_over_pixels(until - t)[:2]
        torch.testing.assert_close(found[:2], z[:2] + velocity * broadcast_over_pixels(1 - t)[:2])
        positive = trained.model.predict(z[2:], t[2:], trained.model.encode(words, present).part(slice(3, 5)))
        negative = trained.model.predict(z[2:], t[2:], trained.model.encode(words, ~present).part(slice(3, 5)))
        torch.testing.assert_close(found[2:], negative + broadcast_over_pixels(guidance[2:]) * (positive - negative))
    training.loss(
        training.model, training.collate([[each] for each in batches(training)]), torch.device("cpu")
    ).backward()
    assert all(parameter.grad is not None for parameter in training.model.parameters())
    assert all(parameter.grad is None for parameter in training.mean_flow.teacher.parameters())


def test_what_mean_flow_cannot_start_from(trained):
    with pytest.raises(UsageError, match="give one with --weights"):
        tiny_training(objective="mean-flow")
    training = tiny_training(trained, objective="mean-flow")
    with pytest.raises(SaccadeError, match="one process"):
        training.loss(
            torch.nn.Identity(), training.collate([[each] for each in batches(training)]), torch.device("cpu")
        )


def test_flows_leave_what_they_do_not_use_untrained(trained):
    training = tiny_training(trained)
    assert not any(
        p.requires_grad for part in (training.model.interval, training.model.guidance) for p in part.parameters()
    )
    for name, value in trained.model.state_dict().items():
        assert torch.equal(training.model.state_dict()[name], value), name


def test_weights_of_another_shape_are_refused(trained):
    class Other:
        model, name = torch.nn.Linear(2, 2), "other"

    with pytest.raises(SaccadeError, match="a generator, or a matcher"):
        tiny_training(Other())
