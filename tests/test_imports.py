"""Imports point one way, heavy libraries are not imported until they are needed, and nothing unpickles."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "saccade"

# What each room of the library may import from. "" is the face, saccade/__init__.py, which re-exports from all.
GROUND = {"displays", "errors", "lazy", "ops", "options", "version"}
BELOW_TASKS = GROUND | {"device", "layers", "models", "lens", "data", "checkpoints"}
MAY_IMPORT = {
    "errors": set(),
    "displays": {"lazy"},
    "lazy": set(),
    "version": set(),
    "options": {"errors"},
    "device": {"errors"},
    "ops": {"errors"},
    "layers": GROUND,
    "models": GROUND | {"layers"},
    "lens": GROUND,
    "data": GROUND,
    "checkpoints": GROUND | {"layers", "models", "data"},
    "engines": GROUND,
    "language": set(),
    "tasks": BELOW_TASKS | {"engines", "language"},
    "train": BELOW_TASKS | {"language", "tasks"},
    "studio": BELOW_TASKS | {"language", "tasks", "train"},
    "cli": BELOW_TASKS | {"language", "tasks", "train", "studio", ""},
    "__main__": {"cli"},
    "": BELOW_TASKS | {"tasks", "train", "studio"},
}
# Not needed by the library itself: imported, if at all, inside the function that needs them.
OPTIONAL = {
    "onnx",
    "onnxscript",
    "onnxruntime",
    "openvino",
    "av",
    "transformers",
    "torchvision",
    "timm",
    "diffusers",
    "open_clip",
}
# Modules and functions that can run code found in a file.
UNPICKLES = {
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal",
    "torch.load", "torch.save", "torch.serialization", "torch.hub", "torch.package", "torch.distributed.checkpoint",
    "pandas.read_pickle", "numpy.core.multiarray",
}  # fmt: skip


def imported(tree: ast.AST, package: str) -> Iterator[tuple[ast.stmt, str]]:
    """Every import of a module of `package` (dotted), with the full dotted name of what it brings in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node, f"{base}.{alias.name}") for alias in node.names)


def room(dotted: str) -> str:
    """The room of the library that a dotted name such as saccade.ops.attention lies in; "" is the face."""
    parts = dotted.split(".")
    if len(parts) == 1:
        return ""
    known = parts[1] in MAY_IMPORT or (SOURCE / parts[1]).is_dir() or (SOURCE / f"{parts[1]}.py").is_file()
    return parts[1] if known else ""


def wrong_directions(source: str, module: str, package: str) -> list[str]:
    here = room(module)
    if here not in MAY_IMPORT:
        return [f"{module}: say in this test what the new room {here!r} may import"]
    return [
        f"{module}: {here or 'the face'} imports {name}"
        for _, name in imported(ast.parse(source), package)
        if name.split(".")[0] == "saccade" and room(name) not in MAY_IMPORT[here] | {here}
    ]


def early_imports(source: str, module: str, package: str) -> list[str]:
    """Imports of optional libraries that run when the module is imported: outside any function."""
    tree = ast.parse(source)
    inside = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    return [
        f"{module}: {name}"
        for statement, name in imported(tree, package)
        if name.split(".")[0] in OPTIONAL and id(statement) not in inside
    ]


