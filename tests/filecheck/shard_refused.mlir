// RUN: not steelyard-opt %s -p 'shard{mesh=2}' 2>&1 | filecheck %s
// RUN: not steelyard-opt %s -p 'shard{mesh=3}' 2>&1 | filecheck %s --check-prefix UNEVEN

// CHECK: aten.cumsum cannot be done by each rank on its part of the batch
// CHECK: model.py:7
// UNEVEN: the batch cannot be cut into equal parts
// UNEVEN: it has 4 samples, the mesh 3 ranks
builtin.module {
  func.func @forward(%x : tensor<4x8xf32> {program.role = "input", program.path = "x"}) -> tensor<4x8xf32> {
    %1 = aten.cumsum(%x, dim = 0) {path = "head", source = "model.py:7"} : tensor<4x8xf32>
    func.return %1 : tensor<4x8xf32>
  }
}
