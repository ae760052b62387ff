"""Films show what their captions say."""

import numpy as np
import pytest
import torch

from saccade.data.scenes import Scenes
from saccade.data.scenes.captions import korean_phrases, phrases
from saccade.data.scenes.films import DIRECTIONS
from saccade.errors import DataError

SIZE = (113, 139)


@pytest.fixture(scope="module")
def films():
    scenes = Scenes(40, SIZE, seed=6)
    return [scenes.film(i, frames=5) for i in range(40)]


def whole(film, track):
    """Boxes (t 4) and areas of an object by frame, if nothing comes near it in any, else None."""
    boxes, areas = [], []
    for objects, tracks in zip(film.objects, film.tracks, strict=True):
        if track not in tracks:
            return None
        k = tracks.index(track)
        hidden = [r for s, r, o in objects.relations.tolist() if o == k and r == 3]
        overlapped = (
            (objects.boxes[:, :2] < objects.boxes[k, 2:]) & (objects.boxes[:, 2:] > objects.boxes[k, :2])
        ).all(1)
        if hidden or overlapped.sum() > 1:
            return None
        boxes.append(objects.boxes[k])
        areas.append(int(objects.masks[k].sum()))
    return torch.stack(boxes), areas


def test_types_and_shapes(films):
    for film in films:
        assert film.frames.dtype == np.uint8
        assert film.frames.shape == (5, *SIZE, 3)
        assert len(film.objects) == len(film.tracks) == 5
        count = len(film.names)
        assert 2 <= count <= 5
        assert len(film.colours) == len(film.motions) == count
        for objects, tracks in zip(film.objects, film.tracks, strict=True):
            assert len(objects) == len(tracks) == len(set(tracks))
            assert set(tracks) <= set(range(count))


def test_objects_are_hardly_ever_lost(films):
    seen = [len(tracks) == len(film.names) for film in films for tracks in film.tracks]
    assert np.mean(seen) > 0.98


def test_objects_move_as_captioned(films):
    met = []
    for film in films:
        for track, motion in enumerate(film.motions):
            found = whole(film, track)
            if found is None:
                continue
            met.append(motion)
            boxes, areas = found
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            steps = centres.diff(dim=0)
            across, down = DIRECTIONS[motion]
            if across or down:
                along = steps @ torch.tensor([across, down], dtype=torch.float32)
                assert (along > 2).all()
                assert along.max() - along.min() <= 1.5  # evenly, but for whole pixels
                assert (steps @ torch.tensor([down, across], dtype=torch.float32)).abs().max() <= 1
                assert max(areas) / min(areas) < 1.15
            elif motion == "stays still":
                assert (boxes == boxes[0]).all()
            elif motion == "grows":
                assert areas == sorted(areas)
                assert 2.2 < areas[-1] / areas[0] < 3.7  # 1.7 squared is 2.9
            elif motion == "shrinks":
                assert areas == sorted(areas, reverse=True)
            else:
                assert max(areas) / min(areas) < 1.3
    assert set(met) == set(DIRECTIONS)


def test_rotations_have_the_stated_direction(films):
    """By the direction in which a lopsided shape's farthest pixels lie: its third moment."""
    seen = set()
    for film in films:
        for track, motion in enumerate(film.motions):
            if not motion.startswith("turns") or film.names[track] not in ("arrow", "crescent"):
                continue
            if whole(film, track) is None:
                continue
            angles = []
            for objects, tracks in zip(film.objects, film.tracks, strict=True):
                places = objects.masks[tracks.index(track)].nonzero().double().flip(1) + 0.5
                x, y = (places - places.mean(0)).T
                skew = torch.stack([(x * (x * x + y * y)).sum(), (y * (x * x + y * y)).sum()])
                angles.append(torch.atan2(skew[1], skew[0]))  # y downwards: clockwise is positive
            turned = torch.stack(angles).diff()
            turned = torch.remainder(turned + torch.pi, 2 * torch.pi) - torch.pi
            assert (turned > 0).all() if motion == "turns clockwise" else (turned < 0).all()
            seen.add(motion)
    assert seen == {"turns clockwise", "turns counterclockwise"}


def test_something_happens_in_every_film(films):
    for film in films:
        assert any(motion != "stays still" for motion in film.motions)
        assert (film.frames[0] != film.frames[-1]).any()


def test_more_frames_show_the_same_film():
    scenes = Scenes(3, SIZE, seed=1)
    few, many = scenes.film(2, 3), scenes.film(2, 5)
    assert np.array_equal(few.frames, many.frames[::2])
    assert few.captions == many.captions
    again = Scenes(10, SIZE, seed=1).film(2, 3)
    assert np.array_equal(few.frames, again.frames)


def test_captions_say_how_each_object_moves(films):
    for film in films:
        called = phrases(film.names, film.colours)
        expected = [f"The {phrase} {motion}." for phrase, motion in zip(called, film.motions, strict=True)]
        assert film.captions["en"] == " ".join(expected)
        sentences = film.captions["ko"].removesuffix(".").split(". ")
        assert len(sentences) == len(called)
        words = {
            "moves right": "오른쪽으로", "moves left": "왼쪽으로", "moves up": "위로", "moves down": "아래로",
            "turns clockwise": "시계 방향", "turns counterclockwise": "시계 반대 방향", "grows": "커진다",
            "shrinks": "작아진다", "stays still": "가만히",
        }  # fmt: skip
        for sentence, phrase, motion in zip(
            sentences, korean_phrases(film.names, film.colours), film.motions, strict=True
        ):
            assert sentence.startswith(phrase)
            assert sentence[len(phrase)] in "이가"
            assert words[motion] in sentence


def test_one_frame_is_no_film():
    with pytest.raises(DataError, match="a film of 1 frames was requested; 2 or more expected"):
        Scenes(1).film(0, 1)
