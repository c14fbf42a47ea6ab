"""What is done to images: each parameter alone, beside plain NumPy and OpenCV."""

import math

import cv2
import numpy as np
import pytest

import actorflow as af
from actorflow import io, nd
from actorflow.errors import FormatError
from actorflow.io.augment import Chooser
from tests.io._images import pixels_of, plain, write

COUNT = 12


@pytest.fixture(autouse=True)
def engine():
    """A quick one, which others are compared with elsewhere."""
    with af.Engine(engine_type="naive"):
        yield


@pytest.fixture
def path(tmp_path):
    return write(tmp_path, count=COUNT)


def images(path, shape=(3, 24, 24), **options):
    """All images of an epoch, in the order of the file."""
    with io.ImageRecordIter(path, shape, COUNT, **options) as iterator:
        return next(iterator).data[0].asnumpy()


def as_batch(image):
    return image.transpose(2, 0, 1).astype(np.float32)


def rgb(number):
    return np.ascontiguousarray(pixels_of(number)[:, :, ::-1])


def test_mean_scale_and_deviation(path):
    found = images(path, mean_r=10, mean_g=20, mean_b=30, scale=0.5, std_r=2, std_g=4, std_b=8)
    mean = np.array([10, 20, 30], np.float32)[:, None, None]
    factor = np.array([0.25, 0.125, 0.0625], np.float32)[:, None, None]
    for number in range(COUNT):
        assert (found[number] == (plain(number) - mean) * factor).all()


def test_contrast_and_illumination_stay_in_their_bounds(path):
    found = images(path, max_random_contrast=0.3, seed=1)
    factors = [found[n].max() / plain(n).max() for n in range(COUNT)]
    assert all(0.7 <= each <= 1.3 for each in factors)
    assert max(factors) - min(factors) > 0.3
    for number, factor in enumerate(factors):
        np.testing.assert_allclose(found[number], plain(number) * factor, rtol=1e-5)
    found = images(path, max_random_illumination=20, scale=2)
    shifts = [float((found[n] / 2 - plain(n)).mean()) for n in range(COUNT)]
    assert all(-20 <= each <= 20 for each in shifts)
    assert max(shifts) - min(shifts) > 10


def test_mirrors(path):
    assert (images(path, mirror=True) == images(path)[:, :, :, ::-1]).all()
    found = images(path, rand_mirror=True)
    turned = [(found[n] == plain(n)[:, :, ::-1]).all() for n in range(COUNT)]
    straight = [(found[n] == plain(n)).all() for n in range(COUNT)]
    assert sum(turned) + sum(straight) == COUNT
    assert 0 < sum(turned) < COUNT


def places(found):
    """Where each image was cut out."""
    at = []
    for number in range(COUNT):
        whole = as_batch(rgb(number))
        at += [
            (y, x)
            for y in range(17)
            for x in range(25)
            if (whole[:, y : y + 24, x : x + 24] == found[number]).all()
        ]
    return at


def test_crops(path):
    seen = places(images(path, rand_crop=True))
    assert len(seen) == COUNT
    assert len(set(seen)) > COUNT // 2
    assert places(images(path, crop_x_start=5, crop_y_start=0)) == [(0, 5)] * COUNT
    with pytest.raises(FormatError, match="crop_y_start=17 and crop_x_start=12 do not leave"):
        images(path, crop_y_start=17)


def test_what_is_left_to_chance_differs_by_epoch_and_seed(path):
    with io.ImageRecordIter(path, (3, 24, 24), COUNT, rand_crop=True) as iterator:
        first = next(iterator).data[0].asnumpy()
        iterator.reset()
        second = next(iterator).data[0].asnumpy()
    assert (first != second).any()
    assert (images(path, rand_crop=True) == first).all()
    assert (images(path, rand_crop=True, seed=1) != first).any()


def test_shuffling_changes_nothing_else(path):
    options = {"rand_crop": True, "rand_mirror": True, "seed": 4}
    straight = images(path, **options)
    with io.ImageRecordIter(path, (3, 24, 24), COUNT, shuffle=True, **options) as iterator:
        batch = next(iterator)
    assert (batch.data[0].asnumpy() == straight[batch.index - 100]).all()


def test_chances_are_spread_evenly():
    chooser = Chooser(1, 2)
    found = np.array([chooser.chances(row) for row in range(2000)])
    assert ((found >= 0) & (found < 1)).all()
    assert np.abs(found.mean(axis=0) - 0.5).max() < 0.03
    correlation = np.corrcoef(found.T)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 0.1
    assert Chooser(1, 2).chances(77) == found[77].tolist()


@pytest.mark.parametrize("method", [0, 1, 2, 3, 4])
def test_resize(path, method):
    found = images(path, resize=30, inter_method=method)
    for number in range(COUNT):
        image = cv2.resize(rgb(number), (36, 30), interpolation=method)
        assert (found[number] == as_batch(image[3:27, 6:30])).all()


def test_resize_by_the_sizes(path):
    found = images(path, resize=30, inter_method=9)
    assert (found == images(path, resize=30, inter_method=3)).all()
    assert (
        images(path, resize=50, inter_method=9) == images(path, resize=50, inter_method=2)
    ).all()
    found = images(path, resize=30, inter_method=10)
    several = [images(path, resize=30, inter_method=n) for n in range(5)]
    used = {
        n
        for number in range(COUNT)
        for n in range(5)
        if (several[n][number] == found[number]).all()
    }
    assert len(used) > 2


