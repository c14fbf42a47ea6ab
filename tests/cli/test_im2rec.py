"""The packer: lists, records, options, and a run that goes on after it was killed."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from actorflow.cli import main
from actorflow.recordio import (
    MXIndexedRecordIO,
    MXRecordIO,
    decode_image,
    encode_image,
    image_size,
    read_list,
    unpack,
    unpack_img,
)


def picture(seed, height=40, width=60):
    """A smooth picture, so that encoding it costs little of it."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def tree(tmp_path):
    """Three folders with ten JPEG images, one PNG and what is no image."""
    root = tmp_path / "photos"
    for folder, count in (("ant", 3), ("bee", 5), ("cat/tabby", 2)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(root / folder / f"{number}.jpg"), picture(number))
    cv2.imwrite(str(root / "top.PNG"), picture(99))
    (root / "ant" / "notes.txt").write_text("no image")
    return root


def run(*words):
    return main(["im2rec", *map(str, words)])


def pack(prefix, root, *words):
    assert run("--list", "--recursive", "--no-shuffle", prefix, root) == 0
    assert run(*words, prefix, root) == 0
    with MXIndexedRecordIO(f"{prefix}.idx", f"{prefix}.rec", "r") as reader:
        return {key: reader.read_idx(key) for key in reader.keys}


# -- Lists -----------------------------------------------------------------------------------------


def test_a_list_of_a_tree(tmp_path, tree, capsys):
    assert run("--list", "--recursive", "--no-shuffle", tmp_path / "x", tree) == 0
    text = (tmp_path / "x.lst").read_text()
    assert text.splitlines()[:4] == [
        "0\t0.000000\ttop.PNG",
        "1\t1.000000\tant/0.jpg",
        "2\t1.000000\tant/1.jpg",
        "3\t1.000000\tant/2.jpg",
    ]
    assert text.splitlines()[-1] == "10\t3.000000\tcat/tabby/1.jpg"
    assert capsys.readouterr().out == f"{tmp_path}/x.lst: 11 images\n"


def test_a_list_of_one_folder(tmp_path, tree):
    assert run("--list", tmp_path / "x", tree) == 0
    assert (tmp_path / "x.lst").read_text() == "0\t0.000000\ttop.PNG\n"
    assert run("--list", "--exts", ".gif", "--", tmp_path / "x", tree) == 2


def test_shuffled_lists_hold_the_same_in_the_order_of_the_seed(tmp_path, tree):
    orders = []
    for seed in (100, 100, 7):
        run("--list", "--recursive", "--seed", seed, tmp_path / "x", tree)
        orders.append([entry.number for entry in read_list(tmp_path / "x.lst")])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == list(range(11))
    # What MXNet's program makes of these eleven: it too shuffles with Python's generator, seed 100.
    assert orders[0] == [1, 0, 4, 6, 8, 3, 5, 10, 9, 7, 2]


def test_chunks_and_ratios(tmp_path, tree):
    words = ("--chunks", 2, "--train-ratio", 0.5, "--test-ratio", 0.25)
    assert run("--list", "--recursive", *words, tmp_path / "x", tree) == 0
    sizes = {path.name: len(read_list(path)) for path in tmp_path.glob("*.lst")}
    assert sizes == {
        "x_0_train.lst": 3,
        "x_0_test.lst": 1,
        "x_0_val.lst": 2,
        "x_1_train.lst": 3,
        "x_1_test.lst": 1,
        "x_1_val.lst": 1,
    }
    numbers = [entry.number for path in tmp_path.glob("*.lst") for entry in read_list(path)]
    assert sorted(numbers) == list(range(11))
    assert run(tmp_path / "x", tree) == 0
    assert {path.stem for path in tmp_path.glob("*.rec")} == {name[:-4] for name in sizes}


