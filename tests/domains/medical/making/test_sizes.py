import pytest

from domains.medical.making.sizes import NAMED, Size, parse
from framework.errors import UserError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20 mm", Size(20, 20)),
        ("8..30mm", Size(8, 30)),
        ("2.5 .. 4 px", Size(2.5, 4)),
        ("small", NAMED["small"]),
    ],
)
def test_a_size_is_read(text, size):
    assert parse(text) == size


@pytest.mark.parametrize("text", ["", "20", "20 cm", "big", "a..b mm", "-3 mm"])
def test_what_is_no_size_is_told(text):
    with pytest.raises(UserError, match=r'write "20 mm", "8\.\.30 mm"'):
        parse(text)


@pytest.mark.parametrize("text", ["30..8 mm", "0 mm"])
def test_a_size_that_shrinks_is_told(text):
    with pytest.raises(UserError, match="write the smaller first"):
        parse(text)
