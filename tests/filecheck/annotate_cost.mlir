// RUN: steelyard-opt %s -p annotate-cost | filecheck %s
// RUN: xdsl-opt %s -p annotate-cost | filecheck %s
// RUN: steelyard-opt %s -p annotate-cost | steelyard-opt | filecheck %s

// The layer runs twice: totals count it twice.
// CHECK: cost.totals = {work = {flops = {contraction = 128 : i64, pointwise = 8 : i64, transcendental = 16 : i64}
// CHECK-SAME: flops_by_phase = {forward = 144 : i64, loss = 8 : i64}
// CHECK-SAME: coverage = {ops = 7 : i64, costed = 7 : i64, unknown = 0 : i64}
builtin.module {
  func.func @forward(%x : tensor<2x4xf32>, %w : tensor<4x8xf32>, %v : tensor<8x4xf32>) -> tensor<2x4xf32> {
    %1 = func.call @layer(%x, %v) {path = "h.0"} : (tensor<2x4xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %2 = func.call @layer(%1, %v) {path = "h.1"} : (tensor<2x4xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    // CHECK: aten.relu(%{{.*}}) {phase = "loss", cost.work = #cost.work<pointwise f32, flops = [0, 8, 0], bytes = [32, 32, 64]>}
    %3 = aten.relu(%2) {phase = "loss"} : tensor<2x4xf32>
    func.return %3 : tensor<2x4xf32>
  }
  func.func private @layer(%x : tensor<2x4xf32>, %v : tensor<8x4xf32>) -> tensor<2x4xf32> {
    // A MAC is 2 FLOPs: 2 * 2 * 4 * 4.
    // CHECK: aten.mm(%{{.*}}) {phase = "forward", cost.work = #cost.work<contraction f32, flops = [64, 0, 0]
    %0 = aten.slice.Tensor(%v, 0, 0, 4) {phase = "forward"} : tensor<4x4xf32>
    %1 = aten.mm(%x, %0) {phase = "forward"} : tensor<2x4xf32>
    %2 = aten.exp(%1) {phase = "forward"} : tensor<2x4xf32>
    func.return %2 : tensor<2x4xf32>
  }
}
