"""Which processor, which precision, which processes."""

import platform
import re

import pytest
import torch
import torch.distributed as dist

from saccade import device as device_module
from saccade.device import (
    Device,
    bf16_speedup,
    init_device,
    keep_freed_memory,
    leave_process_group,
    pick_device,
    precision_cost,
    supports_bf16,
)
from saccade.errors import SaccadeError

CPU = torch.device("cpu")


def having(monkeypatch, *kinds):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)


@pytest.mark.parametrize(("kinds", "best"), [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda")])
def test_the_best_there_is(monkeypatch, kinds, best):
    having(monkeypatch, *kinds)
    assert pick_device().type == best
    assert pick_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", ""])
def test_unknown_devices_are_refused_with_the_existing_ones(monkeypatch, name):
    having(monkeypatch)
    with pytest.raises(SaccadeError, match=f"no device '{name}' here; there is cpu"):
        pick_device(name)


@pytest.mark.parametrize(
    ("avx", "amx", "speedup", "chosen"),
    [(False, False, 9.0, False), (True, False, 1.9, True), (True, False, 0.6, False), (False, True, 0.6, True)],
)
def test_bf16_is_chosen_where_the_processor_is_faster_in_it(monkeypatch, avx, amx, speedup, chosen):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(device_module, "bf16_speedup", lambda: speedup)
    assert supports_bf16(CPU) == chosen
    assert init_device("cpu").bf16 == chosen
    assert init_device("cpu", "bf16").bf16  # whatever it costs
    assert not init_device("cpu", "fp32").bf16
    assert not supports_bf16(torch.device("mps"))


def test_all_processes_have_the_precision_of_the_first(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(device_module.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(device_module, "supports_bf16", lambda device: False)
    monkeypatch.setattr(device_module.dist, "all_reduce", lambda flag: flag.add_(1))
    assert init_device("cpu").bf16


@pytest.mark.parametrize(
    ("place", "speedup", "cost"),
    [
        (Device(CPU, True, 0, 1), 0.25, "bf16 take 4 times as long as in fp32 .* --precision fp32"),
        (Device(CPU, True, 0, 1), 1.5, "^$"),
        (Device(CPU, False, 0, 1), 0.25, "^$"),
        (Device(torch.device("cuda"), True, 0, 1), 0.25, "^$"),
    ],
)
def test_bf16_that_is_slower_is_reported(monkeypatch, place, speedup, cost):
    monkeypatch.setattr(device_module, "bf16_speedup", lambda: speedup)
    assert re.search(cost, precision_cost(place))


def test_the_speedup_is_measured(monkeypatch):
    clock = iter([0.0, 8.0, 0.0, 6.0, 0.0, 2.0, 0.0, 3.0])  # fp32: 8 and 6 seconds, bf16: 2 and 3
    monkeypatch.setattr(device_module, "_MEASURED_TURNS", 2)
    monkeypatch.setattr(device_module.time, "perf_counter", lambda: next(clock))
    assert bf16_speedup() == 3


def test_bf16_of_a_gpu_is_not_its_emulation(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert not supports_bf16(torch.device("cuda"))


@pytest.mark.parametrize(("precision", "expected"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_precision_of_a_forward_pass(precision, expected):
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    with init_device("cpu", precision).autocast_context():
        assert layer(x).dtype == expected
    assert layer(x).dtype == torch.float32


def test_alone_it_is_the_whole_world(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    alone = init_device("cpu", "fp32")
    assert (alone.rank, alone.world, alone.main) == (0, 1, True)
    x = torch.ones(2)
    assert alone.sum_over_processes(x) is x
    leave_process_group(alone)
    assert str(alone) == "cpu in fp32"


def test_it_takes_the_place_torchrun_gives(monkeypatch):
    started = []
    shared = dist.HashStore()
    monkeypatch.setattr(device_module.dist, "rendezvous", lambda url: iter([(shared, 3, 4)]))
    monkeypatch.setattr(
        device_module.dist, "init_process_group", lambda backend, **given: started.append((backend, given))
    )
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    place = init_device("cpu", "bf16")
    assert (place.rank, place.world, place.main) == (3, 4, False)
    (backend, given) = started.pop()
    assert (backend, given["rank"], given["world_size"]) == ("gloo", 3, 4)
    given["store"].set("address", "of a process that is lost")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    init_device("cpu", "bf16")
    assert not started.pop()[1]["store"].check(["address"])
    assert str(place) == "cpu x 4 processes in bf16"


@pytest.mark.parametrize(("rank", "first"), [(None, True), ("0", True), ("5", False)])
def test_the_first_process(monkeypatch, rank, first):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert device_module.is_main_process() == first


def test_a_sum_leaves_what_was_given(monkeypatch):
    monkeypatch.setattr(device_module.dist, "all_reduce", lambda x: x.mul_(2))
    x = torch.ones(2, requires_grad=True)
    total = Device(CPU, False, 0, 2).sum_over_processes(x)
    assert total.tolist() == [2, 2]
    assert x.tolist() == [1, 1]
    assert not total.requires_grad


def test_freed_memory_is_kept_where_the_c_library_can(monkeypatch):
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
    monkeypatch.setattr(device_module.sys, "platform", "darwin")
    assert not keep_freed_memory()
