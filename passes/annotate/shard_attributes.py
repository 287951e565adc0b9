"""What shard writes down of a mesh, and what later passes and the runtime read."""

from xdsl.dialects.builtin import IntegerAttr, ModuleOp

MESH, PLAN = "shard.mesh", "shard.plan"
"""Of a module: how many ranks there are, and by which strategy they share the work."""

SPLIT, PARTS = "shard.split", "shard.parts"
"""Of an argument: the dim that is cut, -1 if none is, and how many parts of it are cut each, if not 1."""


def mesh_ranks(module: ModuleOp) -> int | None:
    """How many ranks a program is sharded for; None if it is not."""
    mesh = module.attributes.get(MESH)
    return mesh.value.data if isinstance(mesh, IntegerAttr) else None
