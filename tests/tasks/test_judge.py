"""The judge of drawn scenes, with the bundled networks, on a few scenes and on edits of them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from saccade.data.scenes import Description, Scenes, edited_scene, minimal_edit
from saccade.data.scenes.captions import article
from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.relations import RELATIONS
from saccade.errors import DataError
from saccade.tasks.accuracy_intervals import wilson_interval
from saccade.tasks.judge.atoms import match_objects
from saccade.tasks.judge.colours import object_colour
from saccade.tasks.judge.draw import RIGHT, UNMATCHED, draw_judgement
from saccade.tasks.judge.films import FilmDescription, judge_film, judge_found_film
from saccade.tasks.judge.find import FoundObject, box_around, object_masks
from saccade.tasks.judge.judge import Judge
from saccade.tasks.judge.motion import motion_of
from saccade.tasks.judge.outlines import Outline, fit_outline
from saccade.tasks.judge.relate import found_relations
from saccade.tasks.judge.scores import JudgementScores, Share

N = 11
SCENES = Scenes(N, 128, seed=31, objects=(2, 3), apart=True)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def judged(judge):
    """All scenes with their own descriptions."""
    return list(judge.judge_all(((SCENES.picture(i), SCENES.scene(i).description) for i in range(N)), batch=7))


def found(shape, colour, mask=None, score=0.9):
    mask = np.ones((5, 7), bool) if mask is None else mask
    return FoundObject(shape, colour, box_around(mask), mask, score)


def true_objects(scene):
    """The scene's objects as the judge would find them, were its networks perfect."""
    return [
        found(shape, colour or None, mask.numpy())
        for (shape, colour), mask in zip(scene.description.objects, scene.objects.masks, strict=True)
    ]


def test_real_scenes_are_right(judged):
    assert [each.name for each in judged] == SCENES.names
    scores = JudgementScores.of(judged)
    assert scores.total["atoms"].value >= 0.98
    assert scores.total["relation"].n >= 7
    assert scores.total["count"] == Share(N, N)
    assert scores.total["colour"].n == scores.total["shape"].n == sum(len(SCENES.objects(i)) for i in range(N))


def test_descriptions_of_other_scenes_are_wrong(judge):
    pairs = ((SCENES.picture(i), SCENES.scene((i + 1) % N).description) for i in range(N))
    scores = JudgementScores.of(judge.judge_all(pairs))
    assert scores.total["pictures"].right == 0
    assert scores.total["atoms"].value < 0.4
    assert scores.total["relation"].value < 0.3


@pytest.mark.parametrize("kind", ["colour", "shape", "relation"])
def test_an_edited_scene_is_noticed(judge, kind):
    """The edited picture agrees with the edited description, and not with the old one."""
    stream = RandomStream(5)
    noticed = 0
    for i in range(N):
        scene = SCENES.scene(i)
        edit = minimal_edit(scene.description, stream, kind)
        changed = edited_scene(SCENES, scene, edit) if edit else None
        if changed is None:
            continue
        before = judge.judge(changed.pixels, scene.description)
        assert judge.judge(changed.pixels, changed.description).all_right
        assert kind in {atom.kind for atom in before.wrong}
        assert kind == "relation" or len([atom for atom in before.wrong if atom.kind in ("shape", "colour")]) == 1
        noticed += 1
        if noticed == 3:
            return
    pytest.fail(f"of {N} scenes {noticed} could be edited; 3 expected")


def test_a_missing_and_a_surplus_object_are_noticed(judge):
    i = next(i for i in range(N) if len(SCENES.objects(i)) == 3)
    picture, description = SCENES.picture(i), SCENES.scene(i).description
    fewer = judge.judge(picture, description.select([0, 1]))
    assert [atom.kind for atom in fewer.wrong] == ["count"]
    assert fewer.wrong[0].reason.startswith("3 found (")
    taken = next(shape for shape in ("cross", "heart", "star", "arrow") if shape not in dict(description.objects))
    free = next(colour for colour in COLOURS if colour not in dict(description.objects).values())
    more = judge.judge(picture, Description((*description.objects, (taken, free)), ((3, "above", 0),)))
    assert [(atom.kind, atom.objects) for atom in more.wrong] == [
        ("count", ()), ("shape", (3,)), ("colour", (3,)), ("relation", (3, 0)),
    ]  # fmt: skip
    assert more.wrong[-1].reason == f"{free} {taken} not found"


