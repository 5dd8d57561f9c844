import pytest

from vidfer.types import UsageError, parse_list


@pytest.mark.parametrize("text", ["0.9,1.1", " 0.9 , 1.1", "0.9,1.1,"])
def test_a_list_is_divided_by_commas(text):
    assert parse_list(text, float, what="playing speed") == (0.9, 1.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.9,fast", "'fast' is no playing speed in '0.9,fast': .*such as 0.9,1.1"),
        ("1,1.0", "'1,1.0' names 1.0 twice"),
        ("", "'' names no playing speed: give a list such as 0.9,1.1"),
        (" , ", "names no playing speed"),
        ("3", "no playing speed '3': there are 1.0, 2.0"),
    ],
)
def test_what_is_no_such_list_is_named(text, said):
    with pytest.raises(UsageError, match=said):
        parse_list(text, float, what="playing speed", example="0.9,1.1", choices=(1.0, 2.0) if text == "3" else ())