def test_a_jpeg_is_decoded_at_half_the_size_if_that_is_enough(tmp_path):
    path = write(tmp_path, count=COUNT, img_fmt=".jpg", height=96, width=96)
    found = images(path, resize=24)
    for number in range(COUNT):
        small = cv2.resize(
            pixels_of(number, 96, 96)[:, :, ::-1], (24, 24), interpolation=cv2.INTER_AREA
        )
        assert np.abs(found[number] - as_batch(small)).mean() < 6


def test_padding(path):
    found = images(path, shape=(3, 60, 60), pad=10, fill_value=7)
    assert (found[:, :, :10] == 7).all()
    assert (found[:, :, -10:] == 7).all()
    assert (found[3, :, 10:50, 6:54] == as_batch(rgb(3))).all()
    with pytest.raises(FormatError, match="image is 40 x 48 where it is cut"):
        images(path, shape=(3, 60, 60))


def test_squares_of_chance(path):
    found = images(path, min_crop_size=30, max_crop_size=30)
    for number in range(COUNT):
        image = cv2.resize(rgb(number)[5:35, 9:39], (24, 24), interpolation=1)
        assert (found[number] == as_batch(image)).all()
    sizes = set()
    found = images(path, min_crop_size=24, max_crop_size=40)
    for number in range(COUNT):
        for size in range(24, 41):
            top, left = (40 - size) // 2, (48 - size) // 2
            part = np.ascontiguousarray(rgb(number)[top : top + size, left : left + size])
            image = cv2.resize(part, (24, 24), interpolation=1)
            if (found[number] == as_batch(image)).all():
                sizes.add(size)
    assert len(sizes) > 4


def test_turning_by_a_right_angle(path):
    with io.ImageRecordIter(path, (3, 39, 39), 1, rotate=90, inter_method=0) as iterator:
        found = next(iterator).data[0].asnumpy()[0]
    image = rgb(0)
    matrix = np.array([[0, 1, 48 / 2 - 40 / 2], [-1, 0, 40 / 2 + 48 / 2]])
    expected = cv2.warpAffine(image, matrix, (48, 40), flags=0, borderValue=(255,) * 3)
    assert (found == as_batch(expected[0:39, 4:43])).all()


def test_angles_and_scales_stay_in_their_bounds(path):
    found = images(path, max_rotate_angle=10, seed=3)
    likely = []
    for number in range(COUNT):
        errors = {}
        for angle in range(-12, 13):
            cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            linear = np.array([[cosine, sine], [-sine, cosine]])
            offset = (np.array([48, 40]) - linear @ [48, 40]) / 2
            turned = cv2.warpAffine(
                rgb(number), np.column_stack([linear, offset]), (48, 40), borderValue=(255,) * 3
            )
            errors[angle] = np.abs(found[number] - as_batch(turned[8:32, 12:36])).mean()
        likely.append(min(errors, key=errors.get))
        assert min(errors.values()) == 0
    assert all(-10 <= angle <= 10 for angle in likely)
    assert len(set(likely)) > 4
    found = images(path, shape=(3, 20, 24), min_random_scale=0.5, max_random_scale=0.5)
    small = cv2.warpAffine(
        rgb(1), np.array([[0.5, 0, 0], [0, 0.5, 0]]), (24, 20), borderValue=(255,) * 3
    )
    assert (found[1] == as_batch(small)).all()


def test_scaled_sides_are_bounded(path):
    found = images(path, shape=(3, 30, 30), max_img_size=30)
    assert found.shape == (COUNT, 3, 30, 30)
    with pytest.raises(FormatError, match="image is 30 x 30 where it is cut"):
        images(path, shape=(3, 31, 31), max_img_size=30)


def test_colours_stay_in_their_bounds(path):
    plain_hls = cv2.cvtColor(rgb(0), cv2.COLOR_RGB2HLS).astype(int)
    for name, channel in (("random_h", 0), ("random_l", 1), ("random_s", 2)):
        found = images(path, shape=(3, 40, 48), **{name: 20})
        for number in range(COUNT):
            limit = 180 if channel == 0 else 255
            errors = []
            for change in range(-20, 21):
                changed = cv2.cvtColor(rgb(number), cv2.COLOR_RGB2HLS).astype(int)
                changed[..., channel] = np.clip(changed[..., channel] + change, 0, limit)
                back = cv2.cvtColor(changed.astype(np.uint8), cv2.COLOR_HLS2RGB)
                errors.append((found[number] == as_batch(back)).all())
            assert sum(errors) >= 1
        assert (found[0] != as_batch(rgb(0))).any()
    assert plain_hls.shape == (40, 48, 3)


def test_the_mean_image_is_computed_once_and_kept(path, tmp_path):
    expected = np.mean([plain(n).astype(np.float64) for n in range(COUNT)], axis=0)
    file = tmp_path / "mean.params"
    found = images(path, mean_img=file)
    kept = nd.load(file)["mean_img"].asnumpy()
    assert kept.dtype == np.float32
    np.testing.assert_allclose(kept, expected, rtol=1e-6)
    assert (found[2] == plain(2) - kept).all()
    nd.save(file, {"mean_img": nd.ones((3, 24, 24))})
    assert (images(path, mean_img=file, scale=2)[2] == (plain(2) - 1) * 2).all()
    # What is subtracted belongs to the places before the image is mirrored.
    nd.save(file, {"mean_img": nd.array(kept)})
    mirrored = images(path, mean_img=file, mirror=True)
    assert (mirrored[2] == (plain(2) - kept)[:, :, ::-1]).all()
    with pytest.raises(FormatError, match=r"has shape \(3, 24, 24\), and data_shape is"):
        images(path, shape=(3, 20, 20), mean_img=file)
    nd.save(file, {"other": nd.array(kept)})
    with pytest.raises(FormatError, match="has no array of the name 'mean_img'"):
        images(path, mean_img=file)
