"""Record files of small images, and what should come of them, by plain NumPy and OpenCV."""

import cv2
import numpy as np

from actorflow.recordio import IRHeader, MXIndexedRecordIO, pack, pack_img


def pixels_of(number, height=40, width=48):
    """An image like no other: smooth, so that JPEG keeps it nearly as it is."""
    y, x = np.mgrid[:height, :width]
    planes = [
        np.sin((y + number * 3) / 7),
        np.cos((x - number) / 9),
        np.sin((x + y) / (5 + number)),
    ]
    return ((np.stack(planes, axis=2) + 1) * 127).astype(np.uint8)


def write(folder, count=7, img_fmt=".png", labels=1, **size):
    """A file of `count` images with ids 100, 101, ... and labels 0, 10, ...; and its index."""
    path = folder / "x.rec"
    with MXIndexedRecordIO(folder / "x.idx", path, "w") as writer:
        for number in range(count):
            label = number * 10.0 if labels == 1 else [number * 10.0 + i for i in range(labels)]
            header = IRHeader(0, label, 100 + number, 0)
            image = pixels_of(number, **size)
            quality = 3 if img_fmt == ".png" else 95
            writer.write_idx(number, pack_img(header, image, quality, img_fmt))
    return path


def write_raw(folder, payloads):
    """A file of records whose images are `payloads`; and where each begins."""
    path = folder / "x.rec"
    with MXIndexedRecordIO(folder / "x.idx", path, "w") as writer:
        for number, payload in enumerate(payloads):
            writer.write_idx(number, pack(IRHeader(0, float(number), number, 0), payload))
        return path, [writer.idx[key] for key in writer.keys]


def encoded(number=0, **size):
    """An image as a PNG file."""
    return cv2.imencode(".png", pixels_of(number, **size))[1].tobytes()


def plain(number, height=24, width=24, grey=False, **size):
    """The middle of an image as a batch has it."""
    image = pixels_of(number, **size)
    if grey:
        image = cv2.imdecode(cv2.imencode(".png", image)[1], 0)[:, :, None]
    else:
        image = image[:, :, ::-1]
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    part = image[top : top + height, left : left + width]
    return np.ascontiguousarray(part.transpose(2, 0, 1), np.float32)