def test_which_lists_are_packed(tmp_path, tree):
    for name in ("x.lst", "xy.lst", "x_2_val.lst", "x_b.lst", "lists/a.lst", "lists/b.lst"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("0\t0\ttop.PNG\n")

    def packed(prefix):
        assert run("--pass-through", tmp_path / prefix, tree) == 0
        made = sorted(tmp_path.rglob("*.rec"))
        for path in made:
            path.unlink()
        return [path.relative_to(tmp_path).as_posix() for path in made]

    assert packed("x") == ["x.rec", "x_2_val.rec"]
    assert packed("x_b.lst") == ["x_b.rec"]
    assert packed("lists") == ["lists/a.rec", "lists/b.rec"]
    (tmp_path / "lists.lst").write_text("0\t0\ttop.PNG\n")
    assert packed("lists") == ["lists.rec"]


def test_a_link_that_leads_back_up(tmp_path, tree):
    (tree / "bee" / "loop").symlink_to(tree)
    assert run("--list", "--recursive", tmp_path / "x", tree) == 0
    assert len(read_list(tmp_path / "x.lst")) == 11


# -- Records ---------------------------------------------------------------------------------------


def test_records_have_the_images_their_labels_and_their_numbers(tmp_path, tree):
    records = pack(tmp_path / "x", tree)
    entries = read_list(tmp_path / "x.lst")
    assert list(records) == [entry.number for entry in entries]
    for entry in entries:
        header, pixels = unpack_img(records[entry.number], 1)
        assert (header.flag, header.label, header.id) == (0, entry.labels[0], entry.number)
        original = cv2.imread(str(tree / entry.path))
        assert pixels.shape == original.shape
        assert np.abs(pixels.astype(int) - original).mean() < 3
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "x.lst", "x.rec", "x.idx"}


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        (["--resize", 20], (20, 30, 3)),
        (["--resize", 80], (80, 120, 3)),
        (["--resize", 10, "--center-crop"], (10, 10, 3)),
        (["--center-crop"], (40, 40, 3)),
        (["--color", 0], (40, 60)),
        (["--encoding", ".png", "--quality", 9], (40, 60, 3)),
    ],
)
def test_shapes(tmp_path, tree, words, shape):
    records = pack(tmp_path / "x", tree, *words)
    for record in records.values():
        data = unpack(record)[1]
        assert data[1:4] == b"PNG" if ".png" in words else data[:2] == b"\xff\xd8"
        assert decode_image(data, -1).shape == shape


def test_quality_decides_the_size(tmp_path, tree):
    low = pack(tmp_path / "low", tree, "--quality", 20)
    high = pack(tmp_path / "high", tree, "--quality", 99)
    assert sum(map(len, low.values())) < sum(map(len, high.values()))


def packed_one(tmp_path, image, *words):
    """What the packer makes of one image."""
    root = tmp_path / "one"
    root.mkdir(exist_ok=True)
    (root / "a.jpg").write_bytes(image)
    return unpack(pack(tmp_path / "one_list", root, *words)[0])[1]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ([], True),
        (["--quality", 90], True),
        (["--quality", 89], False),
        (["--reencode"], False),
        (["--resize", 40], True),
        (["--resize", 39], False),
        (["--resize", 41], False),
        (["--center-crop"], False),
        (["--color", -1], True),
        (["--color", 0], False),
        (["--encoding", ".png"], False),
    ],
)
def test_what_is_already_as_it_is_asked_for(tmp_path, words, kept):
    image = encode_image(picture(1), 90)
    made = packed_one(tmp_path, image, *words)
    assert (made == image) == kept
    if not kept:
        assert image_size(made) == decode_image(made).shape[:2]


def test_squares_and_grey_are_as_they_are_asked_for(tmp_path):
    square = encode_image(picture(1, 40, 40), 90)
    assert packed_one(tmp_path, square, "--center-crop", "--resize", 40) == square
    grey = encode_image(picture(1)[:, :, 0], 90)
    assert packed_one(tmp_path, grey, "--color", 0) == grey
    assert packed_one(tmp_path, grey, "--color", -1) == grey
    assert decode_image(packed_one(tmp_path, grey), -1).shape == (40, 60, 3)


def test_an_image_that_a_camera_turned_is_upright(tmp_path):
    body = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    plain = encode_image(picture(1), 90)
    turned = plain[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:]
    assert decode_image(turned).shape == (60, 40, 3)
    made = packed_one(tmp_path, turned)
    assert b"Exif" not in made
    assert decode_image(made, -1).shape == (60, 40, 3)  # without being turned


