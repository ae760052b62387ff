"""`saccade doctor`."""

import json
import subprocess
import sys

from PIL import Image

from saccade.data.objects.sets import open_objects

from ..data.captions.captioned_sets import write_table
from ..data.objects.annotated_sets import coco, write_coco, write_voc, xml


def test_a_sound_set(saccade, tmp_path):
    root = write_coco(tmp_path / "set")
    completed = saccade("doctor", root)
    assert (completed.code, completed.err) == (0, "")
    assert f"{root}: COCO, 5 readable pictures" in completed.out
    assert "5 sizes, sides of 41 to 83 pixels" in completed.out
    assert "note         1 picture without objects: fine" in completed.out
    assert "error" not in completed.out


def test_no_table_of_a_set_that_cannot_be_read(saccade, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (19, 13)).save(folder / "one.png")
    completed = saccade("doctor", folder)
    assert completed.code == 1
    assert completed.out.splitlines()[:3] == [completed.out.splitlines()[0], "no readable pictures", ""]
    assert "photos has no class folders (found: 1 loose picture" in completed.out


def test_the_sheet_overwrites_no_data(saccade, tmp_path):
    root = write_coco(tmp_path / "set")
    picture = next(root.glob("images/*"))
    before = picture.read_bytes()
    completed = saccade("doctor", root, "--draw", picture)
    assert completed.code == 1
    assert f"{picture} is a file of {root}; writing there destroys it: choose another" in completed.err
    assert picture.read_bytes() == before


def test_errors_are_reported_as_text_and_as_json(saccade, tmp_path):
    root = write_voc(tmp_path / "set", {"train": "abc", "val": "de"})
    (root / "Annotations" / "b.xml").write_text(xml(1, objects=[("bee", (7, 7, 7, 7))]))
    completed = saccade("doctor", root)
    assert completed.code == 1
    assert "1 box without width or height: remove them; often a click without a drag" in completed.out
    assert "JPEGImages/b.png, object 1: its box (7, 7, 7, 7) has no width" in completed.out
    assert completed.out.splitlines()[-1].startswith("1 kind of error, ")
    completed = saccade("doctor", root, "--json")
    report = json.loads(completed.out)
    assert (completed.code, report["sound"], report["format"]) == (1, False, "VOC")
    assert report["splits"]["train"] == {"pictures": 3, "objects": {"ant": 1, "bee": 0, "cat": 1}}
    first = report["findings"][0]
    assert (first["severity"], first["kind"], first["count"]) == ("error", "box empty", 1)
    assert saccade("doctor", root, "--split", "val", "--json").code == 0


def test_pairs_and_styles(saccade, tmp_path):
    for i, folder in enumerate(("ink", "oil")):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for name in range(5):
            Image.new("RGB", (7, 5), (20 * i, 30 * name, 0)).save(tmp_path / "set" / folder / f"{name}.png")
    pairs = saccade("doctor", "--pairs", "set/ink", "set/oil")
    assert (pairs.code, pairs.err) == (0, "")
    assert "set/ink and set/oil: pairs in two folders, 10 readable pictures" in pairs.out
    report = json.loads(saccade("doctor", "--styles", "set", "--json").out)
    assert report["splits"]["oil"] == {"pictures": 5, "objects": {}, "captions": 0}
    odd = saccade("doctor", "--pairs", "set/ink", "--split-at", "middle")
    assert odd.code == 1
    assert "5 pictures side by side of odd width" in odd.out
    for arguments, message in (
        ((), "there is nothing to examine: give one of DATA, --pairs and --styles"),
        (("set", "--styles", "set"), "DATA and --styles are given"),
        (("--styles", "set", "--fix", "clean"), "--fix is not for pairs and styles"),
        (("--styles", "set", "--split", "val"), "--split is not for pairs and styles"),
        (("set", "--split-at", "middle"), "--split-at says how --pairs are read"),
        (("--pairs", "set/ink"), "--pairs names 1; 2 expected without --split-at"),
        (("--styles", "set/ink"), "set/ink holds no folders with pictures"),
    ):
        refused = saccade("doctor", *arguments)
        assert refused.code in (1, 2)
        assert message in refused.line


