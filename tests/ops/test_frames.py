"""Groups of frames: their number, their times, and what each frame takes from its group."""

import pytest
import torch

from saccade.ops.frames import count_frame_groups, group_frames, group_times, repeat_per_frame


@pytest.mark.parametrize(("frames", "groups"), [(1, 1), (2, 1), (3, 2), (16, 8), (17, 9)])
def test_groups(frames, groups):
    assert count_frame_groups(frames) == groups
    assert group_times(frames).shape == (groups,)


def test_times_are_in_the_middle_of_their_frames():
    assert group_times(5).tolist() == [0.0, 0.75, 1.75]
    assert group_times(4, first=5).tolist() == [2.75, 3.75]
    assert group_times(1, first=7).tolist() == [3.5]


def test_each_frame_takes_the_value_of_its_group():
    values = torch.tensor([[1.0, 2.0, 3.0]])
    assert repeat_per_frame(values, 5).tolist() == [[1.0, 2.0, 2.0, 3.0, 3.0]]
    assert repeat_per_frame(values, 6).tolist() == [[1.0, 1.0, 2.0, 2.0, 3.0, 3.0]]


@pytest.mark.parametrize("frames", [0, 1, 2, 5, 8])
def test_frames_of_groups_are_those_that_share_a_value(frames):
    numbers = repeat_per_frame(torch.arange(count_frame_groups(frames))[None], frames)[0].tolist()
    assert [[i for i in range(frames) if numbers[i] == group] for group in range(count_frame_groups(frames))] == [
        list(group) for group in group_frames(frames)
    ]
