"""Names of formats."""

from __future__ import annotations

import re

import pytest

from hwgen.errors import FormatError
from hwgen.formats import (
    FixedPoint,
    Float,
    FloatOverflow,
    Integer,
    Specials,
    known_formats,
    parse_format,
)

CANONICAL = (
    "fp64",
    "fp32",
    "tf32",
    "bf16",
    "fp16",
    "e4m3",
    "e5m2",
    "e4m3:overflow=nan",
    "e5m2:overflow=saturate",
    "float:4,3",
    "float:5,2,specials=nan",
    "float:5,3,specials=nan,overflow=nan",
    "float:5,3,overflow=saturate",
    "int2",
    "int8",
    "int64",
    "uint1",
    "uint63",
    "fixed:1,15",
    "ufixed:0,16",
    "posit8",
    "posit32",
    "posit:16,1",
    "posit:3,0",
    "mxfp8",
    "mxfp8:element=e5m2",
    "mxfp6:element=e2m3,block=16",
    "mxfp4",
    "mxint8",
    "nvfp4",
    "nvfp4:block=32",
)


@pytest.mark.parametrize("name", CANONICAL)
def test_canonical_names_come_back(name: str) -> None:
    assert parse_format(name).name == name
    assert parse_format(parse_format(name).name) == parse_format(name)


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("float:11,52", "fp64"),
        ("float:8,23", "fp32"),
        ("float:8,10", "tf32"),
        ("float:8,7", "bf16"),
        ("float:5,10", "fp16"),
        ("float:5,2,overflow=saturate", "e5m2:overflow=saturate"),
        ("float:4,3,specials=nan", "e4m3"),
        ("e4m3:overflow=saturate", "e4m3"),
        ("bf16:overflow=infinity", "bf16"),
        ("int:8", "int8"),
        ("uint:4", "uint4"),
        ("int008", "int8"),
        (" fixed: 3 , 5 ", "fixed:3,5"),
        ("posit:16", "posit16"),
        ("posit:16,2", "posit16"),
        ("mxfp8:element=e4m3,block=32", "mxfp8"),
    ],
)
def test_other_spellings_give_equal_formats(typed: str, canonical: str) -> None:
    fmt = parse_format(typed)
    assert fmt.name == canonical
    assert fmt == parse_format(canonical)
    assert hash(fmt) == hash(parse_format(canonical))


def test_names_give_the_parameters_they_say() -> None:
    assert parse_format("e4m3:overflow=nan") == Float(
        exponent_bits=4,
        fraction_bits=3,
        specials=Specials.NAN_ONLY,
        overflow=FloatOverflow.NAN,
    )
    assert parse_format("uint:12") == Integer(integer_bits=12, signed=False)
    assert parse_format("ufixed:3,9") == FixedPoint(integer_bits=3, fraction_bits=9, signed=False)
    assert [parse_format(n).width for n in ("fp64", "fp32", "tf32", "fp16")] == [64, 32, 19, 16]


def test_the_catalogue_lists_every_name_and_family_with_a_description() -> None:
    entries = known_formats()
    names = [entry.name for entry in entries]
    assert names[:7] == ["fp64", "fp32", "tf32", "bf16", "fp16", "e4m3", "e5m2"]
    assert names[7:10] == ["e3m2", "e2m3", "e2m1"]
    assert names[10:13] == ["posit8", "posit16", "posit32"]
    assert names[13:18] == ["mxfp8", "mxfp6", "mxfp4", "mxint8", "nvfp4"]
    families = ["float:E,F", "posit:N,ES", "int:N", "uint:N", "fixed:I,F", "ufixed:I,F"]
    assert names[18:] == families
    assert all(entry.description and "\n" not in entry.description for entry in entries)
    for name in names:
        parse_format(re.sub(r"[A-Z]+", "4", name))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bf17", r"^unknown format 'bf17'; did you mean bf16\? known are fp64, fp32, tf32, bf16,"),
        ("fixd:3,4", r"^unknown format 'fixd:3,4'; did you mean fixed:I,F\? known are "),
        ("xyz9000", r"^unknown format 'xyz9000'; known are fp64, .*, ufixed:I,F$"),
        ("posit9000", r"^a posit has 9000 bits; allowed is 3 to 32$"),
        ("posit:8,9", r"^a posit has 9 exponent bits; allowed is 0 to 4$"),
        ("posit", r"^'posit' is malformed; write positN or posit:N,ES$"),
        ("posit:8,2,1", r"^'posit:8,2,1' is malformed; write positN or posit:N,ES$"),
        ("mxfp5", r"^unknown format 'mxfp5'; did you mean mxfp8\? known are "),
        ("mxfp8:e5m2", r"^'mxfp8:e5m2' is malformed; write mxfp8\[:element=e4m3\|e5m2\]"),
        ("mxfp8:element=e2m1", r"has element=e2m1; allowed is e4m3 or e5m2$"),
        ("mxfp4:element=e2m1", r"has no option 'element'; write mxfp4\[:block=N\]$"),
        ("mxfp4:block=0", r"^a block has 0 elements; allowed is 1 to 65536$"),
        (
            "nvfp4:block=x",
            r"^block of 'nvfp4:block=x' is 'x'; it must be a decimal integer of at most 6",
        ),
        ("float8", r"^unknown format 'float8'; did you mean float:E,F\? known are "),
        ("BF16", "does not start with a name in lower case letters and digits$"),
        ("bf16:", "has an empty item"),
        ("bf16:3", r"^'bf16:3' is malformed; write bf16\[:overflow=infinity\|saturate\]$"),
        ("e4m3:round=up", r"no option 'round'; write e4m3\[:overflow=saturate\|nan\]$"),
        ("e4m3:overflow=wrap", "has overflow=wrap; allowed is infinity, saturate, nan$"),
        ("e4m3:overflow=infinity", "^e4m3 has overflow=infinity; allowed is saturate or nan$"),
        ("fp32:overflow=nan", "^fp32 has overflow=nan; allowed is infinity or saturate$"),
        ("float", "^'float' is malformed; write float:E,F"),
        ("float:8", "^'float:8' is malformed; write float:E,F"),
        (
            "float:8,x",
            "^fraction bits of 'float:8,x' is 'x'; it must be a decimal integer of at most 6",
        ),
        ("float:12,3", "^a float has 12 exponent bits; allowed is 2 to 11$"),
        ("float:8,7,specials=inf", "has specials=inf; allowed is ieee, nan, none$"),
        ("int", "^'int' is malformed; write int:N$"),
        ("int8:9", "^'int8:9' is malformed; write int:N$"),
        ("int8:overflow=wrap", "^'int8:overflow=wrap' has no option 'overflow'; write int:N$"),
        ("int1", "^int1 is 1 bits wide; allowed is 2 to 64$"),
        ("int:65", "^int65 is 65 bits wide; allowed is 2 to 64$"),
        ("uint64", "^uint64 is 64 bits wide; allowed is 1 to 63$"),
        ("uint0", "^uint0 is 0 bits wide; allowed is 1 to 63$"),
        ("int:-8", "^int-8 has -8 integer bits; it must be at least 1$"),
        ("fixed:8", "^'fixed:8' is malformed; write fixed:I,F$"),
        ("int:\u0663", "is '\u0663'; it must be a decimal integer"),  # a digit, but not of ours
    ],
)
def test_wrong_names_are_refused_with_a_cure(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_format(text)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(FormatError, match="expected a name such as 'bf16'"):
        parse_format(16)