def test_a_colour_that_is_not_described_is_not_judged(judge):
    picture, scene = SCENES.picture(0), SCENES.scene(0)
    unnamed = replace(scene.description, objects=tuple((shape, "") for shape, _ in scene.description.objects))
    judgement = judge.judge(picture, unnamed)
    assert judgement.all_right
    assert judgement.of_kind("colour") == ()


def test_small_and_oblong_pictures_are_examined_at_the_networks_size(judge):
    for size in ((64, 64), (96, 144)):
        scenes = Scenes(3, size, seed=8, objects=(2, 2), apart=True)
        for i in range(3):
            judgement = judge.judge(scenes.picture(i), scenes.scene(i).description)
            assert judgement.all_right, str(judgement)
            boxes = [judgement.box(match) for match in judgement.matches]
            assert np.abs(np.array(boxes) - scenes.objects(i).boxes.numpy()).max() <= 2


def test_an_empty_picture(judge):
    judgement = judge.judge(np.full((128, 128, 3), 140, np.uint8), Description((("star", "red"),), ()))
    assert judgement.found == ()
    assert {atom.kind: atom.reason for atom in judgement.wrong} == {
        "count": "0 found (none)", "shape": "not found", "colour": "not found",
    }  # fmt: skip


def test_results_are_plain_data_and_can_be_drawn(judge):
    picture, scene = SCENES.picture(0), SCENES.scene(0)
    judgement = judge.judge(picture, scene.description.select([0]))
    data = json.loads(json.dumps(judgement.to_dict()))
    assert data["all_right"] is False
    assert len(data["found"]) == len(scene.description.objects)
    assert data["atoms"][1] == {
        "kind": "shape", "text": article(" ".join(scene.description.objects[0][::-1])), "right": True, "reason": "",
    }  # fmt: skip
    drawn = np.asarray(draw_judgement(picture.image, judgement)).astype(int)
    for colour in (RIGHT, UNMATCHED):
        assert (np.abs(drawn - colour).max(axis=-1) <= 3).sum() > 200


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (Description((("dog", "red"),)), "'dog'"),
        (Description((("star", "beige"),)), "'beige'"),
        (Description((("star", "red"), ("disc", "blue")), ((0, "near", 1),)), "'near'"),
        (Description((("star", "red"),), ((0, "above", 1),)), "objects 0 and 1"),
    ],
)
def test_descriptions_of_other_things_are_refused(judge, description, message):
    with pytest.raises(DataError, match=message):
        judge.judge(SCENES.picture(0), description)


def test_colours_of_true_masks():
    """Textured, shaded objects of every colour."""
    scenes = Scenes(97, 96, seed=3, objects=(3, 8))
    names, true = [], []
    for i in range(len(scenes)):
        scene = scenes.scene(i)
        names += [object_colour(scene.pixels, mask.numpy()) for mask in scene.objects.masks]
        true += scene.colours
    assert set(true) == set(COLOURS)
    assert np.mean([a == b for a, b in zip(names, true, strict=True)]) >= 0.99


def test_grey_is_no_colour():
    assert object_colour(np.full((7, 7, 3), 90, np.uint8), np.ones((7, 7), bool)) is None


def test_relations_of_true_masks_are_those_of_the_scenes():
    """Also of objects that hide each other and lie in holes, whose outlines are fitted."""
    scenes = Scenes(19, 128, seed=3, objects=(3, 5))
    wanted, right, surplus, kinds = 0, 0, 0, set()
    for i in range(len(scenes)):
        scene = scenes.scene(i)
        named, true = found_relations(true_objects(scene)), set(scene.description.relations)
        wanted, right, surplus = wanted + len(true), right + len(true & named), surplus + len(named - true)
        kinds |= {name for _, name, _ in true}
    assert kinds == set(RELATIONS)
    assert right >= 0.97 * wanted
    assert surplus <= 0.03 * wanted