def test_what_no_decoder_takes_is_not_passed_on(tmp_path, capsys):
    image = encode_image(picture(1), 90)
    frame = image.index(b"\xff\xc0")
    tall = image[: frame + 5] + b"\xff\xff\xff\xff" + image[frame + 9 :]
    tables = image.replace(b"\xff\xdb\0\x43\0", b"\xff\xdb\0\x43\7")
    root = tmp_path / "bad"
    root.mkdir()
    for number, bad in enumerate((image[:-2], image[:100], tall, tables)):
        (root / f"{number}.jpg").write_bytes(bad)
    assert run("--list", "--no-shuffle", tmp_path / "x", root) == 0
    (tmp_path / "x.rec").write_bytes(b"an older result")
    assert run(tmp_path / "x", root) == 2
    told = capsys.readouterr().err
    assert re.search(r"x\.lst: none of its 4 images could be read: .*x\.rec not made", told)
    assert (tmp_path / "x.rec").read_bytes() == b"an older result"
    assert "2.jpg: decode_image: an image of 65535 x 65535 pixels" in told


def test_files_as_they_are(tmp_path, tree):
    records = pack(tmp_path / "x", tree, "--unchanged")  # as C++ calls it
    assert pack(tmp_path / "y", tree, "--pass-through") == records
    for entry in read_list(tmp_path / "x.lst"):
        assert unpack(records[entry.number])[1] == (tree / entry.path).read_bytes()


@pytest.mark.parametrize("words", [[], ["--pack-label"]])
def test_several_labels(tmp_path, tree, words):
    (tmp_path / "x.lst").write_text("5\t1.5\t2\t-3\ttop.PNG\n9\t4\tant/0.jpg\n")
    assert run(*words, tmp_path / "x", tree) == 0
    headers = [unpack(record)[0] for record in MXRecordIO(tmp_path / "x.rec", "r")]
    if words:
        assert (headers[0].flag, headers[0].label.tolist()) == (3, [1.5, 2.0, -3.0])
    else:
        assert headers[0][:3] == (0, 1.5, 5)
    assert headers[1][:3] == (0, 4.0, 9)


def test_the_number_of_threads_does_not_matter(tmp_path, tree):
    pack(tmp_path / "one", tree, "--resize", 16, "--num-thread", 1)
    pack(tmp_path / "many", tree, "--resize", 16, "--num-thread", 5)
    assert (tmp_path / "one.rec").read_bytes() == (tmp_path / "many.rec").read_bytes()
    assert (tmp_path / "one.idx").read_bytes() == (tmp_path / "many.idx").read_bytes()


def test_split_into_parts(tmp_path, tree):
    whole = pack(tmp_path / "x", tree, "--pass-through")
    assert run("--pass-through", "--nsplit", 3, tmp_path / "x", tree) == 0
    found = []
    for part in range(3):
        found += MXRecordIO(tmp_path / f"x.part{part:03d}.rec", "r")
    assert found == list(whole.values())
    before = (tmp_path / "x.part001.rec").read_bytes()
    (tmp_path / "x.part001.rec").unlink()
    assert run("--pass-through", "--nsplit", 3, "--part", 1, tmp_path / "x", tree) == 0
    assert (tmp_path / "x.part001.rec").read_bytes() == before


