from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipft_cli.engine.tables.delimited import read_delimited
from clipft_cli.engine.tables.table import Table
from clipft_cli.errors import DataError


def no_header(cells: Sequence[str]) -> bool:
    return any(cell.endswith(".jpg") for cell in cells)


def read(text: str) -> Table:
    return read_delimited("t.csv", text, no_header)


def rows(table: Table) -> list[tuple[object, ...]]:
    return [row.cells for row in table.read(table.names)]


TWO = [("a.jpg", "cat"), ("b.jpg", "dog")]


@pytest.mark.parametrize(
    "text",
    [
        "image,label\na.jpg,cat\nb.jpg,dog\n",
        "image;label\r\na.jpg;cat\r\nb.jpg;dog\r\n",
        "image\tlabel\ra.jpg\tcat\rb.jpg\tdog",
        "image|label\na.jpg|cat\nb.jpg|dog",
        "sep=;\nimage;label\na.jpg;cat\nb.jpg;dog\n",
        '"image","label"\n"a.jpg","cat"\n"b.jpg","dog"\n',
        "'image','label'\n'a.jpg','cat'\n'b.jpg','dog'\n",
        "image, label\na.jpg, cat\nb.jpg, dog\n",
        "\n\nimage,label\n\na.jpg,cat\n\nb.jpg,dog\n\n",
        "image,label,\na.jpg,cat,\nb.jpg,dog,\n",
        "image,label\na.jpg,cat,,\nb.jpg,dog,,\n",
        "image label\na.jpg cat\nb.jpg  dog\n",
    ],
)
def test_what_programs_write_is_one_table(text: str) -> None:
    table = read(text)
    assert table.names[:2] == ("image", "label")
    assert [row.cells for row in table.read(("image", "label"))] == TWO


def test_row_names_of_r_get_a_column_of_their_own() -> None:
    for text in ('"image","label"\n"1","a.jpg","cat"\n"2","b.jpg","dog"\n', '"image" "label"\n"1" "a.jpg" "cat"\n'):
        assert read(text).names == ("column 1", "image", "label")


def test_a_first_line_that_is_a_row_is_read_as_one() -> None:
    table = read("a.jpg,cat\nb.jpg,dog\n")
    assert (table.names, rows(table), table.has_header) == (("1", "2"), TWO, False)
    assert "first line is a row" in table.notes[0]


def test_a_name_that_repeats_or_is_missing_gets_one_of_its_own() -> None:
    assert read("image,label,label,\na.jpg,cat,1,x\n").names == ("image", "label", "label (2)", "column 4")


def test_commas_in_labels_stay_where_the_delimiter_is_another() -> None:
    assert rows(read("image;label\na.jpg;Tomato, early\nb.jpg;Tomato, late\n"))[0] == ("a.jpg", "Tomato, early")
    assert rows(read('image,label\na.jpg, "Tomato, early"\n'))[0] == ("a.jpg", "Tomato, early")


def test_a_row_with_more_cells_than_the_header_is_named_with_its_line() -> None:
    with pytest.raises(DataError) as error:
        read("image,label\na.jpg,cat\nb.jpg,Tomato, early\nc.jpg,Tomato, late\n")
    assert "line 3 has 3 cells, the header has 2 (2 rows: also line 4)" in error.value.message
    assert "quotes" in (error.value.hint or "")


@pytest.mark.parametrize(("first", "last", "lost"), [(3, 34, 31), (2, 3, 1), (2, 64, 62)])
def test_two_stray_quotes_lose_no_rows_in_silence(first: int, last: int, lost: int) -> None:
    lines = ["image,label", *(f"{i}.jpg,{['cat', 'dog'][i % 2]}" for i in range(64))]
    for line in (first, last):
        lines[line - 1] = lines[line - 1].replace(",", ',"')
    with pytest.raises(DataError) as error:
        read("\n".join(lines))
    assert f"a quote in line {first} is closed in line {last} only: {lost} lines" in error.value.message


def test_a_quote_that_never_closes_loses_no_rows_in_silence() -> None:
    with pytest.raises(DataError, match="a quote in line 2"):
        read('image,label\na.jpg,"cat\nb.jpg,dog\nc.jpg,dog\n')


def test_line_ends_within_a_cell_in_quotes_belong_to_it() -> None:
    table = read('image,label,text\na.jpg,cat,"one\ntwo, three\nfour"\nb.jpg,dog,"five"\n')
    assert rows(table)[0] == ("a.jpg", "cat", "one\ntwo, three\nfour")
    assert [row.place for row in table.read(("image",))] == ["line 2", "line 5"]


def test_short_rows_end_in_nothing() -> None:
    assert rows(read("image,label\na.jpg,cat\nb.jpg\n"))[1] == ("b.jpg", None)


cells = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(cells.map(str.strip).filter(bool), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_csv_writes_is_read_back(labels: list[str], delimiter: str, line_end: str, quoting: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([("image", "label"), *((f"{i}.jpg", label) for i, label in enumerate(labels))])
    assert [row.cells for row in read(text.getvalue()).read(("label",))] == [(label,) for label in labels]


@pytest.mark.parametrize(
    "text",
    [
        "path\tlabelimages/0.png\tcat\nimages/1.png\tcat\nimages/2.png\tdog\n",
        "label\tpathdog\timages/0.png\ncat\timages/1.png\ndog\timages/0.png\n",
    ],
)
def test_a_header_that_runs_into_the_first_row_loses_no_row(text: str) -> None:
    with pytest.raises(DataError, match="line 1 holds the header and a row: 3 cells, where all rows have 2"):
        read(text)


def test_columns_that_no_row_has_are_no_row() -> None:
    assert read("image,class,notes\na.png,cat\nb.png,dog\n").names == ("image", "class", "notes")