def test_an_outline_is_fitted_to_the_part_that_can_be_seen():
    size = (61, 67)
    true = Outline("heart", 33.0, 29.0, 17.0, 0.4)
    whole, hidden = true.mask(size), np.zeros(size, bool)
    hidden[:, 36:] = True
    outline = fit_outline(found("heart", "red", whole & ~hidden), hidden)
    overlap = (outline.mask(size) & whole).sum() / (outline.mask(size) | whole).sum()
    assert overlap > 0.93


def test_objects_are_matched_where_shape_or_colour_agrees():
    described = [("star", "red"), ("disc", "blue"), ("ring", "pink")]
    objects = [found("disc", "green"), found("cross", "white"), found("star", "blue"), found("star", "red")]
    assert match_objects(described, objects) == (3, 0, None)
    assert match_objects(described, []) == (None, None, None)
    assert match_objects([], objects) == ()


def test_masks_of_one_class_are_divided_by_boxes():
    classes = np.zeros((11, 23), np.uint8)
    classes[2:9, 1:8] = classes[2:9, 12:21] = 3  # two squares, and a stray part elsewhere
    classes[0, 9:11] = 3
    first, second = object_masks([(1, 2, 8, 9), (12, 2, 21, 9)], [3, 3], classes)
    assert box_around(first) == (1, 2, 8, 9)
    assert box_around(second) == (12, 2, 21, 9)


def test_masks_of_a_ring_in_a_ring_are_two():
    size, boxes = (41, 41), [(2.0, 2.0, 39.0, 39.0), (13.0, 13.0, 28.0, 28.0)]
    outer, inner = Outline("ring", 20.5, 20.5, 18.5, 0.0).mask(size), Outline("ring", 20.5, 20.5, 7.5, 0.0).mask(size)
    masks = object_masks(boxes, [5, 5], (outer | inner).astype(np.uint8) * 5)
    assert (masks[0] == outer).all()
    assert (masks[1] == inner).all()


def test_objects_of_one_class_that_touch_are_divided():
    classes = np.zeros((9, 17), np.uint8)
    classes[1:8, 1:16] = 2
    first, second = object_masks([(1, 1, 8, 8), (8, 1, 16, 8)], [2, 2], classes)
    assert not (first & second).any()
    assert abs(int(first.sum()) - 49) <= 7
    assert abs(int(second.sum()) - 56) <= 7


def test_shares_have_wilson_intervals():
    assert Share(9, 10).interval == wilson_interval(9, 10)
    assert str(Share(0, 0)) == "none"


def test_scores_by_number_of_objects(judged):
    scores = JudgementScores.of(judged)
    assert set(scores.by_objects) == {2, 3}
    assert sum(each["pictures"].n for each in scores.by_objects.values()) == N
    assert "3 objects" in scores.table().splitlines()[0]
    json.dumps(scores.to_dict())


@pytest.mark.parametrize("shape", ["heart", "star", "frame"])
def test_motions_of_true_masks(shape):
    size = (79, 83)

    def motion(**changes):
        start = {"x": 37.0, "y": 31.0, "radius": 14.0, "angle": 0.3}
        track = []
        for t in range(9):
            moment = {name: start[name] + changes.get(name, 0.0) * t / 8 for name in start}
            track.append(found(shape, "red", Outline(shape, **moment).mask(size)))
        return motion_of(track)

    assert motion() == "stays still"
    assert motion(x=20.0) == "moves right"
    assert motion(x=-20.0) == "moves left"
    assert motion(y=-14.0) == "moves up"
    assert motion(y=20.0) == "moves down"
    assert motion(x=20.0, y=17.0) == "moves diagonally"
    assert motion(radius=9.0) == "grows"
    assert motion(radius=-5.0) == "shrinks"
    assert motion(angle=2.0) == "turns clockwise"
    assert motion(angle=-2.0) == "turns counterclockwise"


