import sys

import numpy as np
import pytest
from fake_clouds import SIDE, photograph, save, scan, write_candy, write_scan
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from domains.pointcloud.files import companions, load
from framework.errors import MissingPackageError, UnreadableError

tifffile = pytest.importorskip("tifffile")


def tiff(path, xyz, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, xyz, **options)
    return path


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_points_of_a_scan_are_those_of_its_object_in_the_order_of_the_grid(tmp_path, compression) -> None:
    xyz, shown, _ = scan()
    shape = load(tiff(tmp_path / "a.tiff", xyz, compression=compression))
    assert_array_equal(shape.scan.pixel, np.flatnonzero(shown))
    assert_array_equal(shape.points, xyz[shown])
    assert shape.scan.pixel.dtype == np.int32 and (shape.scan.height, shape.scan.width) == (SIDE, SIDE)
    assert shape.scan.background == (~shown).sum() and shape.faces is None and shape.scan.rgb is None
    assert not shape.warnings


def test_zero_and_not_finite_pixels_are_no_points(tmp_path) -> None:
    xyz, shown, _ = scan()
    xyz[30, 30], xyz[31, 31, 1], xyz[32, 32, 2] = 0, np.nan, np.inf
    shape = load(tiff(tmp_path / "a.tiff", xyz))
    assert shape.finite.all() and len(shape.points) == shown.sum() - 3
    assert not set(shape.scan.pixel) & {30 * SIDE + 30, 31 * SIDE + 31, 32 * SIDE + 32}


def test_all_points_are_kept_where_the_ground_is_wanted(tmp_path) -> None:
    shape = load(write_scan(tmp_path), background="keep")
    assert len(shape.points) == SIDE * (SIDE - 2) and shape.scan.background == 0  # two rows were not measured


def test_the_photograph_beside_a_scan_colours_its_points(tmp_path) -> None:
    shape = load(write_scan(tmp_path, dent=True))
    _, shown, marked = scan(dent=True)
    rgb = photograph(shown, marked)
    assert_array_equal(shape.scan.rgb, rgb)
    assert_array_equal(shape.colours, rgb[shown])


@pytest.mark.parametrize("scale", [1, 1000])
def test_metres_and_millimetres_are_cut_alike(tmp_path, scale) -> None:
    assert_array_equal(load(write_scan(tmp_path, scale=scale)).scan.pixel, np.flatnonzero(scan()[1]))


def test_a_constant_place_for_what_was_not_measured_is_no_point(tmp_path) -> None:
    """M3DM's copy of Eyecandies puts all of the ground in one place, which is not the origin."""
    xyz, shown, _ = scan()
    xyz[~shown] = (0.3, -1.2, 0.7)
    shape = load(tiff(tmp_path / "a.tiff", xyz.astype(np.float64)))
    assert_array_equal(shape.scan.pixel, np.flatnonzero(shown))
    assert shape.scan.background == 0 and not shape.warnings and shape.points.dtype == np.float64


def test_channels_first_are_taken_and_told(tmp_path) -> None:
    xyz, shown, _ = scan()
    path = tiff(tmp_path / "a.tiff", np.moveaxis(xyz, -1, 0))
    shape = load(path)
    assert_array_equal(shape.points, xyz[shown])
    assert shape.warnings == (f"{path}: its channels come first, (3, 64, 64); they are taken as x, y and z.",)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda xyz: np.dstack([xyz, xyz[..., 0]]), r"an array of \(64, 64, 4\); write x, y and z of every pixel"),
        (lambda xyz: xyz[..., 2], r"an array of \(64, 64\); write x, y and z"),
        (lambda xyz: (xyz * 1000).astype(np.uint16), "holds uint16; coordinates must be float32 or float64"),
        (lambda xyz: (xyz * 255).astype(np.uint8), "holds uint8; coordinates must be"),
        (lambda xyz: xyz.astype(np.float16), "holds float16; coordinates must be"),
        (lambda xyz: xyz * 0, "0 finite points; a cloud needs 16 or more"),
        (lambda xyz: xyz * np.nan, "0 finite points"),
    ],
)
def test_an_array_that_is_no_scan_is_refused(tmp_path, made, message) -> None:
    path = tiff(tmp_path / "a.tiff", made(scan()[0]))
    with pytest.raises(UnreadableError, match=message) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.01, 0.6, 0.99])
def test_a_truncated_scan_is_refused(tmp_path, compression, share) -> None:
    path = tiff(tmp_path / "a.tiff", scan(128)[0], compression=compression)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UnreadableError, match=r"a\.tiff: truncated or corrupt \("):
        load(path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY junk \xff\x00" * 40, b"II*\0" + b"\xff" * 400])
def test_an_empty_or_foreign_scan_is_refused(tmp_path, content, capfd) -> None:
    path = tmp_path / "a.tiff"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"a\.tiff: ") as error:
        load(path)
    assert "\n" not in str(error.value) and capfd.readouterr() == ("", "")


def test_a_photograph_of_another_size_or_a_broken_one_is_refused(tmp_path) -> None:
    path = write_scan(tmp_path)
    picture = save(tmp_path / "rgb/000.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(UnreadableError, match=r"rgb/000\.png: \(20, 30\) pixels, but its scan has \(64, 64\)"):
        load(path)
    save(picture, np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8))
    picture.write_bytes(picture.read_bytes()[:4000])
    with pytest.raises(UnreadableError, match=r"rgb/000\.png: not a whole picture"):
        load(path)


