#!/usr/bin/env bash
# datasets' imagefolder reads captions of metadata.csv by type: words become missing values, digits become integers.
#
# The captions "NA", "None" and "null" come back as None, and in a file whose captions are all digits "007" comes back
# as the integer 7. The same captions in metadata.jsonl come back as they were written.
# Consequence: write captions as JSON Lines; refuse a caption that is not a string instead of formatting it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q datasets==5.2.0 pillow==13.0.0
cd "$work"
export HF_HUB_OFFLINE=1 HF_HOME="$work/home"
venv/bin/python - <<'PY'
import csv
import json
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()
print(f"datasets {datasets.__version__}")


def read(name, captions, kind):
    folder = Path(name)
    folder.mkdir()
    rows = [{"file_name": f"{i}.png", "caption": caption} for i, caption in enumerate(captions)]
    for row in rows:
        Image.new("RGB", (8, 8), "red").save(folder / row["file_name"])
    if kind == "csv":
        with open(folder / "metadata.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ["file_name", "caption"], quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
    else:
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return datasets.load_dataset("imagefolder", data_dir=name, split="train")["caption"][:]


words, digits = ["a red disc", "NA", "None", "null"], ["007", "42"]
seen = {}
for kind in ("csv", "jsonl"):
    for name, captions in (("words", words), ("digits", digits)):
        seen[kind, name] = read(f"{name}-{kind}", captions, kind)
        print(f"{kind:>5}: {captions} -> {seen[kind, name]}")

expected = {
    ("csv", "words"): ["a red disc", None, None, None],
    ("csv", "digits"): [7, 42],
    ("jsonl", "words"): words,
    ("jsonl", "digits"): digits,
}
raise SystemExit(0 if seen == expected else f"changed: expected {expected}, found {seen}")
PY
