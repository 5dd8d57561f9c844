"""Pictures, animations and folders of numbered pictures, against what was written and against OpenCV and FFmpeg."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.media.conftest import number, numbered, status_of
from vidfer.media.audio import read_windows
from vidfer.media.decode import probe, read_frames
from vidfer.types import ClipError, Status

pytestmark = pytest.mark.usefixtures("in_process")


def noise(height=24, width=40, channels=3, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def only(path, **how):
    (frame,) = read_frames(path, fps=None, **how)
    assert (frame.index, frame.pts) == (0, 0)
    return frame.image


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
def test_a_picture_is_a_clip_of_one_frame_without_sound_whatever_its_name(tmp_path, kind):
    path = tmp_path / "picture.mp4"
    image = np.full((24, 40, 3), 51, np.uint8)
    Image.fromarray(image).save(path, format=kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.abs(only(path).astype(int) - image).max() <= 1
    assert [frame.pts for frame in read_frames(path, fps=5)] == [0]
    about = probe(path)
    assert (about.container, about.duration, about.video.fps, about.audio) == (kind.lower(), None, None, None)
    assert (about.video.width, about.video.height, about.video.rotation) == (40, 24, 0)
    sound = read_windows(path)
    assert (sound.status, sound.message) == (Status.NO_AUDIO, "a picture has no sound")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_orientation_is_applied_as_by_opencv(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    blocks = np.kron(noise(3, 5), np.ones((16, 16, 1), np.uint8))
    Image.fromarray(blocks).save(path, exif=exif, quality=95)
    got = only(path)
    if suffix == "jpg":
        assert np.abs(got.astype(int) - cv2.imread(str(path))[..., ::-1]).max() <= 3
    turns = {3: 2, 4: 2, 5: -1, 6: -1, 7: 1, 8: 1}.get(orientation, 0)  # quarters counter-clockwise, then mirrored
    upright = np.rot90(blocks, turns)
    upright = upright[:, ::-1] if orientation in {2, 4, 5, 7} else upright
    assert np.median(np.abs(got.astype(int) - upright)) <= 8
    assert probe(path).video.rotation == turns % 4 * 90


def test_sixteen_bits_gray_and_palette(tmp_path):
    deep = noise(dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "rgb16.png"), deep[..., ::-1])
    assert np.abs(only(tmp_path / "rgb16.png") - deep / 257).max() <= 1
    cv2.imwrite(str(tmp_path / "gray16.png"), deep[..., 0])
    assert np.abs(only(tmp_path / "gray16.png") - deep[..., :1] / 257).max() <= 0.51
    gray = noise(channels=1)
    for suffix in ("png", "jpg"):
        cv2.imwrite(str(tmp_path / f"gray.{suffix}"), gray)
        assert np.array_equal(only(tmp_path / f"gray.{suffix}"), cv2.imread(str(tmp_path / f"gray.{suffix}")))
    Image.fromarray(gray[..., 0] > 127).save(tmp_path / "bits.png")
    assert np.array_equal(only(tmp_path / "bits.png"), np.repeat(255 * (gray > 127), 3, 2))
    palette = Image.fromarray(noise()).quantize(200)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(only(tmp_path / "palette.png"), cv2.imread(str(tmp_path / "palette.png"))[..., ::-1])


def test_transparent_parts_are_white(tmp_path):
    image = noise(channels=4)
    share = image[..., 3:] / 255
    expected = share * image[..., :3] + (1 - share) * 255
    for suffix in ("png", "webp"):
        Image.fromarray(image).save(tmp_path / f"a.{suffix}", lossless=True, exact=True)
        assert np.abs(only(tmp_path / f"a.{suffix}") - expected).max() <= 1
    Image.fromarray(image[..., [0, 3]], "LA").save(tmp_path / "la.png")
    assert np.abs(only(tmp_path / "la.png") - (share * image[..., :1] + (1 - share) * 255)).max() <= 1
    flat = Image.new("P", (8, 8), 3)
    flat.putpalette([10, 20, 30] * 256)
    for suffix in ("png", "gif"):
        flat.save(tmp_path / f"p.{suffix}", transparency=3)
        assert (only(tmp_path / f"p.{suffix}") == 255).all()


def test_cmyk_is_read_by_its_inks(tmp_path):
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # cyan none, magenta and yellow full: red
    inks.save(tmp_path / "a.jpg", quality=95)
    assert np.abs(only(tmp_path / "a.jpg") - np.array([255, 0, 0])).max() <= 4


@pytest.mark.parametrize(("name", "how"), [("a.gif", {}), ("a.webp", {"lossless": True}), ("a.png", {})])
def test_an_animation_has_its_frames_own_times(tmp_path, name, how):
    path = tmp_path / name
    images = [Image.fromarray(image) for image in numbered(5)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=[40, 500, 0, 90, 120], loop=0, **how)
    frames = list(read_frames(path, fps=None))
    assert [number(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.pts for frame in frames] == pytest.approx([0, 0.04, 0.54, 0.64, 0.73])  # no time at all is 0.1 s
    assert [number(frame.image) for frame in read_frames(path, fps=5)] == [0, 2, 3]
    assert [number(frame.image) for frame in read_frames(path, fps=None, every=3)] == [0, 3]
    about = probe(path)
    assert (about.duration, about.video.fps) == (pytest.approx(0.85), pytest.approx(5 / 0.85))
    assert read_windows(path).status is Status.NO_AUDIO


def test_a_gif_of_partial_frames_looks_as_ffmpeg_shows_it(tmp_path):
    import av

    images = []
    for k in range(6):
        image = np.full((32, 32, 3), 200, np.uint8)
        image[4 * k : 4 * k + 8, 8:16] = 30 * k
        images.append(Image.fromarray(image))
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100, loop=0, disposal=1)
    with av.open(str(tmp_path / "a.gif")) as container:
        expected = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.array_equal([frame.image for frame in read_frames(tmp_path / "a.gif", fps=None)], expected)


def test_the_picture_for_programs_without_animation_is_no_frame(tmp_path):
    images = [Image.fromarray(image) for image in numbered(4)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=100, default_image=True)
    assert [number(frame.image) for frame in read_frames(tmp_path / "a.png", fps=None)] == [1, 2, 3]


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_the_pixel_limit_holds_before_decoding(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_header(100_000, 100_000))
    with pytest.raises(ClipError, match="100000x100000 are over the limit") as told:
        list(read_frames(tmp_path / "bomb.png"))
    assert told.value.status is Status.TOO_LARGE
    Image.fromarray(noise()).save(tmp_path / "a.png")
    assert status_of(tmp_path / "a.png", max_pixels=24 * 40 - 1) == (Status.TOO_LARGE, [])
    assert status_of(tmp_path / "a.png", max_pixels=24 * 40)[0] is Status.OK


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif", b"avis"])
def test_other_pictures_are_named_with_the_remedy(tmp_path, brand):
    (tmp_path / "a.jpg").write_bytes(struct.pack(">I", 24) + b"ftyp" + brand + bytes(200))
    with pytest.raises(ClipError) as told:
        probe(tmp_path / "a.jpg")
    assert told.value.status in {Status.UNSUPPORTED, Status.CORRUPT}
    (tmp_path / "a.bmp").write_bytes(cv2.imencode(".bmp", noise())[1].tobytes())
    with pytest.raises(ClipError, match="save pictures as PNG, JPEG or WebP"):
        probe(tmp_path / "a.bmp")


@pytest.mark.parametrize(("name", "how"), [("a.gif", {}), ("a.webp", {}), ("a.png", {}), ("a.jpg", {})])
def test_damage_gives_a_status_and_never_a_crash(tmp_path, name, how):
    from vidfer.media.decode_child import handle

    rng = np.random.default_rng(1)
    images = [Image.fromarray(noise() // (k + 1)) for k in range(4)]
    images[0].save(tmp_path / name, **({"save_all": True, "append_images": images[1:]} if name != "a.jpg" else {}))
    data = (tmp_path / name).read_bytes()
    request = {"op": "frames", "path": str(tmp_path / name), "fps": None, "every": None, "decoder": "auto"}
    seen = set()
    for trial in range(150):
        if trial < 50:
            damaged = data[: max(16, len(data) * trial // 50)]
        else:
            damaged = bytearray(data)
            for at in rng.integers(12, len(data), 1 + trial % 8):
                damaged[at] = rng.integers(256)
        (tmp_path / name).write_bytes(damaged)
        try:
            seen.add(Status.OK if "end" in list(handle({**request, "max_pixels": 10**6}))[-1][0] else None)
        except ClipError as error:
            seen.add(error.status)
    assert Status.CORRUPT in seen
    assert seen <= {Status.OK, Status.PARTIAL, Status.CORRUPT, Status.TOO_LARGE}


def test_an_animation_that_breaks_off_gives_its_frames_and_then_says_so(tmp_path):
    images = [Image.fromarray(np.roll(noise(64, 64), k, 0)) for k in range(8)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100)
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(data[: len(data) // 2])
    status, frames = status_of(tmp_path / "a.gif", fps=None)
    assert status is Status.PARTIAL
    assert 3 <= len(frames) <= 4


def series(folder, numbers, name="f_{}.png"):
    folder.mkdir()
    for k, image in zip(numbers, numbered(len(numbers)), strict=True):
        Image.fromarray(image).save(folder / name.format(k))
    return folder


def test_numbered_pictures_are_frames_in_numeric_order_and_gaps_are_gaps_in_time(tmp_path):
    folder = series(tmp_path / "take", [8, 9, 10, 11, 15, 100])
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"")
    frames = list(read_frames(folder, fps=None, picture_fps=25))
    assert [number(frame.image) for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert [frame.pts for frame in frames] == pytest.approx(np.array([0, 1, 2, 3, 7, 92]) / 25)
    about = probe(folder, picture_fps=25)
    assert (about.container, about.duration, about.video.fps) == ("pictures", pytest.approx(93 / 25), 25)
    assert read_windows(folder).status is Status.NO_AUDIO
    with pytest.raises(ClipError, match="picture-fps"):
        probe(folder)


def test_pictures_that_do_not_decode_are_left_out_and_named(tmp_path):
    folder = series(tmp_path / "take", range(6))
    (folder / "f_2.png").write_bytes((folder / "f_2.png").read_bytes()[:60])
    (folder / "f_4.png").write_bytes(b"text")
    with pytest.raises(ClipError, match=r"2 pictures that cannot be read: f_2.png, f_4.png; 4 frames") as told:
        list(read_frames(folder, fps=None, picture_fps=10))
    assert told.value.status is Status.PARTIAL
    assert [number(frame.image) for frame in status_of(folder, fps=None, picture_fps=10)[1]] == [0, 1, 3, 5]
    assert status_of(folder, fps=5, picture_fps=25)[0] is Status.OK  # of the first and the sixth, which are fine