def test_without_tifffile_a_scan_says_what_to_install(tmp_path, monkeypatch) -> None:
    path = write_scan(tmp_path)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingPackageError, match=r"need the package tifffile; run: uv pip install -e '\.\[pointcloud"):
        load(path)


def test_a_depth_picture_gives_the_points_of_its_camera(tmp_path) -> None:
    xyz, shown, _ = scan(noise=0)
    shape = load(write_candy(tmp_path))
    assert_array_equal(shape.scan.pixel, np.flatnonzero(shown))
    assert_allclose(shape.points, xyz[shown], atol=2e-6)  # 16 bits over 6 cm
    assert shape.scan.background == (~shown).sum()


def test_what_looks_past_everything_is_no_point(tmp_path) -> None:
    path = write_candy(tmp_path)
    picture = np.array(Image.open(path))
    assert (picture == 65535).sum() == 1  # the furthest point, which is one
    picture[:10] = 65535
    save(path, picture)
    assert len(load(path, background="keep").points) == 54 * SIDE


def test_normals_of_eyecandies_are_turned_into_the_frame_of_the_points(tmp_path) -> None:
    shape = load(write_candy(tmp_path))
    assert_allclose(np.linalg.norm(shape.normals, axis=1), 1, atol=1e-5)
    assert ((shape.normals * shape.points).sum(1) < 0).all()  # all face the camera
    top = np.linalg.norm(shape.points[:, :2], axis=1).argmin()
    left = shape.points[:, 0].argmin()
    assert shape.normals[top, 2] < -0.98 and shape.normals[left, 0] < -0.3


@pytest.mark.parametrize(("light", "added"), [(0, 0), (4, 40), ("mean", 25)])
def test_the_light_that_colours_the_points_is_a_choice(tmp_path, light, added) -> None:
    _, shown, marked = scan(dent=True)
    shape = load(write_candy(tmp_path, dent=True), light=light)
    assert_array_equal(shape.scan.rgb, photograph(shown, marked) // 2 + added)
    assert_array_equal(shape.colours, shape.scan.rgb[shown])


def test_a_depth_picture_alone_has_no_colours_and_no_normals(tmp_path) -> None:
    path = write_candy(tmp_path)
    for beside in (*tmp_path.glob("*_image_*.png"), *tmp_path.glob("*_normals.png")):
        beside.unlink()
    shape = load(path)
    assert shape.colours is None and shape.normals is None and shape.scan.rgb is None


def test_a_missing_light_is_named(tmp_path) -> None:
    path = write_candy(tmp_path)
    (tmp_path / "00_image_4.png").unlink()
    with pytest.raises(UnreadableError, match=r"00_image_4\.png: cannot be read \(No such file"):
        load(path)
    assert load(path, light=0).scan.rgb is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"00_depth\.png: the range of its depth is missing; put 00_info_depth\.yaml of the data set beside it"),
        ("normalization: 3", r"00_info_depth\.yaml: must read 'normalization: \{min: metres, max: metres\}'"),
        ("a: [", r"00_info_depth\.yaml: must read"),
        ("normalization: {min: 2.0, max: 1.0}", r"a depth from 2\.0 to 1\.0 metres is not possible"),
    ],
)
def test_a_depth_picture_without_its_range_is_refused(tmp_path, text, message) -> None:
    path = write_candy(tmp_path)
    info = tmp_path / "00_info_depth.yaml"
    info.unlink() if text is None else info.write_text(text)
    with pytest.raises(UnreadableError, match=message) as error:
        load(path)
    assert "\n" not in str(error.value)


def test_a_depth_picture_of_eight_bits_or_colours_is_refused(tmp_path) -> None:
    path = write_candy(tmp_path)
    save(path, np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(UnreadableError, match="has one channel of 16 bits, this one 1 of 8"):
        load(path)
    save(path, np.zeros((SIDE, SIDE, 3), np.uint8))
    with pytest.raises(UnreadableError, match="this one 3 of 8"):
        load(path)
    path.write_bytes(b"junk")
    with pytest.raises(UnreadableError, match=r"00_depth\.png: not a whole picture"):
        load(path)


def test_a_scan_whose_header_promises_more_than_its_file_holds_is_refused(tmp_path) -> None:
    """Before room is made for it."""
    path = tiff(tmp_path / "a.tiff", scan()[0], compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["ImageLength"].overwrite(10**9)
    with pytest.raises(
        UnreadableError, match=r"a\.tiff: truncated or corrupt \(its header says 768,000,000,000 bytes, "
    ):
        load(path)


def test_what_a_scan_is_read_with_is_named(tmp_path) -> None:
    """Whoever keeps what was read must look at these too."""
    assert companions(write_scan(tmp_path / "a")) == (tmp_path / "a/rgb/000.png",)
    assert companions(tiff(tmp_path / "b.tiff", scan()[0])) == companions(tmp_path / "c.pcd") == ()
    path = write_candy(tmp_path / "d")
    assert [p.name for p in companions(path)] == ["00_info_depth.yaml", "00_normals.png"] + [
        f"00_image_{k}.png" for k in range(6)
    ]
    (tmp_path / "d/00_normals.png").unlink()
    assert len(companions(path)) == 7


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1), (2, 0, 1)])
def test_channels_in_another_order_are_told(tmp_path, order) -> None:
    xyz, _, _ = scan()
    plain = load(tiff(tmp_path / "plain.tiff", xyz))
    assert not plain.warnings
    told = load(tiff(tmp_path / "other.tiff", xyz[..., list(order)])).warnings
    depth = order.index(2)
    assert any(f"other.tiff: channel {depth} seems to be the depth" in line for line in told)
