"""Images in record files: values, orders, parts, positions and damage."""

import json
import threading

import cv2
import numpy as np
import pytest

import actorflow as af
from actorflow import io
from actorflow.errors import ActorflowError, FormatError, ParameterError
from actorflow.io.image_decoder import Decoder
from actorflow.recordio import ListEntry, write_list
from tests.io._images import encoded, plain, write, write_raw
from tests.io._sources import LOOPS

SHAPE = (3, 24, 24)
RANDOM = {
    "rand_crop": True,
    "rand_mirror": True,
    "max_rotate_angle": 30,
    "max_random_scale": 1.5,
    "min_random_scale": 0.9,
    "max_aspect_ratio": 0.2,
    "max_shear_ratio": 0.1,
    "random_h": 20,
    "random_s": 30,
    "random_l": 40,
    "max_random_contrast": 0.3,
    "max_random_illumination": 20,
    "pad": 4,
}


def make(path, batch_size=3, shape=SHAPE, **options):
    return io.ImageRecordIter(path, shape, batch_size, **options)


def taken(batch):
    """A batch as plain data, its arrays as bytes."""
    arrays = [array.asnumpy().tobytes() for array in (*batch.data, *batch.label)]
    return arrays, batch.pad, batch.index.tolist()


def ids(iterator):
    """The numbers in the records' headers, of the rest of an epoch, without what fills up."""
    return [int(each) for batch in iterator for each in batch.index[: len(batch.index) - batch.pad]]


