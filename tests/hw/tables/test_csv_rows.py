import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.tables.csv_rows import parse_rows

BAD = {
    "": "is empty",
    "\n\n": "is empty",
    "kind,dtype\n": "no rows",
    "kind,m,kind\ngemm,1,gemm\n": "'kind' twice",
    "kind,dtype\ngemm\n": "1 cells",
    "kind,dtype\ngemm,f32,7\n": "3 cells",
    'kind,dtype\n"gemm,f32\n': "no CSV",
}


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_what_is_no_table_is_one_error(text: str, says: str):
    with pytest.raises(UsageError, match=says) as caught:
        parse_rows(text, "rows.csv")
    assert caught.value.where is not None
    assert caught.value.where.startswith("rows.csv")


def test_cells_have_addresses():
    rows = parse_rows('\ufeffkind,note\ngemm,"two\nlines"\n\ngemm,x\n', "rows.csv")
    assert rows.header == ("kind", "note")
    assert rows.column("note") == ["two\nlines", "x"]
    assert rows.where(1, "note") == "rows.csv, row 2 (line 5), column 'note'"