def test_what_cannot_be_read_is_left_out_and_told(tmp_path, tree, capsys):
    (tree / "ant" / "1.jpg").write_bytes(b"no image")
    cut = (tree / "bee" / "2.jpg").read_bytes()
    (tree / "bee" / "2.jpg").write_bytes(cut[: len(cut) // 2])
    (tree / "bee" / "4.jpg").unlink()
    names = ["ant/0.jpg", "ant/1.jpg", "bee/2.jpg", "bee/3.jpg", "bee/4.jpg", "top.PNG"]
    lines = [f"{number}\t0\t{name}\n" for number, name in enumerate(names)]
    (tmp_path / "x.lst").write_text("".join(lines))
    assert run(tmp_path / "x", tree) == 1
    told = capsys.readouterr().err
    assert re.search(r"left out ant/1.jpg: .*neither a JPEG nor a PNG", told)
    assert re.search(r"left out bee/2.jpg: .*a JPEG image, cut off after", told)
    assert re.search(r"left out bee/4.jpg: .*No such file", told)
    assert "x.rec: 3 of 6 images" in told
    assert MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r").keys == [0, 3, 5]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "no list for the prefix .*x; `--list` makes one"),
        (("--quality", 101), "--quality 101 with --encoding .jpg; needs 1 to 100"),
        (
            ("--encoding", ".png", "--quality", 95),
            "--quality 95 with --encoding .png; needs 0 to 9",
        ),
        (("--nsplit", 2, "--part", 2), "--part 2 of --nsplit 2; needs 0 to nsplit - 1"),
        (("--list", "--train-ratio", 0.8, "--test-ratio", 0.3), "are more than 1 together"),
    ],
)
def test_what_is_refused(tmp_path, tree, capsys, words, complaint):
    assert run(*words, tmp_path / "x", tree) == 2
    assert re.search("actorflow im2rec: .*" + complaint, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_lists_that_are_refused(tmp_path, tree, capsys):
    (tmp_path / "x.lst").write_text("0\t0\ttop.PNG\n0\t0\tant/0.jpg\n")
    assert run(tmp_path / "x", tree) == 2
    assert "x.lst: the number 0 stands there twice" in capsys.readouterr().err
    (tmp_path / "x.lst").write_text("0\t0\ttop.PNG\n1\ttop.PNG\n")
    assert run(tmp_path / "x", tree) == 2
    assert "x.lst, line 2 is '1\\ttop.PNG'; needs a number, labels" in capsys.readouterr().err
    assert run(tmp_path / "x", tree / "dog") == 2
    assert "is no folder" in capsys.readouterr().err


# -- Killed ----------------------------------------------------------------------------------------


def start(prefix, root):
    words = ["--num-thread", "2", "--resize", "16", str(prefix), str(root)]
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "actorflow", "im2rec", *words], stderr=subprocess.PIPE
    )