def test_values(engine, tmp_path):
    with make(write(tmp_path)) as iterator:
        assert iterator.provide_data == [("data", (3, *SHAPE))]
        assert iterator.provide_label == [("softmax_label", (3,))]
        batches = list(iterator)
    assert [batch.pad for batch in batches] == [0, 0, 2]
    numbers = [0, 1, 2, 3, 4, 5, 6, 0, 1]
    for place, number in enumerate(numbers):
        batch, row = batches[place // 3], place % 3
        assert batch.index[row] == 100 + number
        assert batch.label[0].asnumpy()[row] == 10 * number
        assert (batch.data[0].asnumpy()[row] == plain(number)).all()


@pytest.mark.parametrize("options", [{}, RANDOM], ids=["plain", "random"])
def test_the_same_bits_on_any_engine(tmp_path, options):
    path = write(tmp_path, img_fmt=".jpg")
    told = []
    engines = [{"engine_type": "naive"}, *({"workers": n} for n in range(4))]
    for number, kind in enumerate(engines):
        with af.Engine(**kind), make(path, shuffle=True, seed=3, **options) as iterator:
            if number == 3:
                iterator._threads = 3
            epochs = []
            for _ in range(3):
                epochs.append([taken(batch) for batch in iterator])
                iterator.reset()
            told.append(epochs)
    assert all(each == told[0] for each in told)
    assert told[0][0] != told[0][1]


def test_grey_and_uint8(engine, tmp_path):
    path = write(tmp_path)
    with make(path, shape=(1, 24, 24)) as iterator:
        assert (next(iterator).data[0].asnumpy()[1] == plain(1, grey=True)).all()
    with make(path, dtype="uint8", mirror=True) as iterator:
        data = next(iterator).data[0]
        assert data.dtype == np.uint8
        assert (data.asnumpy()[1] == plain(1)[:, :, ::-1]).all()


def test_several_labels_and_a_list(engine, tmp_path):
    path = write(tmp_path, labels=2)
    with make(path, label_width=2) as iterator:
        assert next(iterator).label[0].asnumpy().tolist() == [[0, 1], [10, 11], [20, 21]]
    entries = [ListEntry(100 + n, (float(-n),), "-") for n in range(6)]
    write_list(tmp_path / "x.lst", entries)
    with make(path, path_imglist=tmp_path / "x.lst") as iterator:
        assert next(iterator).label[0].asnumpy().tolist() == [0, -1, -2]
        next(iterator)
        with pytest.raises(FormatError, match=r"record 6: .*no labels for its number, 106"):
            next(iterator)
    with make(path) as iterator, pytest.raises(FormatError, match="has 2 labels; label_width is 1"):
        next(iterator)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_have_every_record_once(tmp_path, parts, index, shuffle):
    path = write(tmp_path, count=11)
    options = {"num_parts": parts, "shuffle": shuffle, "seed": 2, "round_batch": False}
    if index:
        options["path_imgidx"] = tmp_path / "x.idx"
    seen = []
    for part in range(parts):
        with make(path, part_index=part, **options) as iterator:
            seen += ids(iterator)
    assert sorted(seen) == list(range(100, 111))
    assert (seen == sorted(seen)) is not shuffle


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_round_batches_go_on_with_the_next_epoch(engine, tmp_path, size):
    with make(write(tmp_path), size, shuffle=True, seed=5) as iterator:
        stream, starts = [], []
        for _ in range(3):
            starts.append(len(stream))
            for batch in iterator:
                stream += batch.index.tolist()
            iterator.reset()
    for epoch in range(3):
        assert sorted(stream[7 * epoch : 7 * epoch + 7]) == list(range(100, 107))
    assert starts[1] == -(-7 // size) * size


def test_without_round_batches_each_epoch_is_whole(engine, tmp_path):
    with make(write(tmp_path), 4, round_batch=False) as iterator:
        for _ in range(2):
            first, second = iterator
            assert first.index.tolist() == [100, 101, 102, 103]
            assert (second.index.tolist(), second.pad) == ([104, 105, 106, 100], 1)
            iterator.reset()
    with make(write(tmp_path, count=2), 5) as iterator:
        assert [(batch.index.tolist(), batch.pad) for batch in iterator] == [
            ([100, 101, 100, 101, 100], 3)
        ]


def test_a_reset_in_the_middle_begins_the_next_epoch(engine, tmp_path):
    path = write(tmp_path)
    with make(path, shuffle=True) as iterator, make(path, shuffle=True) as other:
        next(iterator)
        iterator.reset()
        next(iterator)
        other.load_state_dict(iterator.state_dict())
        assert ids(iterator) == ids(other)


@pytest.mark.parametrize("round_batch", [False, True])
def test_resume_at_every_point(engine, tmp_path, round_batch):
    path = write(tmp_path)
    options = {**RANDOM, "shuffle": True, "seed": 7, "round_batch": round_batch}
    with make(path, **options) as iterator:
        told, states = [], []
        for _ in range(3):
            while True:
                states.append((len(told), json.dumps(iterator.state_dict())))
                try:
                    told.append(taken(iterator.next()))
                except StopIteration:
                    break
            iterator.reset()
    for at, state in states:
        with make(path, **options) as resumed:
            resumed.load_state_dict(json.loads(state))
            rest = [taken(batch) for batch in resumed]
            resumed.reset()
            rest += [taken(batch) for batch in resumed]
        both = min(len(rest), len(told) - at)
        assert rest[:both] == told[at : at + both]
        assert both >= min(2, len(told) - at)
    with (
        make(path, **{**options, "seed": 8}) as other,
        pytest.raises(FormatError, match="seed was"),
    ):
        other.load_state_dict(json.loads(states[0][1]))


def test_a_state_is_of_use_before_anything_is_read(tmp_path):
    path = write(tmp_path)
    with af.Engine(engine_type="naive"), make(path, 4) as iterator, make(path, 4) as other:
        list(iterator)
        other.load_state_dict(iterator.state_dict())
        other.reset()
        iterator.reset()
        assert ids(other) == ids(iterator) == [101, 102, 103, 104, 105, 106]


@pytest.mark.parametrize("wrong", [{"batch": 4}, {"skip": 7}, {"used": -1}, {"epoch": None}])
def test_wrong_positions(tmp_path, wrong):
    path = write(tmp_path)
    with af.Engine(engine_type="naive"), make(path) as iterator:
        next(iterator)
        state = iterator.state_dict()
        state["position"] |= wrong
        (name,) = wrong
        with pytest.raises(FormatError, match=f"{name} is .* needs to be an integer from 0 to"):
            iterator.load_state_dict(state)
        assert next(iterator).index.tolist() == [103, 104, 105]


@pytest.mark.parametrize("loop", LOOPS)
def test_in_a_loop(tmp_path, loop):
    path = write(tmp_path)

    async def main():
        async with af.Engine(workers=2), make(path, mean_img=tmp_path / "mean") as iterator:
            return [batch.index.tolist() async for batch in iterator]

    assert LOOPS[loop](main) == [[100, 101, 102], [103, 104, 105], [106, 100, 101]]


def test_batches_larger_than_the_budget_are_read_in_a_loop(tmp_path):
    path = write(tmp_path)

    async def main():
        async with af.Engine(workers=2, max_nbytes=1000), make(path) as iterator:
            return [batch.index.tolist() async for batch in iterator]

    assert len(LOOPS["trio"](main)) == 3


def test_a_remote_file(engine, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    path = write(tmp_path)
    for name in ("x.rec", "x.idx"):
        with fsspec.open(f"memory://photos/{name}", "wb") as file:
            file.write((tmp_path / name).read_bytes())
    with make(path) as local:
        expected = [taken(batch) for batch in local]
    for index in (None, "memory://photos/x.idx"):
        with make("memory://photos/x.rec", path_imgidx=index) as remote:
            assert [taken(batch) for batch in remote] == expected


def damaged(folder, where):
    """A file of six records, the fourth of which is damaged, and its offset."""
    images = [encoded(i) for i in range(6)]
    if where == "image":
        images[3] = images[3][:200] + bytes(50) + images[3][250:]
    elif where == "cut":
        images[3] = images[3][:-20]
    elif where == "small":
        images[3] = encoded(3, height=10, width=10)
    elif where == "none":
        images[3] = b"no image"
    path, offsets = write_raw(folder, images)
    content = bytearray(path.read_bytes())
    if where == "magic":
        content[offsets[3]] ^= 1
    elif where == "length":
        content[offsets[3] + 6] ^= 64
    elif where == "header":
        content[offsets[3] + 8] = 255
    path.write_bytes(bytes(content))
    return path, offsets[3]


DAMAGE = {
    "image": "damaged PNG",
    "cut": "cut off after",
    "small": "image is 10 x 10 where it is cut, and needs to be at least 24 x 24",
    "none": "neither a JPEG nor a PNG",
    "magic": "no record begins here",
    "length": "the file ends after",
    "header": "it has 255 labels; label_width is 1",
}


@pytest.mark.parametrize("where", DAMAGE)
@pytest.mark.parametrize("index", [False, True])
def test_damage_is_raised_with_the_batch(engine, tmp_path, where, index):
    path, offset = damaged(tmp_path, where)
    options = {"path_imgidx": tmp_path / "x.idx"} if index else {}
    with make(path, 2, **options) as iterator:
        for _ in range(2):
            assert next(iterator).index.tolist() == [0, 1]
            for _ in range(2):
                with pytest.raises(FormatError, match=DAMAGE[where]) as caught:
                    next(iterator)
                assert f"record 3: {path}, offset {offset}" in str(caught.value)
            iterator.reset()


def test_a_file_that_was_cut_off(engine, tmp_path):
    path, offsets = write_raw(tmp_path, [encoded(i) for i in range(4)])
    path.write_bytes(path.read_bytes()[:-30])
    with make(path, 3) as iterator:
        assert next(iterator).index.tolist() == [0, 1, 2]
        with pytest.raises(FormatError, match=f"record 3: .*offset {offsets[3]}"):
            next(iterator)


def test_files_without_records(engine, tmp_path):
    path = write(tmp_path, count=1)
    with make(path, part_index=1, num_parts=2) as iterator:
        for _ in range(2):
            with pytest.raises(FormatError, match="no record in part 1 of 2"):
                next(iterator)
            iterator.reset()
    (tmp_path / "bad.idx").write_text("0\t0\n1 8\n")
    iterator = make(path, path_imgidx=tmp_path / "bad.idx")
    with iterator, pytest.raises(FormatError, match=r"bad.idx, line 2 is '1 8'; needs a key, a"):
        next(iterator)
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "none.rec")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rand_corp": True}, "no parameter 'rand_corp'; did you mean rand_crop"),
        ({"path_imgrecs": "x"}, "no parameter 'path_imgrecs'; did you mean path_imgrec"),
        ({"max_rotate_angle": -1}, "max_rotate_angle needs an integer of at least 0, got -1"),
        ({"shape": (4, 2, 2)}, r"data_shape is \(4, 2, 2\); needs \(3, height, width\)"),
        ({"dtype": "int32"}, "dtype is int32; needs float32 or uint8"),
        ({"dtype": "uint8", "scale": 2}, "uint8 gives pixels as they are, and cannot have scale"),
        ({"part_index": 2}, "part_index is 2; num_parts 1 needs it below that"),
        ({"shape": 5}, "data_shape is 5; needs"),
        ({"dtype": "foo"}, "dtype is foo; needs float32 or uint8"),
        ({"dtype": None}, "dtype is None; needs float32 or uint8"),
        ({"shuffle": "no"}, "shuffle needs True or False, got 'no'"),
        ({"round_batch": None}, "round_batch needs True or False, got None"),
        ({"data_name": None}, "data_name is None; needs a text"),
        ({"label_name": "data"}, "data_name and label_name are both 'data'"),
        ({"mean_img": 5}, "mean_img needs a path or None, got 5"),
        ({"scale": float("inf")}, "scale is inf; needs a finite number"),
        ({"scale": 10**400}, "scale needs a number"),
        ({"std_r": 1e-320}, "pixels become numbers that no float32 holds"),
        ({"max_random_contrast": 1e308}, "pixels become numbers that no float32 holds"),
        ({"max_random_scale": float("inf")}, "max_random_scale is inf; needs a finite number"),
        ({"min_img_size": 9, "max_img_size": 8}, "min_img_size is 9 and max_img_size 8"),
        ({"random_h": 10**400}, "random_h is 10*; needs at most 2147483647"),
        ({"fill_value": 256}, "fill_value is 256; needs 0 to 255"),
        ({"min_random_scale": 2}, "min_random_scale is 2 and max_random_scale 1"),
        ({"min_crop_size": 9, "max_crop_size": 8}, "min_crop_size is 9 and max_crop_size 8"),
        ({"max_aspect_ratio": 1}, "max_aspect_ratio is 1; needs less than 1"),
        ({"inter_method": 7}, "inter_method is 7; needs 0"),
        ({"std_g": 0}, "need not to be 0"),
        ({"mean_img": "x", "mean_r": 1}, "needs either mean_img or mean_r"),
        ({"shape": (1, 2, 2), "random_h": 1}, "which is grey"),
        ({"resize": 0}, "at least 1, or -1 for none"),
        ({"preprocess_threads": 0}, "preprocess_threads must be an integer of at least 1"),
    ],
)
def test_wrong_arguments(tmp_path, options, message):
    path = write(tmp_path, count=1)
    with pytest.raises((ValueError, ParameterError), match=f"ImageRecordIter: .*{message}"):
        make(path, **options)


