"""Scans whose place in the patient is known: grey inside, with one bright block on the left, in front, on top."""

import numpy as np

SHAPE = (40, 50, 12)  # to the right, front and top
SPACING_MM = (2.0, 2.0, 6.0)
SPOT = (8, 40, 9)  # the middle of the block


def affine(turned_deg=0.0):
    """``(4, 4)`` voxel -> mm, turned about the long axis of the patient."""
    angle, found = np.deg2rad(turned_deg), np.eye(4)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    found[:3, :3] = turn * SPACING_MM
    found[:3, 3] = (-40, -50, -30)
    return found


def ct():
    """``SHAPE`` int16 in Hounsfield units: air with two voxels of noise in its corners, tissue, the block."""
    found = np.full(SHAPE, -1000, np.int16)
    found[4:-4, 4:-4, 1:-1], found[0, 1, 0], found[-1, -1, -1] = 40, -999, -999  # no margin of one value
    found[block()] = 300
    return found


def block():
    """Three voxels a side."""
    return tuple(slice(at - 1, at + 2) for at in SPOT)


def write(path, voxels, matrix=None, codes="LPS"):
    """Write ``(X, Y, Z)`` with its axes in another order, such as "LPS"; the array as it is stored."""
    import nibabel  # of the extra: tests of the web import this module without it

    image = nibabel.Nifti1Image(voxels, affine() if matrix is None else matrix)
    wanted = nibabel.orientations.axcodes2ornt(tuple(codes))
    image = image.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.orientations.io_orientation(image.affine), wanted)
    )
    nibabel.save(image, path)
    return np.asarray(image.dataobj)
