"""Changes of a tree of files, by the structure of each file where it has one."""

import json
import re
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from random import Random

Tree = dict[str, bytes]

VALUES: list[object] = [
    None, True, False, 0, -1, 1, 2, 255, 256, 65536, 2**31 - 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e-320, 1e308,
    float("nan"), float("inf"), "", "nan", "1", "\x00", "a\nb", "‮txt\x1b[31m", "\ud800", "é" * 400, "../../etc", "/",
    "C:\\a\\1.png", "no", [], {}, [[]], [None], {"": []}, [0.1] * 7, "train", "1.png",
]  # fmt: skip
WORDS = [
    b"", b"0", b"-1", b"1", b"2", b"nan", b"inf", b"-inf", b"1e308", b"0.5", b"1.5", b"99999999999999999999", b"\x00",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r", b"\t", b",", b";", b":", b"'", b'"', b"[", b"{", b"&a *a", b"<<: *a",
    b"&lt;", b"<!DOCTYPE a>", b"no", b"true", b"~", b"!!python/name:os.system", b"1_000", b"0x1F", b"2024-01-01",
    b"\xd9\xa3", "é\u202e".encode(), b"\x1b[2J", b"a" * 5000, b"../", b"/etc/passwd", b"[" * 3000, b"http://a/b",
]  # fmt: skip
INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
NAMES = ("a\nb", "x‮y", "\x1b[31m", " ", "é" * 60, "con", "-x", "a.b.c", "%s", "*", "train", "val", "labels", "0")
TEXT = (".txt", ".xml", ".csv", ".tsv", ".yaml", ".yml", ".jsonl", ".names", ".data")


def mutate(tree: Tree, others: list[Tree], rng: Random) -> Tree:
    """A copy of `tree` with one to four changes. others: trees that files are taken from."""
    tree = dict(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        name = rng.choice(sorted(tree)) if tree else ""
        if not name or rng.random() < 0.15:
            _mutate_names(tree, name, others, rng)
        else:
            tree[name] = mutate_file(name, tree[name], rng)
    return tree


def mutate_file(name: str, data: bytes, rng: Random) -> bytes:
    """The contents of a file with one change."""
    suffix = PurePosixPath(name).suffix.lower()
    ways: list[Callable[[bytes, Random], bytes]] = [mutate_bytes]
    if suffix == ".json":
        ways += [mutate_json] * 4 + [mutate_words]
    elif suffix == ".jsonl":
        ways += [mutate_words, mutate_json_lines, mutate_json_lines]
    elif suffix in TEXT:
        ways += [mutate_words] * 4
    elif suffix == ".png":
        ways += [mutate_png] * 3
    elif suffix == ".safetensors":
        ways += [mutate_safetensors] * 3
    return rng.choice(ways)(data, rng)


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """A change that knows nothing of the format."""
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    end = min(end, at + rng.choice((1, 4, 64, 4096)))
    way = rng.randrange(7)
    if way == 0:
        return data[:at]
    if way == 1:
        return data[:at] + data[end:]
    if way == 2:
        return data[:end] + data[at:end] * rng.choice((1, 1, 2, 100)) + data[end:]
    if way == 3:
        return data[:at] + rng.randbytes(end - at) + data[end:]
    if way == 4:
        size, order = rng.choice((1, 2, 4, 8)), rng.choice(("big", "little"))
        number = rng.choice(INTEGERS) & ((1 << 8 * size) - 1)
        return data[:at] + number.to_bytes(size, order) + data[at + size :]
    if way == 5 and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    return data[:at] + rng.choice(WORDS) + data[at:]


def mutate_words(data: bytes, rng: Random) -> bytes:
    """A word, number or mark of a text replaced, repeated, removed or swapped; or a line of it."""
    parts = re.findall(rb"[^\n]*\n|[^\n]+" if rng.random() < 0.3 else rb"[\w.+-]+|\s+|[^\w\s]", data)
    if not parts:
        return rng.choice(WORDS)
    i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
    way = rng.randrange(5)
    if way == 0:
        parts[i] = rng.choice(WORDS)
    elif way == 1:
        parts[i] *= rng.choice((2, 3, 50))
    elif way == 2:
        parts[i] = b""
    elif way == 3:
        parts[i], parts[j] = parts[j], parts[i]
    else:
        parts[i] = parts[j]
    return b"".join(parts)


def mutate_json(data: bytes, rng: Random) -> bytes:
    """A value anywhere in a JSON document replaced, removed, repeated or nested."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_words(data, rng)
    places = list(_places(document))
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    holder, key = rng.choice(places)
    way = rng.randrange(6)
    if way == 0:
        del holder[key]
    elif way == 1:
        other, name = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[name]))
    elif way == 2 and isinstance(holder, dict):
        holder[str(rng.choice((*VALUES, *holder)))] = holder[key]
    elif way == 3 and isinstance(holder, list):
        holder[key:key] = [holder[key]] * rng.choice((1, 2, 300))
    elif way == 4:
        holder[key] = rng.choice(([holder[key]], {"a": holder[key]}, str(holder[key])))
    else:
        holder[key] = rng.choice(VALUES)
    return json.dumps(document).encode()


def mutate_json_lines(data: bytes, rng: Random) -> bytes:
    """A value in one of the lines of a JSON lines file."""
    lines = data.splitlines() or [b"{}"]
    i = rng.randrange(len(lines))
    lines[i] = mutate_json(lines[i], rng)
    return b"\n".join(lines)


def mutate_png(data: bytes, rng: Random) -> bytes:
    """The contents of a chunk, with a correct checksum; or chunks removed, repeated and swapped."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    if not chunks:
        return mutate_bytes(data, rng)
    i, j = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    way = rng.randrange(5)
    if way == 0:
        del chunks[i]
    elif way == 1:
        chunks.insert(j, chunks[i])
    elif way == 2:
        chunks[i], chunks[j] = chunks[j], chunks[i]
    else:
        kind, held = chunks[i]
        if kind == b"IDAT":
            held = zlib.compress(mutate_bytes(_inflated(held), rng))
        chunks[i] = kind, held if kind == b"IDAT" else mutate_bytes(held, rng)
    return data[:8] + b"".join(png_chunk(*each) for each in chunks)


def png_chunk(kind: bytes, held: bytes) -> bytes:
    return len(held).to_bytes(4, "big") + kind + held + zlib.crc32(kind + held).to_bytes(4, "big")


def mutate_safetensors(data: bytes, rng: Random) -> bytes:
    """The JSON header, with its length corrected."""
    size = int.from_bytes(data[:8], "little")
    if not 0 < size <= len(data) - 8:
        return mutate_bytes(data, rng)
    header = mutate_json(data[8 : 8 + size], rng)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _mutate_names(tree: Tree, name: str, others: list[Tree], rng: Random) -> None:
    """A file removed, renamed, copied, emptied, or put in from another tree."""
    path = PurePosixPath(name)
    way = rng.randrange(5)
    if way == 0 or not name:
        other = rng.choice(others)
        taken = rng.choice(sorted(other))
        tree[taken if rng.random() < 0.7 else name or taken] = other[taken]
    elif way == 1:
        del tree[name]
    elif way == 2:
        tree[name] = b""
    else:
        stem, parent = rng.choice((*NAMES, path.stem)), rng.choice((path.parent, *path.parents, path.parent / "val"))
        suffix = rng.choice((path.suffix, path.suffix.upper(), "", ".txt", ".json"))
        data = tree[name] if way == 3 else tree.pop(name)
        new = str(parent / f"{stem}{suffix}")
        if not any(each.startswith(f"{new}/") or new.startswith(f"{each}/") for each in tree):
            tree[new] = data


def _places(value: object) -> list[tuple]:
    """Every (container, key) of a JSON document."""
    found, left = [], [value]
    while left:
        holder = left.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            found.append((holder, key))
            left.append(holder[key])  # type: ignore[index]
    return found


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data
