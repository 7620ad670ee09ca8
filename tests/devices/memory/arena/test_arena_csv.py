"""Buffers as CSV, and what is said about files that are none."""

import random

import pytest

from devices.errors import InputError
from devices.memory.arena import Buffer, csv_form, pack

HEADER = "id,lower,upper,size\n"


def test_what_is_written_is_read_again_with_its_offsets():
    rng = random.Random(2)
    for count in (1, 5, 40):
        buffers = [
            Buffer(f'b "{i}", ü', rng.randint(0, 9), low, low + rng.randint(1, 9))
            for i, low in enumerate(rng.choices(range(-5, 20), k=count))
        ]
        arena = pack(buffers, 4)
        table = csv_form.parse(csv_form.dumps(arena))
        assert table.buffers == arena.buffers
        assert (table.offsets, table.alignment) == (arena.offsets, 4)


def test_upper_is_exclusive_as_in_minimalloc():
    table = csv_form.parse(HEADER + "a,0,3,8\nb,3,5,8\n")
    assert table.buffers == (Buffer("a", 8, 0, 3), Buffer("b", 8, 3, 5))
    assert pack(table.buffers, 1).height == 8


def test_columns_may_come_in_any_order_with_hints_and_one_alignment(tmp_path):
    text = "size, hint,id,upper ,alignment,lower,gaps\n8,0,a,3,16,0,\n\n9,,b,5,16,3,\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")  # with a byte order mark
    table = csv_form.read(tmp_path / "a.csv")
    others = {"hint": ("0", ""), "alignment": ("16", "16"), "gaps": ("", "")}
    assert table == csv_form.Table((Buffer("a", 8, 0, 3), Buffer("b", 9, 3, 5)), 16, None, others)


def test_the_columns_of_a_table_survive_beside_the_offsets():
    table = csv_form.parse("size,hint,id,upper,alignment,lower\n8,0,a,3,16,0\n9,,b,5,16,3\n")
    written = csv_form.dumps(pack(table.buffers, table.alignment), table.others)
    assert written == "id,lower,upper,size,hint,alignment,offset\na,0,3,8,0,16,0\nb,3,5,9,,16,0\n"
    assert csv_form.parse(written).offsets == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "an empty file"),
        ("\n\n", "an empty file"),
        (HEADER, "a header and no buffer"),
        ("id,lower,upper\na,0,1\n", "no column 'size'"),
        ("id,start,end,size\na,0,1,4\n", "no column 'lower'"),
        ("id,lower,upper,size,colour\na,0,1,4,red\n", "'colour'"),
        ("id,lower,upper,size,size\na,0,1,4,4\n", "the column 'size' twice"),
        (HEADER + "a,0,1,-4\n", "size -4"),
        (HEADER + "a,2,2,4\n", "lower 2 and upper 2"),
        (HEADER + "a,3,2,4\n", "lower 3 and upper 2"),
        (HEADER + "a,0,1,4\na,0,1,4\n", "<csv>:3: got the id 'a' again"),
        (HEADER + "a,0,1,four\n", "size 'four'"),
        (HEADER + "a,0,1,4.5\n", "size '4.5'"),
        (HEADER + "a,0,1,nan\n", "size 'nan'"),
        (HEADER + "a,0,1,\n", "size ''"),
        (HEADER + "a,0," + "9" * 5000 + ",4\n", "upper '999"),
        (HEADER + "a,0,1\n", "3 fields"),
        (HEADER + "a,0,1,4\na\x07b,0,1,4\n", r"<csv>:3: got the id 'a\x07b', wanted letters"),
        ("id,lower,upper,size,gaps\na,0,9,4,3-5\n", "gaps '3-5'"),
        ("id,lower,upper,size,alignment\na,0,9,4,0\n", "alignment 0"),
        ("id,lower,upper,size,alignment\na,0,9,4,1\nb,0,9,4,8\n", "alignments 1 to 8"),
    ],
)
def test_whatever_is_wrong_with_a_file_is_told_in_one_line(text, complaint):
    with pytest.raises(InputError) as error:
        csv_form.parse(text)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path):
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.csv", "bytes.csv", "."):
        with pytest.raises(InputError, match="wanted a readable CSV file"):
            csv_form.read(tmp_path / name)