def test_a_path_is_a_path(tmp_path):
    path = write(tmp_path, count=1)
    with pytest.raises(TypeError, match="ImageRecordIter: path_imgrec must be a path or a URL"):
        make(None)
    with pytest.raises(TypeError, match="ImageRecordIter: path_imgidx must be a path or a URL"):
        make(path, path_imgidx=3)


def test_flags_may_be_spelled(engine, tmp_path):
    with make(write(tmp_path), shuffle="False", round_batch="1") as iterator:
        assert ids(iterator)[:7] == list(range(100, 107))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"resize": 2000}, "resize would make an image of 2000 x 131000000"),
        ({"pad": 20_000}, "pad would make an image of 40001 x 105500"),
        ({"min_img_size": 10**6}, "scaling would make an image of 1000000 x 1000000"),
        ({"min_random_scale": 1e9, "max_random_scale": 1e9}, "scaling would make an image"),
    ],
)
def test_no_image_grows_without_bounds(engine, tmp_path, options, what):
    strip = cv2.imencode(".jpg", np.zeros((1, 65_500, 3), np.uint8))[1].tobytes()
    path, _ = write_raw(tmp_path, [strip])
    iterator = make(path, 1, shape=(3, 8, 8), **options)
    message = f"record 0: .*{what}.*at most 134217728 are allowed"
    with iterator, pytest.raises(FormatError, match=message):
        next(iterator)