@pytest.mark.slow
def test_a_killed_packer_goes_on(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    count, pipe = 60, 40
    for number in range(count):
        cv2.imwrite(str(root / f"{number:02}.jpg"), picture(number))
    (root / "05.jpg").write_bytes(b"no image")
    assert run("--list", "--no-shuffle", tmp_path / "x", root) == 0
    assert run("--resize", 16, tmp_path / "x", root) == 1
    expected = (tmp_path / "x.rec").read_bytes(), (tmp_path / "x.idx").read_bytes()
    (tmp_path / "x.rec").unlink()
    (tmp_path / "x.idx").unlink()

    # Two images are pipes: who opens the first to write waits until the packer has come so far,
    # and at the second, which nobody opens, the packer waits.
    pipes = {root / f"{number}.jpg": b"" for number in (pipe, pipe + 1)}
    for path in pipes:
        pipes[path] = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
    packer = start(tmp_path / "x", root)
    with (root / f"{pipe}.jpg").open("wb"):
        packer.send_signal(signal.SIGKILL)
        assert packer.wait() == -signal.SIGKILL
    packer.stderr.close()
    assert not (tmp_path / "x.rec").exists()
    done = (tmp_path / "x.idx.partial").read_bytes().count(b"\n")
    assert pipe - 18 < done < pipe
    # As if it had died within a write.
    with (tmp_path / "x.rec.partial").open("ab") as stream:
        stream.write(expected[0][:10])

    for path, image in pipes.items():
        path.unlink()
        path.write_bytes(image)
    again = start(tmp_path / "x", root)
    told = again.communicate()[1].decode()
    assert again.returncode == 1  # the image that the killed run left out counts
    assert f"goes on behind {done + 1} of {count} images" in told
    assert "x.rec: 59 of 60 images" in told
    assert ((tmp_path / "x.rec").read_bytes(), (tmp_path / "x.idx").read_bytes()) == expected
    assert {path.name for path in tmp_path.glob("x*")} == {"x.lst", "x.rec", "x.idx"}


def interrupted(prefix, monkeypatch, root, *, at):
    """Pack, and fail like a full disk when `at` records are written."""
    write = MXIndexedRecordIO.write_idx

    def failing(self, idx, buf):
        if len(self.keys) == at:
            raise OSError(28, "No space left on device")
        write(self, idx, buf)

    with monkeypatch.context() as patch:
        patch.setattr(MXIndexedRecordIO, "write_idx", failing)
        assert run(prefix, root) == 2


def test_a_full_disk_then_other_options(tmp_path, tree, monkeypatch, capsys):
    expected = pack(tmp_path / "x", tree)
    old = (tmp_path / "x.rec").read_bytes()
    interrupted(tmp_path / "x", monkeypatch, tree, at=4)
    assert "No space left" in capsys.readouterr().err
    assert (tmp_path / "x.rec").read_bytes() == old  # the older result is still there
    assert run("--resize", 8, tmp_path / "x", tree) == 0
    assert "begins again, in place of an unfinished file of another list" in capsys.readouterr().err
    assert (tmp_path / "x.rec").read_bytes() != old
    assert run(tmp_path / "x", tree) == 0
    assert list(MXRecordIO(tmp_path / "x.rec", "r")) == list(expected.values())


def test_an_index_that_does_not_fit(tmp_path, tree, monkeypatch, capsys):
    expected = pack(tmp_path / "x", tree)
    interrupted(tmp_path / "x", monkeypatch, tree, at=4)
    (tmp_path / "x.idx.partial").write_text("0\t0\n77\t12\n")
    assert run(tmp_path / "x", tree) == 0
    assert "begins again: " in capsys.readouterr().err
    assert list(MXRecordIO(tmp_path / "x.rec", "r")) == list(expected.values())


@pytest.mark.parametrize("renamed", [["x.idx"], ["x.idx", "x.rec"]])
def test_killed_while_the_files_get_their_names(tmp_path, tree, monkeypatch, capsys, renamed):
    pack(tmp_path / "x", tree)
    expected = {name: (tmp_path / name).read_bytes() for name in ("x.idx", "x.rec")}
    interrupted(tmp_path / "x", monkeypatch, tree, at=0)
    for name in ("x.idx", "x.rec"):
        (tmp_path / f"{name}.partial").write_bytes(expected[name])
    for name in renamed:
        (tmp_path / f"{name}.partial").replace(tmp_path / name)
    assert run(tmp_path / "x", tree) == 0
    assert "x.rec: finished before" in capsys.readouterr().err
    assert {name: (tmp_path / name).read_bytes() for name in expected} == expected
    assert not list(tmp_path.glob("x.*.*"))


def test_a_strip_does_not_grow_without_bounds(tmp_path, capsys):
    (tmp_path / "strips").mkdir()
    strip = np.zeros((1, 65_535, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "strips" / "a.png"), strip)
    cv2.imwrite(str(tmp_path / "strips" / "b.png"), strip[:, :10])
    assert run("--list", tmp_path / "x", tmp_path / "strips") == 0
    assert run("--resize", "3000", tmp_path / "x", tmp_path / "strips") == 1
    told = capsys.readouterr().err
    assert "left out a.png: --resize 3000 would make 3000 x 196605000 pixels of 1 x 65535" in told


def test_lists_in_a_new_folder_by_any_spelling_of_the_ends(tmp_path, tree):
    assert run("--list", "--recursive", tmp_path / "new" / "a", tree) == 0
    expected = (tmp_path / "new" / "a.lst").read_bytes()
    ends = ("--exts", "jpeg", "JPG", ".PNG")
    assert run("--list", "--recursive", tmp_path / "new" / "b", tree, *ends) == 0
    assert (tmp_path / "new" / "b.lst").read_bytes() == expected


def test_no_list_is_begun_that_cannot_be_written(tmp_path, tree, capsys):
    assert run("--list", "--recursive", "--chunks", "1000", tmp_path / "x", tree) == 2
    assert "--chunks 1000 of 11 images; needs an image for each list" in capsys.readouterr().err
    folder = tmp_path / "odd"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/a\xff.jpg")).write_bytes(b"")
    assert run("--list", tmp_path / "x", folder) == 2
    assert r"the path 'a\udcff.jpg' is not in UTF-8, as lists are" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.lst"))
    assert run(tmp_path / "x", tmp_path / "nowhere") == 2
    assert "nowhere is no folder" in capsys.readouterr().err


# -- On the terminal -------------------------------------------------------------------------------


def test_a_progress_bar(tmp_path, tree, capsys):
    pack(tmp_path / "x", tree, "--progress")
    assert "11/11" in capsys.readouterr().err


def test_without_rich_there_is_a_hint(tmp_path, tree, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    pack(tmp_path / "x", tree, "--progress")
    assert "x: no progress bar without rich: pip install" in capsys.readouterr().err


def test_without_opencv(tmp_path, tree, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    pack(tmp_path / "x", tree, "--pass-through")
    assert run(tmp_path / "x", tree) == 2
    told = capsys.readouterr().err
    assert "actorflow im2rec: im2rec needs OpenCV: pip install 'actorflow[images]'" in told


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    assert "--train-ratio" in capsys.readouterr().out
