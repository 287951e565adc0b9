import numpy as np
import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.tables.csv_rows import parse_rows
from steelyard.hw.tables.parse_dims import parse_latencies
from steelyard.hw.tables.parse_requests import Request, parse_requests

CONV = "kind,dtype,n,c,h,w,o,r,s,stride,pad,groups,direction\nconv2d,f32,"
ATTENTION = "kind,dtype,b,hq,hkv,sq,skv,d,causal\nattention_prefill,bf16,"

BAD = {
    "knd,dtype,m\ngemm,f32,1": ("no column 'kind'", "line 1", "rename 'knd' to 'kind'"),
    "kind,m\ngemm,1": ("no column 'dtype'", "line 1", "dtype"),
    "kind;dtype;m\ngemm;f32;1": ("no column 'kind'", "line 1", "kind,dtype"),
    "kind,dtype,rows,cols,contxt\nsoftmax,f32,1,2,eager": ("'contxt'", "line 1", "did you mean 'context'"),
    "kind,dtype,m,n,k\ngem,f32,1,2,3": ("'gem'", "row 1 (line 2), column 'kind'", "did you mean 'gemm'"),
    "kind,dtype,m,n,k\ngemm,f31,1,2,3": ("'f31'", "column 'dtype'", "did you mean"),
    "kind,dtype,m,n,k,context\ngemm,f32,1,2,3,eagre": ("'eagre'", "column 'context'", "did you mean 'eager'"),
    "kind,dtype,m,n\ngemm,f32,1,2": ("needs the dim 'k'", "row 1 (line 2), column 'k'", "b, m, n, k"),
    "kind,dtype\ngemm,f32": ("needs the dims b, m, n, k", "row 1", "none of them"),
    "kind,dtype,m,n,k\ngemm,f32,1,2,3\ngemm,f32,1,,3": ("needs the dim 'n'", "row 2 (line 3)", "empty"),
    "kind,dtype,m,n,k\ngemm,f32,1,0,3": ("n is 0", "row 1 (line 2), column 'n'", "between 1"),
    "kind,dtype,m,n,k\ngemm,f32,1,-4,3": ("n is -4", "column 'n'", "between 1"),
    "kind,dtype,m,n,k\ngemm,f32,1,2.5,3": ("n is '2.5'", "column 'n'", "no integer"),
    "kind,dtype,m,n,k\ngemm,f32,1,nan,3": ("n is 'nan'", "column 'n'", "no integer"),
    "kind,dtype,m,n,k\ngemm,f32,1,inf,3": ("n is 'inf'", "column 'n'", "no integer"),
    "kind,dtype,m,n,k\ngemm,f32,1,1e300,3": ("n is 1", "column 'n'", "between 1"),
    "kind,dtype,m,n,k\ngemm,f32,2000000000,900,2000000000": ("m is 2000000000", "column 'm'", "2**60"),
    "kind,dtype,fn,rows,cols\nelementwise,f32,gleu,1,2": ("'gleu'", "column 'fn'", "did you mean 'gelu'"),
    "kind,dtype,rows,cols\nelementwise,f32,1,2": ("needs the dim 'fn'", "column 'fn'", "fn, rows, cols"),
    CONV + "1,8,4,4,8,3,3,1,1,3,fwd": ("groups is 3", "column 'groups'", "does not divide c"),
    CONV + "1,9,4,4,8,3,3,1,1,3,fwd": ("groups is 3", "column 'groups'", "does not divide o"),
    CONV + "1,8,4,4,8,7,3,1,1,1,fwd": ("r is 7", "column 'r'", "larger than h"),
    CONV + "1,8,4,4,8,3,3,0,1,1,fwd": ("stride is 0", "column 'stride'", "between 1"),
    CONV + "1,8,4,4,8,3,3,1,1,1,bwd": ("'bwd'", "column 'direction'", "did you mean 'fwd'"),
    ATTENTION + "1,32,5,128,128,64,1": ("hkv is 5", "column 'hkv'", "does not divide hq"),
    ATTENTION + "1,32,8,128,128,64,2": ("causal is 2", "column 'causal'", "between 0 and 1"),
}


def ask(text: str, device: str | None = "h100-sxm") -> list[Request]:
    return parse_requests(parse_rows(text + "\n", "rows.csv"), device)


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_bad_rows_are_one_error_that_names_the_cell(text: str, says: tuple[str, str, str]):
    with pytest.raises(UsageError) as caught:
        ask(text)
    what, where, advice = says
    assert what in caught.value.what
    assert where in (caught.value.where or "")
    assert advice in f"{caught.value.why} {caught.value.fix}"


def test_a_row_without_any_device_is_an_error():
    with pytest.raises(UsageError, match="no device") as caught:
        ask("kind,dtype,m,n,k,device\ngemm,f32,1,2,3,t4\ngemm,f32,1,2,3,", device=None)
    assert "row 2" in (caught.value.where or "")


def test_rows_are_grouped_and_keep_their_place():
    text = (
        "kind,dtype,device,context,b,m,n,k,fn,rows,cols,note\n"
        "gemm,fp32,,,,1,2,3,,,,x\n"
        "elementwise,fp32,t4,graph,,,,,ADD,4,5,y\n"
        "GEMM,float32,,Eager,7,4,5,6.0,,,,z\n"
    )
    gemm, elementwise = ask(text)
    assert (gemm.device, gemm.mode, gemm.queries.kind, gemm.queries.dtype) == (
        "h100-sxm",
        "eager",
        "gemm",
        "f32",
    )
    assert gemm.rows.tolist() == [0, 2]
    assert {dim: column.tolist() for dim, column in gemm.queries.dims.items()} == {
        "b": [1, 7],
        "m": [1, 4],
        "n": [2, 5],
        "k": [3, 6],
    }
    assert (elementwise.device, elementwise.mode) == ("t4", "graph")
    assert elementwise.queries.dims["fn"].tolist() == ["add"]
    assert elementwise.rows.tolist() == [1]


def test_optional_dims_take_their_defaults():
    (conv,) = ask("kind,dtype,n,c,h,w,o,r,s,pad\nconv2d,bf16,1,8,4,4,8,3,3,0")
    found = {dim: conv.queries.dims[dim].tolist() for dim in ("stride", "groups", "direction", "pad")}
    assert found == {"stride": [1], "groups": [1], "direction": ["fwd"], "pad": [0]}
    (attention,) = ask("kind,dtype,b,hq,hkv,sq,skv,d,causal\nattention_prefill,half,1,8,8,4,4,64,True")
    assert attention.queries.dims["causal"].tolist() == [1]


def test_latencies_are_milliseconds():
    assert np.allclose(parse_latencies(["1.5", "2e-3"], "ms", lambda row, column: ""), [1.5e-3, 2e-6])


@pytest.mark.parametrize("cell", ["", "nan", "-1", "0", "inf", "fast"])
def test_a_measured_time_that_is_none_is_an_error(cell: str):
    with pytest.raises(UsageError, match="ms is") as caught:
        parse_latencies(["1", cell], "ms", lambda row, column: f"row {row + 1}, {column}")
    assert caught.value.where == "row 2, ms"
