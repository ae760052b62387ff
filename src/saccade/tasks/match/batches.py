"""Pictures with captions to train a matcher: scenes in pairs that differ in one attribute or relation, captions that
are true of them, and captions with one attribute or relation changed."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain, product
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Generator, Tensor

from saccade.data.scenes import (
    Caption,
    Combinations,
    Description,
    Scene,
    Scenes,
    edited_scene,
    minimal_edit,
    sample_caption,
)
from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.description import shuffled
from saccade.data.scenes.edits import Kind, new_relations
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.shapes import SHAPES
from saccade.data.scenes.vocabulary import INVERSES
from saccade.ops import WordBatch
from saccade.tasks.match.recipe import MatchRecipe
from saccade.tasks.match.truth import describes, missing_objects, true_pairs
from saccade.tasks.training import SceneSource

WORDS = 14  # of a training caption where a shorter one can be drawn
TRIES = 4  # captions drawn until one mentions what was changed
RARE = "in front of"  # the relation that the fewest scenes have, and the hardest to see
DRAWS = 3  # scenes drawn until one has it
RELATIONS = 0.8  # of the changes, concern a relation; the others a colour or a shape, equally often
# Streams of random numbers; scenes, films and edits use 0, 1 and 2, evaluations 4 to 6.
_PAIR, _WORDS, _OVERLAPPING = 3, 7, 8


Annotations = tuple[list[Description], list[Caption]]  # of a batch of scenes


class BatchPart(NamedTuple):
    """A part of a batch. annotations: what its source makes `Pairs` of. seed: of what is drawn for the whole batch."""

    pictures: UInt8[Tensor, "b c y x"]
    annotations: Any
    seed: int


class Pairs(NamedTuple):
    """texts: the same number for each picture, in the order of the pictures. labels: of every picture with every text,
    1 where the text is true of it, else 0. chosen: the texts that the head compares with each picture, or a function
    that chooses them by the similarities of the towers."""

    texts: list[str]
    labels: Int[Tensor, "b p"]
    chosen: Int[Tensor, "b k"] | Callable[[Tensor], Tensor]


class Batch(NamedTuple):
    """Pictures with the words of p texts; labels and chosen as in `Pairs`."""

    pictures: UInt8[Tensor, "b c y x"]
    words: WordBatch
    labels: Int[Tensor, "b p"]
    chosen: Int[Tensor, "b k"] | Callable[[Tensor], Tensor]

    def on(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on a device."""
        chosen = self.chosen.to(device) if isinstance(self.chosen, Tensor) else self.chosen
        return Batch(self.pictures.to(device), self.words.to(device), self.labels.to(device), chosen)


class ScenePairs(SceneSource):
    """Scenes that never repeat, each followed by one that differs from it in one attribute or relation, and their
    captions. In every second pair no objects overlap: where they do, few are left of or above another. The others have
    an object in front of another more often than scenes at random."""

    label = "scenes in pairs, rendered for each batch"

    def __init__(self, scenes: Scenes, recipe: MatchRecipe):
        super().__init__(scenes)
        self.apart = scenes.with_constraints(apart=True)
        self.recipe = recipe

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Float[Tensor, "b 3 y x"], Annotations]:
        """Two pictures an index, with their descriptions and captions."""
        scenes: list[Scene] = []
        captions: list[Caption] = []
        for i, seed in enumerate(torch.randint(2**62, (len(indices),), generator=generator).tolist()):
            world, stream = (self.scenes, self.apart)[i % 2], RandomStream(seed, _PAIR)
            first = world.fresh(size, seed) if world is self.apart else draw_occluded_scene(world, size, seed)
            for scene in (first, edited_twin(world, first, stream) or world.fresh(size, seed + 1)):
                scenes.append(scene)
                captions += sample_scene_captions(
                    scene.description, self.recipe.captions, self.recipe.hard_captions, stream
                )
        pixels = torch.stack([torch.from_numpy(scene.pixels) for scene in scenes])
        return pixels.permute(0, 3, 1, 2).float() / 255, ([scene.description for scene in scenes], captions)

    def pairs(self, annotations: Sequence[Annotations], generator: Generator) -> Pairs:
        """All captions, and those that `choose_pairs` chooses."""
        scenes, captions = (list(chain(*parts)) for parts in zip(*annotations, strict=True))
        return choose_pairs(scenes, captions, self.recipe, generator)


def draw_occluded_scene(world: Scenes, size: tuple[int, int], seed: int) -> Scene:
    """Of at most `DRAWS` scenes the first with the relation `RARE`, else the last."""
    scene, stream = world.fresh(size, seed), RandomStream(seed, _OVERLAPPING)
    for _ in range(DRAWS - 1):
        if any(name == RARE for _, name, _ in scene.description.relations):
            break
        scene = world.fresh(size, stream.integer(2**62))
    return scene