def unpickling(source: str, module: str, package: str) -> list[str]:
    tree = ast.parse(source)
    imports = list(imported(tree, package))
    alias = {"torch": "torch", "np": "numpy", "pd": "pandas"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            alias |= {each.asname: each.name for each in node.names if each.asname}
    used = [name for _, name in imports]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            used.append(f"{alias.get(first, first)}.{rest}")
    found = [name for name in used if any(f"{name}.".startswith(f"{bad}.") for bad in UNPICKLES)]
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            found.append("allow_pickle")
    return [f"{module}: {name}" for name in found]


def circle(sources: dict[tuple[str, str], str]) -> list[str]:
    """Modules of a circle of imports, the first one again at the end; empty if there is none.

    sources: text by (module, package). Every import counts: also those inside functions and under TYPE_CHECKING, which
    run later or never but tie the modules together all the same. `from a.b import c` is an import of a.b.c if that is a
    module, else of a.b; that Python runs a/__init__.py before a.b does not count.
    """
    modules = {module for module, _ in sources}

    def nearest(name: str) -> str:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    graph = {
        module: {nearest(name) for _, name in imported(ast.parse(source), package)} - {module, ""}
        for (module, package), source in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def sources() -> Iterator[tuple[str, str, str]]:
    """Text, module and package of every file."""
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 15, "the source tree was not found"
    for file in files:
        parts = ("saccade", *file.relative_to(SOURCE).with_suffix("").parts)
        package = ".".join(parts[:-1])
        yield file.read_text(encoding="utf-8"), package if parts[-1] == "__init__" else ".".join(parts), package


def over_the_source(check) -> list[str]:
    return [line for text, module, package in sources() for line in check(text, module, package)]


@pytest.mark.parametrize("check", [wrong_directions, early_imports, unpickling])
def test_source(check):
    assert over_the_source(check) == []


def test_no_modules_import_each_other():
    assert circle({(module, package): text for text, module, package in sources()}) == []


@pytest.mark.parametrize(
    "back",
    [
        "from s import a",
        "from s.a import f",
        "from .a import f",
        "import s.a",
        "def f():\n    import s.a",
        "if TYPE_CHECKING:\n    from s.a import A",
    ],
)
def test_a_planted_circle_is_found(back):
    found = circle({("s", "s"): "", ("s.a", "s"): "from s.b import f", ("s.b", "s"): "import s.c", ("s.c", "s"): back})
    assert len(found) == 4
    assert found[0] == found[-1]
    assert set(found) == {"s.a", "s.b", "s.c"}


def test_a_package_that_exports_its_modules_is_no_circle():
    assert circle({("s", "s"): "from s.a import f", ("s.a", "s"): "from s import b", ("s.b", "s"): "import os"}) == []
    assert circle({("s", "s"): "from s.a import f", ("s.a", "s"): "from s import f"})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("saccade.ops.attention", "from saccade.layers import Attention"),
        ("saccade.ops.attention", "from ..layers.attention import Attention"),
        ("saccade.ops.attention", "def f():\n    import saccade.models.vit"),
        ("saccade.layers.block", "from saccade import models"),
        ("saccade.layers.block", "from saccade import attend"),
        ("saccade.lens.trace.trace", "from saccade.layers import Block"),
        ("saccade.data.folder", "from saccade.tasks import classify"),
        ("saccade.tasks.classify.task", "from saccade.train import fit"),
        ("saccade.train.loop", "from saccade.cli import main"),
        ("saccade.train.loop", "import saccade"),
        ("saccade.checkpoints.hf", "from saccade.tasks import load"),
    ],
)
def test_a_planted_wrong_import_is_found(module, source):
    assert wrong_directions(source, module, module.rpartition(".")[0])


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("saccade.models.vit", "from saccade.layers import Block\nfrom saccade.ops import grid_of\nimport torch"),
        ("saccade.ops.masks", "from .attention import causal_mask\nfrom ..errors import SaccadeError"),
        ("saccade.lens.trace.trace", "from saccade.errors import SaccadeError\nfrom saccade import ops"),
        ("saccade.cli", "import saccade\nfrom saccade.studio.page.page import write_page"),
    ],
)
def test_a_right_import_is_not(module, source):
    assert wrong_directions(source, module, module.rpartition(".")[0]) == []


def test_a_planted_early_import_is_found():
    assert early_imports("import transformers.models", "m", "saccade")
    assert early_imports("class A:\n    from timm import create_model", "m", "saccade")
    assert early_imports("try:\n    import diffusers\nexcept ImportError:\n    pass", "m", "saccade")
    assert not early_imports("def f():\n    import transformers", "m", "saccade")


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x')",
        "from torch import load",
        "torch.hub.load('x', 'y')",
        "import torch.distributed.checkpoint as dcp",
        "from torch.distributed import checkpoint",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
    ],
)
def test_planted_unpickling_is_found(source):
    assert unpickling(source, "m", "saccade")


def test_safetensors_are_not_unpickling():
    source = "from safetensors.torch import load_file\nload_file('x')\nimport json\njson.load(f)"
    assert unpickling(source, "m", "saccade") == []
