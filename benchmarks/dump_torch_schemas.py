"""Writes compiler/dialects/torch_schemas.txt from the installed torch, one schema a line.

python benchmarks/dump_torch_schemas.py
"""

from pathlib import Path

import torch
import torch.distributed._functional_collectives

from steelyard.compiler.dialects.schema import UnsupportedSchema, parse_schema

NAMESPACES = ("aten::", "_c10d_functional::")
OUTPUT = Path(__file__).parent.parent / "compiler" / "dialects" / "torch_schemas.txt"


def main() -> None:
    lines: list[str] = []
    for schema in torch._C._jit_get_all_schemas():
        if not schema.name.startswith(NAMESPACES):
            continue
        try:
            namespace, name = schema.name.split("::")
            overload = schema.overload_name or "default"
            full = str(getattr(getattr(getattr(torch.ops, namespace), name), overload)._schema)
            parse_schema(full)
        except (UnsupportedSchema, AttributeError):  # TorchScript's list and dict builtins
            continue
        lines.append(full)
    OUTPUT.write_text("\n".join(sorted(set(lines))) + "\n")
    print(f"{len(lines)} schemas of torch {torch.__version__}")


if __name__ == "__main__":
    main()
