import numpy as np
import pytest

from domains.pointcloud.making.amplitude import NAMED, draw, parse
from framework.errors import UserError


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("3 pitch", 0.03, 0.03),
        ("0.05 size", 0.05, 0.05),
        (".05size", 0.05, 0.05),
        ("2..6 pitch", 0.02, 0.06),
        ("0.01..0.1 size, 3 pitch", 0.03, 0.1),
        ("any", 0.03, 0.1),
    ],
)
def test_an_amplitude_is_in_pitches_or_in_radii_and_the_larger_counts(text, least, most) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw(parse(text), 0.01, rng) for _ in range(300)]
    assert min(drawn) == pytest.approx(least, rel=0.05) and max(drawn) == pytest.approx(most, rel=0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("three pitch", 'amplitude \'three pitch\': write "3 pitch", "0.05 size"'),
        ("3", 'write "3 pitch"'),
        ("3 mm", 'write "3 pitch"'),
        ("", 'write "3 pitch"'),
        ("6..2 pitch", "goes from 6 to 2; write the smaller first"),
        ("0 size", "goes from 0 to 0"),
        ("0.3 pitch", "below 1 pitch a defect is lost among the samples"),
        ("0.9 size", "more than 0.5 size leaves little of the object"),
    ],
)
def test_what_is_no_amplitude_is_told(text, message) -> None:
    with pytest.raises(UserError) as told:
        parse(text)
    assert message in str(told.value)


def test_named_amplitudes_are_amplitudes() -> None:
    assert all(parse(name) == parse(text) for name, text in NAMED.items())
