"""Files made bad by hand, each in one way, and what is said of it."""

import gzip
import io
import json
import struct
import zipfile
import zlib

import numpy as np
from idx_files import idx_bytes, images
from mutants import forge, pack
from PIL import Image
from safetensors.numpy import save

GOOD = idx_bytes(images(3, 4, 5))


def header(code, *sides):
    return bytes([0, 0, code, len(sides)]) + struct.pack(f">{len(sides)}I", *sides)


def idx():
    cut, announced = "found the end of the file within its header", "found dimensions"
    return {
        "empty": (b"", cut),
        "one byte": (b"\0", cut),
        "cut in its magic": (GOOD[:3], cut),
        "cut after its magic": (GOOD[:4], cut),
        "cut in its sides": (GOOD[:15], cut),
        "without content": (GOOD[:16], "found (at most )?16 bytes, expected 76"),
        "one byte short": (GOOD[:-1], "found (at most )?75 bytes, expected 76.*truncated"),
        "one byte long": (GOOD + b"\0", "found more bytes, expected 76.*overlong"),
        "twice": (GOOD * 2, "overlong"),
        "little-endian sides": (GOOD[:4] + GOOD[7:3:-1] + GOOD[8:], "found at most 76 bytes"),
        "magic of others": (b"\1" + GOOD[1:], "found magic 0x01000803"),
        "text": (b"6 5 4 3 2 1 0", "found magic 0x36203520"),
        "a numpy array": (b"\x93NUMPY\1\0" + bytes(80), "found magic"),
        "type 0": (header(0, 4) + bytes(4), "found type code 0x00"),
        "type 10": (header(10, 4) + bytes(4), "found type code 0x0a"),
        "type 255": (header(255, 4) + bytes(4), "found type code 0xff"),
        "no dimensions": (header(8) + b"\0", "found 0 dimensions"),
        "65 dimensions": (header(8, *[1] * 65) + b"\0", "found 65 dimensions"),
        "255 dimensions": (header(8, *[1] * 255) + b"\0", "found 255 dimensions"),
        "no images": (header(8, 0, 28, 28), announced),
        "a side of 0": (header(8, 5, 0, 28), announced),
        "the last side of 0": (header(13, 5, 28, 0), announced),
        "4 GB": (header(8, 2**32 - 1) + bytes(60), "found at most 68 bytes, expected 4294967303"),
        "a product of 2 ** 64": (header(8, 2**31, 2**31, 4), announced),
        "a product of 2 ** 64 and the rest": (header(8, 2**32 - 1, 2**32 - 1, 2**32 - 1) + GOOD, announced),
        "64 sides of 2 ** 32 - 1": (header(8, *[2**32 - 1] * 64), announced),
        "half a float": (header(14, 3) + bytes(20), "expected 32, as its header"),
    }


def gzip_files():
    good, broken = gzip.compress(GOOD, mtime=0), "found unreadable or damaged data"

    def changed(at, value):
        return good[:at] + value + good[len(good[:at]) + len(value) :]

    return {
        "magic alone": (good[:2], broken),
        "cut in its header": (good[:9], broken),
        "cut in its data": (good[:30], broken),
        "without its length": (good[:-4], broken),
        "without its checksum": (good[:-8], broken),
        "one byte short": (good[:-1], broken),
        "another checksum": (changed(-8, b"\xff\xff\xff\xff"), broken),
        "another length": (changed(-4, b"\1\0\0\0"), broken),
        "another method": (changed(2, b"\7"), broken),
        "a name without end": (good[:3] + b"\x08" + good[4:10] + b"x" * 50, broken),
        "an extra field beyond the end": (good[:3] + b"\x04" + good[4:10] + b"\xff\xff" + good[10:], broken),
        "a block of no kind": (good[:10] + b"\xff" * 40, broken),
        "rubbish behind it": (good + b"rubbish", broken),
        "another member behind it": (good + good, "overlong"),
        "gzip in gzip": (gzip.compress(good, mtime=0), "found magic 0x1f8b"),
        "nothing in it": (gzip.compress(b"", mtime=0), "within its header"),
        "a bomb": (gzip.compress(header(8, 10**6) + bytes(10**8), 1, mtime=0), "overlong"),
        "a bomb that announces itself": (
            gzip.compress(header(8, 2**32 - 1) + bytes(10**8), 1, mtime=0),
            "found at most .* bytes, expected 4294967303|found 1000000.. bytes.*truncated",
        ),
    }