def test_a_closed_output(tmp_path):
    root = write_voc(tmp_path / "set")
    (root / "Annotations" / "b.xml").write_text(xml(1, objects=[("bee", (7, 7, 7, 7))]))
    for options in ([], ["--json"]):
        code = (
            "import sys; sys.stdout = None; from saccade.cli.main import main; "
            f"main({['doctor', str(root), *options]!r})"
        )
        completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (completed.returncode, completed.stderr) == (1, "")


def test_a_clean_copy(saccade, tmp_path):
    root = write_voc(tmp_path / "set")
    (root / "Annotations" / "b.xml").write_text(xml(1, objects=[("bee", (7, 7, 7, 7)), ("cat", (1, 1, 99, 9))]))
    completed = saccade("doctor", root, "--fix", "clean")
    assert completed.code == 0  # though the set itself still has them
    assert "1 box without width or height" in completed.out
    assert completed.out.splitlines()[-1] == "A clean copy is in clean (1 x box empty: left out, 1 x box beyond: cut)."
    assert saccade("doctor", "clean").code == 0
    assert open_objects(tmp_path / "clean", on_error="fail").objects(1).boxes.tolist() == [[0, 0, 43, 9]]
    completed = saccade("doctor", root, "--fix", "other", "--json")
    report = json.loads(completed.out)
    assert (completed.code, report["sound"]) == (0, False)
    changes = {"box empty: left out": 1, "box beyond: cut": 1}
    assert report["fixed"] == {"to": "other", "sound": True, "left": [], **changes}
    assert saccade("doctor", root, "--fix", "clean").line.endswith("a clean copy is written to a new one")
    assert "lies inside" in saccade("doctor", root, "--fix", root / "clean").line


def test_errors_that_no_copy_mends(saccade, tmp_path):
    first, second = coco(), coco()
    second["categories"].append({"id": 99, "name": "dog"})
    second["images"], second["annotations"] = second["images"][4:], second["annotations"][6:]
    first["images"], first["annotations"] = first["images"][:4], first["annotations"][:6]
    root = write_coco(tmp_path / "set", first)
    (root / "annotations" / "instances.json").rename(root / "annotations" / "instances_train.json")
    (root / "annotations" / "instances_val.json").write_text(json.dumps(second))
    completed = saccade("doctor", root, "--fix", "clean")
    assert completed.code == 1
    assert completed.out.splitlines()[-1] == "still in it: 1 split whose classes differ from those of the first"


def test_class_folders_and_hostile_names(saccade, photos):
    Image.new("RGB", (3, 3)).save(photos / "red" / "a\x1b[31m.png")
    (photos / "red" / "b\x1b[31m.png").write_bytes(b"")
    completed = saccade("doctor", photos)
    assert completed.code == 1
    assert "class folders" in completed.out
    assert "\x1b" not in completed.out
    assert r"b\x1b[31m.png is empty (0 bytes)" in completed.out


def test_nothing_to_examine(saccade, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("x")
    completed = saccade("doctor", "notes")
    assert completed.code == 1
    assert "is not a data set of a known kind (found: 1 .txt)" in completed.line
    assert "does not exist" in saccade("doctor", "gone").line


def test_captions(saccade, tmp_path):
    root = write_table(tmp_path / "set", rows=[("images/a.png", "a star"), ("images/x.png", "a ring")])
    completed = saccade("doctor", root)
    assert completed.code == 1
    assert f"{root}: captions in CSV, 3 readable pictures" in completed.out
    assert any(line.split() == ["captions", "1"] for line in completed.out.splitlines())
    assert "metadata.csv, line 3 names images/x.png, which is not there; add or remove it" in completed.out
    assert "warning      2 pictures without a caption" in completed.out
    assert json.loads(saccade("doctor", root, "--json").out)["splits"]["all"]["captions"] == 1


def test_findings_of_one_thing_are_singular():
    from saccade.cli.doctor_report import singular
    from saccade.data.doctor.findings import CHECKS

    ones = {check.what: singular(check.what) for check in CHECKS.values()}
    assert ones["boxes that extend beyond their picture"] == "box that extends beyond its picture"
    assert ones["listed pictures that do not exist"] == "listed picture that does not exist"
    assert ones["sets whose boxes contradict their pictures or outlines"].startswith("set whose boxes contradict their")
    assert all(one != what for what, one in ones.items())
