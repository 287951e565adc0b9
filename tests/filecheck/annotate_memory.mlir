// RUN: steelyard-opt %s -p annotate-memory | filecheck %s

// CHECK: memory = {peak_bytes = 160 : i64, peak_op = "aten.exp", peak_path = "h.0.mlp"
// CHECK-SAME: peak_bytes_by_role = {temporary = 96 : i64, input = 32 : i64, parameter = 32 : i64}, peak_bytes_by_path = {
builtin.module {
  func.func @forward(%w : tensor<8xf32> {program.role = "parameter", program.path = "h.0.weight"},
                     %x : tensor<8xf32> {program.role = "input", program.path = "x"}) -> tensor<8xf32> {
    // CHECK: aten.mul.Tensor{{.*}}#cost.memory<live = [64, 96, 96], allocates = 32, frees = 0>
    %1 = aten.mul.Tensor(%x, %w) : tensor<8xf32>
    // A view allocates nothing, and keeps its base alive into the call, which frees it.
    // CHECK: aten.view{{.*}}#cost.memory<live = [96, 96, 96], allocates = 0, frees = 0>
    %2 = aten.view(%1, [2, 4]) : tensor<2x4xf32>
    // CHECK: func.call @mlp{{.*}}#cost.memory<live = [96, 160, 96], allocates = 64, frees = 64>
    %3 = func.call @mlp(%2) {path = "h.0"} : (tensor<2x4xf32>) -> tensor<2x4xf32>
    // CHECK: aten.relu_{{.*}}#cost.memory<live = [96, 96, 96], allocates = 0, frees = 0>
    %4 = aten.relu_(%3) : tensor<2x4xf32>
    // CHECK: aten.view{{.*}}#cost.memory<live = [96, 96, 96], allocates = 0, frees = 0>
    %5 = aten.view(%4, [8]) : tensor<8xf32>
    func.return %5 : tensor<8xf32>
  }
  func.func private @mlp(%x : tensor<2x4xf32>) -> tensor<2x4xf32> {
    // CHECK: aten.relu{{.*}}#cost.memory<live = [0, 32, 32], allocates = 32, frees = 0>
    %1 = aten.relu(%x) {path = "mlp"} : tensor<2x4xf32>
    // CHECK: aten.exp{{.*}}#cost.memory<live = [32, 64, 32], allocates = 32, frees = 32>
    %2 = aten.exp(%1) {path = "mlp"} : tensor<2x4xf32>
    // The argument lives past its last use, up to the drop.
    // CHECK: program.drop{{.*}}#cost.memory<live = [32, 32, 0], allocates = 0, frees = 32>
    program.drop %x : tensor<2x4xf32>
    func.return %2 : tensor<2x4xf32>
  }
}