def test_a_film_is_right_and_another_motion_is_noticed(judge):
    film = Scenes(5, 64, seed=4, objects=(2, 2), apart=True).film(1, 7)
    description = FilmDescription.of(film)
    judgement = judge_film(film.frames, description, judge.finder)
    assert judgement.all_right, judgement.wrong
    json.dumps(judgement.to_dict())
    other = "moves up" if description.motions[0] != "moves up" else "moves down"
    changed = judge_film(film.frames, replace(description, motions=(other, description.motions[1])), judge.finder)
    assert [(atom.kind, atom.objects) for atom in changed.wrong] == [("motion", (0,))]


def objects_of(film):
    """What the judge would find in each frame of a drawn film, were its networks perfect."""
    return [
        [found(film.names[i], film.colours[i], mask.numpy()) for i, mask in zip(track, objects.masks, strict=True)]
        for track, objects in zip(film.tracks, film.objects, strict=True)
    ]


def reverse(motion):
    for one, other in (("left", "right"), ("up", "down"), ("grows", "shrinks"), ("counterclockwise", "clockwise")):
        for old, new in ((one, other), (other, one)):
            if motion.endswith(old):
                return motion.removesuffix(old) + new
    return motion


@pytest.fixture(scope="module")
def films():
    """Drawn films of one and of two objects, with what is found in them."""
    worlds = [Scenes(7, 64, seed=5, objects=(k, k), apart=True) for k in (1, 2)]
    drawn = [world.film(i, 7) for world in worlds for i in range(7)]
    return [(objects_of(film), FilmDescription.of(film)) for film in drawn]


def motions_of(objects, description):
    """Whether each motion is right."""
    return [atom.right for atom in judge_found_film(objects, description).atoms if atom.kind == "motion"]


def test_drawn_films_are_right(films):
    assert all(judge_found_film(objects, description).all_right for objects, description in films)
    assert len({motion for _, description in films for motion in description.motions}) == 9


def test_a_still_film_shows_no_motion(films):
    for objects, description in films:
        assert motions_of([objects[0]] * 7, description) == [each == "stays still" for each in description.motions]


def test_a_reversed_film_shows_the_reverse_motions(films):
    for objects, description in films:
        backwards = replace(description, motions=tuple(map(reverse, description.motions)))
        assert motions_of(objects[::-1], description) == [each == "stays still" for each in description.motions]
        assert all(motions_of(objects[::-1], backwards))


def test_a_film_with_its_frames_shuffled_is_wrong(films):
    for objects, description in films:
        right = motions_of([objects[t] for t in (3, 6, 0, 5, 1, 4, 2)], description)
        assert right == [each == "stays still" for each in description.motions]


def test_an_object_that_is_lost_or_doubled_in_one_frame_is_noticed(films):
    objects, description = films[-1]
    fewer = judge_found_film([*objects[:4], objects[4][:1], *objects[5:]], description)
    lost = next(i for i, track in enumerate(fewer.tracks) if track[4] is None)
    assert {(atom.kind, atom.objects) for atom in fewer.wrong} == {
        ("count", ()),
        *((kind, (lost,)) for kind in ("shape", "colour", "motion")),
    }
    more = judge_found_film([*objects[:4], [*objects[4], objects[4][0]], *objects[5:]], description)
    assert [(atom.kind, atom.reason) for atom in more.wrong] == [("count", "3 found in frame 4")]


def test_bad_films_are_refused(judge):
    with pytest.raises(DataError, match="1 frames"):
        judge_film(np.zeros((1, 64, 64, 3), np.uint8), FilmDescription((), ()), judge.finder)
    with pytest.raises(DataError, match="'flies'"):
        FilmDescription((("star", "red"),), ("flies",))
    with pytest.raises(DataError, match="1 objects and 2 motions"):
        FilmDescription((("star", "red"),), ("grows", "grows"))
