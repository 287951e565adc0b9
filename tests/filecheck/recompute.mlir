// RUN: steelyard-opt %s -p 'annotate{device=h100-sxm},recompute{budget=0.75}' | filecheck %s
// RUN: steelyard-opt %s -p 'annotate{device=h100-sxm},recompute{budget=1.0}' | filecheck %s --check-prefix ALL
// RUN: steelyard-opt %s -p 'annotate{device=h100-sxm},recompute{budget=0.75}' 2>&1 >/dev/null | filecheck %s --check-prefix REMARK
// RUN: not steelyard-opt %s -p 'annotate{device=h100-sxm},recompute{budget-bytes=1}' 2>&1 | filecheck %s --check-prefix LEAST
// RUN: not steelyard-opt %s -p 'recompute' 2>&1 | filecheck %s --check-prefix BARE

// ALL-NOT: recomputed
// REMARK: analysis recompute: program: none recomputation: 0 us more
// REMARK: passed recompute: program: 1 activations of 4194304 bytes are made again, 1 ops run again
// LEAST: no plan keeps the peak within 1 bytes
// LEAST: fix: give budget-bytes=
// BARE: run annotate-cost and annotate-latency{device=..} before
builtin.module {
  // A cheap op runs again right before the backward needs it; what is random stays, and is read as it was.
  // CHECK: func.func @step(
  // CHECK: %[[MM:.*]] = aten.mm(
  // CHECK: %[[MASK:.*]] = aten.bernoulli
  // CHECK: aten.exp(%[[MM]])
  // CHECK-NOT: recomputed
  // CHECK: program.drop
  // CHECK-NEXT: %[[EXP:.*]] = aten.exp(%[[MM]]) {phase = "backward"{{.*}}recomputed{{.*}}cost.memory
  // CHECK-NEXT: %[[PROD:.*]] = aten.mul.Tensor({{.*}}, %[[EXP]]) {phase = "backward"
  // CHECK-NEXT: aten.mul.Tensor(%[[PROD]], %[[MASK]])
  // CHECK-NOT: recomputed
  func.func @step(%x : tensor<1024x1024xf32>, %w : tensor<1024x1024xf32>) -> tensor<1024x1024xf32> {
    %0 = aten.mm(%x, %w) {phase = "forward"} : tensor<1024x1024xf32>
    %1 = aten.bernoulli(%0) {phase = "forward"} : tensor<1024x1024xf32>
    %2 = aten.exp(%0) {phase = "forward"} : tensor<1024x1024xf32>
    %3 = aten.mul.Tensor(%2, %1) {phase = "forward"} : tensor<1024x1024xf32>
    %4 = aten.sin(%3) {phase = "loss"} : tensor<1024x1024xf32>
    %5 = aten.neg(%4) {phase = "loss"} : tensor<1024x1024xf32>
    %6 = aten.mul.Tensor(%5, %5) {phase = "loss"} : tensor<1024x1024xf32>
    %7 = aten.neg(%6) {phase = "backward"} : tensor<1024x1024xf32>
    %8 = aten.neg(%7) {phase = "backward"} : tensor<1024x1024xf32>
    %9 = aten.mul.Tensor(%8, %3) {phase = "backward"} : tensor<1024x1024xf32>
    program.drop %3 : tensor<1024x1024xf32>
    %10 = aten.mul.Tensor(%9, %2) {phase = "backward"} : tensor<1024x1024xf32>
    %11 = aten.mul.Tensor(%10, %1) {phase = "backward"} : tensor<1024x1024xf32>
    %12 = aten.mul.Tensor(%11, %0) {phase = "backward"} : tensor<1024x1024xf32>
    func.return %12 : tensor<1024x1024xf32>
  }
}