def edited_twin(
    world: Scenes, scene: Scene, stream: RandomStream, relations: Collection[str] = tuple(INVERSES)
) -> Scene | None:
    """The scene with one change; None if no change can be drawn. relations: those that a change may bring about."""
    for kind in shuffled_edit_kinds(stream):
        edit = minimal_edit(scene.description, stream, kind, combinations=world.composition.combinations)
        if edit is None or any(name not in relations for _, name, _ in new_relations(scene.description, edit)):
            continue
        twin = edited_scene(world, scene, edit)
        if twin is not None:
            return twin
    return None


def sample_scene_captions(scene: Description, true: int, hard: int, stream: RandomStream) -> list[Caption]:
    """Captions that are true of the scene, then captions with a change, in the same words but for the change; true ones
    instead where there is none."""
    seeds = [choose_caption_seed(scene, stream) for _ in range(true)]
    captions = [sample_caption(scene, RandomStream(seed, _WORDS)) for seed in seeds]
    for i in range(hard):
        seed = seeds[i % true]
        changed = (same_wording_negative(scene, kind, seed, stream) for kind in shuffled_edit_kinds(stream))
        captions.append(next((each for each in changed if each is not None), captions[i % true]))
    return captions


def choose_caption_seed(scene: Description, stream: RandomStream) -> int:
    """A seed with which `sample_caption` gives a caption of at most `WORDS` words if one can be drawn, mostly one that
    states a relation if the scene has any."""
    related = stream.bernoulli(RELATIONS)
    seeds = [stream.integer(2**32) for _ in range(TRIES)]

    def excess(seed: int) -> tuple[bool, bool]:
        caption = sample_caption(scene, RandomStream(seed, _WORDS))
        return len(caption.text.split()) > WORDS, related and not caption.description.relations

    return min(seeds, key=excess)


def same_wording_negative(scene: Description, kind: Kind, seed: int, stream: RandomStream) -> Caption | None:
    """The caption of a seed with one change that makes it false of the scene. Its form, its order and its synonyms are
    the same: what is changed alone decides. None if no change is found that the caption mentions."""
    for _ in range(TRIES):
        edit = minimal_edit(scene, stream, kind, combinations="seen")
        caption = None if edit is None else sample_caption(edit, RandomStream(seed, _WORDS))
        if caption is not None and not describes(caption.description, scene):
            return caption
    return None


def hard_negative_caption(
    caption: Caption, scene: Description, kind: Kind, stream: RandomStream, combinations: Combinations = "seen"
) -> Caption | None:
    """A caption, in the same language, of what `caption` says with one change that makes it false of the scene. None if
    there is no such change, or no drawn caption mentions it. combinations: of the change, as for `minimal_edit`."""
    edit = minimal_edit(caption.description, stream, kind, scene=scene, combinations=combinations)
    if edit is None:
        return None
    drawn = (sample_caption(edit, stream, caption.language) for _ in range(TRIES))
    return _short(each for each in drawn if not describes(each.description, scene))


def extra_object_caption(caption: Caption, scene: Description, stream: RandomStream) -> Caption | None:
    """A caption, in the same language, of what `caption` says and of one object more, which the scene does not show.
    None if no drawn caption mentions it."""
    absent = [each for each in product(SHAPES, COLOURS) if each not in scene.objects]
    longer = replace(caption.description, objects=(*caption.description.objects, stream.choice(absent)))
    drawn = (sample_caption(longer, stream, caption.language) for _ in range(TRIES))
    return _short(each for each in drawn if not describes(each.description, scene))


def _short(captions: Iterable[Caption]) -> Caption | None:
    """The first caption of at most `WORDS` words, else the last one: a batch is padded to its longest text."""
    last = None
    for last in captions:
        if len(last.text.split()) <= WORDS:
            break
    return last


def shuffled_edit_kinds(stream: RandomStream) -> list[Kind]:
    """All kinds of edits, with the one to try first at the front."""
    others: list[Kind] = shuffled(stream, ["colour", "shape"])
    return ["relation", *others] if stream.bernoulli(RELATIONS) else [*others, "relation"]


def choose_pairs(
    scenes: Sequence[Description], captions: Sequence[Caption], recipe: MatchRecipe, generator: Generator
) -> Pairs:
    """Of every picture its own captions, the true ones of the picture that it was edited from or into, the
    `recipe.hard_negatives` false ones of other pictures that mention the fewest objects it lacks, and
    `recipe.random_negatives` random ones."""
    b, p = len(scenes), len(captions)
    descriptions = [caption.description for caption in captions]
    labels = true_pairs(scenes, descriptions)
    own = torch.arange(p).view(b, p // b)
    twins = own[torch.arange(b) ^ 1, : recipe.captions]
    distance = missing_objects(scenes, descriptions) + torch.rand(b, p, generator=generator)
    distance.masked_fill_(labels, torch.inf).scatter_(1, torch.cat([own, twins], dim=1), torch.inf)
    closest = distance.topk(min(recipe.hard_negatives, p), dim=1, largest=False).indices
    others = torch.randint(p, (b, recipe.random_negatives), generator=generator)
    chosen = torch.cat([own, twins, closest, others], dim=1)
    return Pairs([caption.text for caption in captions], labels.long(), chosen)
