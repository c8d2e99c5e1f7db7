"""The helper that reads messages: it forgives the English, and neither the field nor the value."""

import pytest
from complaints import complains, says

from robustsim.errors import UserError

MESSAGE = "overseer.coverage: '1.5' is not allowed; use a number in [0, 1]"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("overseer.coverage", "1.5"), True),
        (("overseer.coverage", 1.5), True),
        (("overseer.cover",), False),
        (("coverage",), False),  # another section's name would do as well
        (("overseer.coverage", 1), True),  # the limit
        (("overseer.coverage", 5), False),
        (("overseer.coverage", 0.5), False),
        (("overseer.penalty", 1.5), False),
    ],
)
def test_a_part_is_a_whole_word(parts: tuple, expected: bool) -> None:
    assert says(MESSAGE, *parts) is expected


def test_numbers_may_have_a_sign_or_separators() -> None:
    assert says("seeds: -3 is not allowed", -3)
    assert not says("seeds: -3 is not allowed", 3)
    assert says("use a whole number up to 1,000,000", 1_000_000)
    assert not says("use a whole number up to 1,000,000", 1)


def test_an_option_may_have_its_dashes() -> None:
    assert says("--shard 'one' is not allowed", "shard", "'one'")
    assert says("--shard 'one' is not allowed", "--shard", "one")


def test_more_than_one_line_is_not_one() -> None:
    with pytest.raises(AssertionError), complains("a"):
        raise UserError("a\nb")
    with complains("a", "b"):
        raise UserError("a: b")