def test_without_a_folder_for_the_mean_nothing_is_computed(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(Decoder, "cut", lambda *_: pytest.fail("an image was decoded"))
    iterator = make(write(tmp_path), mean_img=tmp_path / "none" / "mean.params")
    with iterator, pytest.raises(FileNotFoundError, match="no folder for mean_img"):
        next(iterator)
    with make(write(tmp_path), mean_img=None) as plain:
        next(plain)


def test_the_first_damage_of_a_batch_is_raised(engine, tmp_path):
    images = [encoded(i) for i in range(6)]
    images[1] = images[4] = b"no image"
    path, offsets = write_raw(tmp_path, images)
    message = f"record 1: .*, offset {offsets[1]}:"
    iterator = make(path, 6, preprocess_threads=3)
    with iterator, pytest.raises(FormatError, match=message):
        next(iterator)


@pytest.mark.parametrize(("threads", "ahead"), [(2, 0), (1, 1)])
def test_decoders_work_side_by_side(tmp_path, monkeypatch, threads, ahead):
    both = threading.Barrier(2)
    fill = Decoder.fill

    def wait_and_fill(*arguments):
        both.wait(timeout=60)
        fill(*arguments)

    monkeypatch.setattr(Decoder, "fill", wait_and_fill)
    path = write(tmp_path, count=6)
    options = {"preprocess_threads": threads, "prefetch_buffer": ahead}
    with af.Engine(workers=2), make(path, 3, **options) as iterator:
        assert ids(iterator) == list(range(100, 106))


def test_closing_in_the_middle(engine, tmp_path):
    iterator = make(write(tmp_path), 2)
    next(iterator)
    iterator.close()
    iterator.close()
    with pytest.raises(ActorflowError, match="it was closed"):
        next(iterator)
    engine.wait_all()
    with pytest.raises(OSError, match="descriptor"):
        iterator._source.read(0, 1)