def zipped(content=GOOD, name="inner/file", method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def zip_files():
    good, broken = zipped(), "found unreadable or damaged data"
    directory, end = good.index(b"PK\1\2"), good.index(b"PK\5\6")

    def changed(at, value):
        return good[:at] + value + good[at + len(value) :]

    return {
        "empty": (b"", broken),
        "no archive": (GOOD, broken),
        "its end alone": (good[end:], broken),
        "without its end": (good[:end], broken),
        "cut in its end": (good[:-1], broken),
        "without its list": (good[:directory] + good[end:], broken),
        "another member": (zipped(name="inner/other"), "found no member inner/file, .*inner/other"),
        "a folder of the name": (zipped(b"", "inner/file/"), "found no member"),
        "a member of a path that leads out": (zipped(name="../inner/file"), "found no member"),
        "encrypted": (changed(directory + 8, b"\1\0"), broken),
        "bzip2": (zipped(method=zipfile.ZIP_BZIP2), "found compression 12"),
        "lzma": (zipped(method=zipfile.ZIP_LZMA), "found compression 14"),
        "a method that nobody knows": (changed(directory + 10, b"\xff\0"), "found compression 255"),
        "stored, said to be deflated": (changed(directory + 10, b"\x08\0"), broken),
        "a list that starts elsewhere": (changed(end + 16, b"\xff\xff\xff\x7f"), broken),
        "a member that starts elsewhere": (changed(directory + 42, b"\xff\xff\0\0"), broken),
        "another checksum": (changed(directory + 16, b"\0\0\0\0"), broken),
        "a member said to be shorter": (changed(directory + 20, b"\4\0\0\0\4\0\0\0"), "found|within"),
        "a member said to be of 2 GB": (changed(directory + 20, b"\xff\xff\xff\x7f" * 2), "overlong"),
        "a name that is no text": (good.replace(b"inner/file", b"inner/\xff\xfe\0e"), "found no member"),
        "an archive in an archive": (zipped(good), "found a zip archive"),
    }


def png(width, height, depth=8, colour=0, data=b"\0", kinds=(b"IHDR", b"IDAT", b"IEND")):
    """A PNG of this header, whatever its data."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    parts = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0), zlib.compress(data, 1), b""
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, kinds, parts))


def saved(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def of_one(value):
    return saved(Image.fromarray(np.full((6, 5), value)), "TIFF")


def pictures():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8))
    nothing, broken = "found neither a picture nor an IDX file", "found a picture that cannot be read"
    forms = {
        form: saved(picture, form) for form in ("PNG", "GIF", "JPEG", "BMP", "TIFF", "TGA", "PPM", "WEBP")
    }
    halves = {
        f"half a {form}": (data[: len(data) // 2], f"{broken}|{nothing}") for form, data in forms.items()
    }
    film = saved(picture, "GIF", save_all=True, append_images=[picture.rotate(90)])
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    return halves | {
        "empty": (b"", nothing),
        "text": (b"not a picture", nothing),
        "a signature alone": (forms["PNG"][:8], f"{nothing}|{broken}"),
        "no width": (png(0, 5), f"{nothing}|{broken}"),
        "no chunks": (forms["PNG"][:33], nothing),
        "a depth of 3": (png(5, 5, 3), f"{nothing}|{broken}"),
        "too little data": (png(5, 5), broken),
        "a side of 2 ** 31 - 1": (png(2**31 - 1, 1), f"{broken} .*exceeds limit"),
        "a bomb": (png(8192, 8192, data=bytes(8193 * 8192)), f"{broken} .*exceeds limit"),
        "a bomb of one pixel too many": (png(2**22 + 1, 1, data=bytes(2**22 + 2)), f"{broken} .*exceeds"),
        "a bomb in an icon": (
            b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x08\0" + struct.pack("<II", 99, 22) + png(9000, 9000),
            broken,
        ),
        "PostScript": (postscript, f"{broken} .*a EPS, expected"),
        "no number of columns": (b"P5 6x 60 255\n" + bytes(3600), f"{broken}|{nothing}"),
        "a grey of 0": (b"P5 6 6 0\n" + bytes(36), f"{broken}|{nothing}"),
        "infinite pixels": (of_one(np.float32(np.inf)), "found pixels from inf"),
        "NaN pixels": (of_one(np.float32(np.nan)), "found pixels from nan"),
        "pixels below 0": (of_one(np.int32(-1)), "found pixels from -1"),
        "two pictures": (film, "found 2 pictures"),
    }  # fmt: skip


def split(content):
    """The header of a file of safetensors, what fastmlp says in it, and the tensors' bytes."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    return header, json.loads(header["__metadata__"]["fastmlp"]), content[end:]


def foreign(good):
    """Neither models nor checkpoints."""
    header, said, data = split(good)
    broken, names = "found a damaged or foreign file", [name for name in header if name != "__metadata__"]
    begin, end = header[names[0]]["data_offsets"]

    def with_offsets(*offsets):
        return pack(header | {names[0]: header[names[0]] | {"data_offsets": offsets}}, data)

    return {
        "empty": (b"", broken),
        "seven bytes": (good[:7], broken),
        "a length alone": (good[:8], broken),
        "a length of 2 ** 64 - 1": (b"\xff" * 8 + good[8:], broken),
        "a length beyond the end": (struct.pack("<Q", len(good)) + good[8:], broken),
        "a length of 0": (bytes(8) + good[8:], broken),
        "one byte short": (good[:-1], broken),
        "one byte long": (good + b"\0", broken),
        "no JSON": (pack(header, data).replace(b'{"', b'["', 1), broken),
        "JSON of depth 10000": (struct.pack("<Q", 10000) + b"[" * 10000, broken),
        "offsets that go back": (with_offsets(end, begin), broken),
        "offsets that overlap": (with_offsets(begin + 4, end + 4), broken),
        "offsets beyond the end": (with_offsets(begin, 2**40), broken),
        "offsets below 0": (with_offsets(-4, end), broken),
        "metadata that are no text": (pack({**header, "__metadata__": {"fastmlp": 3}}, data), broken),
        "no metadata": (save({"x": np.zeros(3, np.float32)}), "found no metadata key 'fastmlp'"),
        "metadata of others": (save({}, metadata={"format": "pt"}), "found no metadata key 'fastmlp'"),
        "metadata of depth 5000": (
            pack({**header, "__metadata__": {"fastmlp": "[" * 5000}}, data),
            "found metadata that is no JSON|found a damaged file",
        ),
        "a number of 5000 digits": (
            pack({**header, "__metadata__": {"fastmlp": "1" * 5000}}, data),
            "found metadata that is no JSON|found a damaged file",
        ),
        "a pickle": (b"\x80\x04\x95" + bytes(60), broken),
    }


def models(good):
    header, said, data = split(good)
    names = [name for name in header if name != "__metadata__"]

    def with_(**changed):
        return forge({**said, **changed}, header, data)

    def without_(key):
        return forge({other: value for other, value in said.items() if other != key}, header, data)

    wide = {"sizes": [2**31 - 1, 2**31 - 1]}
    broken = np.frombuffer(data, np.float32).copy()
    broken[3] = np.nan
    without = {name: entry for name, entry in header.items() if name != names[-1]}
    kinds = {name: {**header[name], "dtype": "I32"} for name in names}
    return foreign(good) | {
        "no format": (without_("format"), "found format None"),
        "a format to come": (with_(format=2), "found format 2, expected format 1: update fastmlp"),
        "a key too many": (with_(more=1), "found configuration of"),
        "a key too few": (without_("dtype"), "found configuration of"),
        "a list": (forge([said], header, data), "found metadata"),
        "no sizes": (with_(sizes=[]), "found sizes"),
        "sizes below 1": (with_(sizes=[4, 0, 2]), "found sizes"),
        "sizes of text": (with_(sizes=["4", "3", "2"]), "found sizes"),
        "sizes that are true": (with_(sizes=[True, True]), "found sizes"),
        "sizes of 2 ** 62 weights": (with_(**wide), "found"),
        "10 ** 5 layers": (with_(sizes=[1] * 10**5), "found"),
        "other sizes": (with_(sizes=[4, 2, 2]), "found layers.0.weight of F32 .4, 3., expected F32 .4, 2."),
        "another dtype": (with_(dtype="float64"), "found layers.0.weight of F32"),
        "a dtype of others": (with_(dtype="object"), "found dtype 'object'"),
        "a scale of 0": (with_(scale=0), "found what no model is made with"),
        "an infinite scale": (with_(scale=float("inf")), "found what no model is made with"),
        "a scale of 10 ** 400": (with_(scale=10**400), "found what no model is made with"),
        "an activation of others": (with_(activations=["x" * 10**5]), "found what no model is made with"),
        "a class of others": (with_(**{"class": "os.system"}), "found class 'os.system'"),
        "a rate of dropout of 1": (with_(dropout=[0.0, 1.0]), "found what no model is made with"),
        "NaN": (pack(header, broken.tobytes()), "with infinite or NaN values"),
        "integers": (pack({**header, **kinds}, data), "found layers.0.weight of I32"),
        "a tensor too few": (pack(without, data), "found a damaged or foreign file|found tensors"),
    }  # fmt: skip


def checkpoints(good):
    header, said, data = split(good)
    state, damaged = said["state"], "found a damaged file"

    def with_(**changed):
        return forge({**said, **changed}, header, data)

    def with_watch(**changed):
        return with_(watch={**said["watch"], **changed})

    def with_state(**changed):
        return with_(state={**state, **changed})

    def with_epoch(epoch):
        row = dict(zip(said["columns"], said["records"][-1], strict=True)) | {"epoch": epoch}
        return with_(records=[*said["records"][:-1], [*row.values()]])

    odd = "found numbers that no run has"
    return foreign(good) | {
        "another digest": (pack(header, bytes([data[0] ^ 1]) + data[1:]), "whose digest is another"),
        "the same in other words": (
            pack({**header, "__metadata__": {"fastmlp": json.dumps(said, indent=1)}}, data), "whose digest"),
        "no checkpoint": (forge({"format": 1}, header, data), "found none, expected a checkpoint"),
        "a format to come": (with_(checkpoint=2), "found a checkpoint of format 2"),
        "a list": (forge([said], header, data), damaged),
        "no facts": (with_(facts=None), damaged),
        "no state": (with_(state=None), "state lacks a key"),
        "a first epoch of the past": (with_(first=-(10**9)), odd),
        "a first epoch to come": (with_(first=10**9), odd),
        "a first epoch that is none": (with_(first="0"), odd),
        "an epoch of 2 ** 63": (with_epoch(2**63), odd),
        "an epoch before the first": (with_epoch(-5), odd),
        "half an epoch": (with_epoch(0.5), odd),
        "a pass below 0": (with_(first_pass=-1), odd),
        "records of one number": (with_(records=[[1]]), damaged),
        "records of text": (with_(records=[["a"] * len(said["columns"])]), odd),
        "columns of others": (with_(columns=["x"]), damaged),
        "ended by text": (with_(ended="no"), odd),
        "a watch without a best": (with_(watch={"kept": None, "waited": 0}), damaged),
        "a watch that waits for ever": (with_watch(waited=-(2**70)), odd),
        "a watch that keeps a number": (with_watch(kept=3), "state lacks a key"),
        "a tensor that is not there": (with_state(weights=[{"tensor": "x"}]), damaged),
        "an optimizer of others": (with_state(optimizer="other"), "state of 2 rows for the optimizer"),
        "an optimizer that is a list": (with_state(optimizer=[]), "state of 2 rows for the optimizer"),
        "rows that are a number": (with_state(state=5), "state of type int for the optimizer"),
        "steps below 0": (with_state(steps=-1), "steps is -1"),
        "too few weights": (with_state(weights=state["weights"][:-1]), "3 arrays of weights, expected 4"),
        "weights of another layer": (with_state(weights=state["weights"][::-1]), "has shape"),
        "another run": (with_(facts={**said["facts"], "batch_size": 5}), "is of another run: batch_size"),
    }  # fmt: skip


def bad_files(name, seeds):
    """Those of a parser, {what: (content, what is said of it)}, some of them made of its good files."""
    kinds = {"idx": idx, "gzip": gzip_files, "zip": zip_files, "pictures": pictures}
    made = {"models": models, "checkpoints": checkpoints}
    return made[name](seeds[0]) if name in made else kinds[name]()
