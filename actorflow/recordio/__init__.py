"""Record files: many small pieces of data in one file, as MXNet reads and writes them."""

from actorflow.recordio.files import MXRecordIO
from actorflow.recordio.headers import IRHeader, pack, unpack
from actorflow.recordio.images import (
    MAX_PIXELS,
    decode_image,
    encode_image,
    image_size,
    opencv,
    pack_img,
    unpack_img,
)
from actorflow.recordio.indexed import MXIndexedRecordIO
from actorflow.recordio.jpeg import JpegHeader, read_jpeg
from actorflow.recordio.lists import ListEntry, read_list, write_list
from actorflow.recordio.places import Places, find_places, read_places
from actorflow.recordio.reading import Lost, part_range
from actorflow.recordio.storage import open_source, read_all

__all__ = [
    "MAX_PIXELS",
    "IRHeader",
    "JpegHeader",
    "ListEntry",
    "Lost",
    "MXIndexedRecordIO",
    "MXRecordIO",
    "Places",
    "decode_image",
    "encode_image",
    "find_places",
    "image_size",
    "open_source",
    "opencv",
    "pack",
    "pack_img",
    "part_range",
    "read_all",
    "read_jpeg",
    "read_list",
    "read_places",
    "unpack",
    "unpack_img",
    "write_list",
]
