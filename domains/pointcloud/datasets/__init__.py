"""The root of a 3D set in; one record per cloud, mesh or scan out. What a record names is opened by the reader."""

from domains.pointcloud.datasets import published
from domains.pointcloud.datasets.clouds import real3d, shapenet
from domains.pointcloud.datasets.folders import folder
from domains.pointcloud.datasets.scans import eyecandies, mvtec3d

__all__ = ["eyecandies", "folder", "mvtec3d", "published", "real3d", "shapenet"]
