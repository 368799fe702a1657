"""The root of an industrial set in; one record per picture, or part of one, out. The reader opens what it names."""

from domains.industrial.datasets import published, splits
from domains.industrial.datasets.aitex import aitex
from domains.industrial.datasets.deeppcb import deeppcb
from domains.industrial.datasets.described import sdls, visa
from domains.industrial.datasets.elpv import elpv
from domains.industrial.datasets.kolektor import ksdd, ksdd2
from domains.industrial.datasets.mvtec import btad, folder, mvtec, mvtec_ad2, mvtec_loco
from domains.industrial.datasets.realiad import realiad
from domains.industrial.datasets.surfaces import dagm, mtd
from domains.industrial.datasets.tables import meta_json, table

__all__ = [
    "aitex",
    "btad",
    "dagm",
    "deeppcb",
    "elpv",
    "folder",
    "ksdd",
    "ksdd2",
    "meta_json",
    "mtd",
    "mvtec",
    "mvtec_ad2",
    "mvtec_loco",
    "published",
    "realiad",
    "sdls",
    "splits",
    "table",
    "visa",
]
