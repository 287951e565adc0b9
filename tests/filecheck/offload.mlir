// RUN: steelyard-opt %s -p 'annotate{device=h100-sxm},offload{budget=0.5}' | filecheck %s
// RUN: not steelyard-opt %s -p 'annotate{device=cpu},offload' 2>&1 | filecheck %s --check-prefix CPU

// What kernels wait for copies is in the totals: nothing here.
// CHECK: "host link" = 0.0
// CPU: device 'cpu' has no link to a host
// CPU: why: its memory is the host's
builtin.module {
  // The long products hide the copies of what was made before them; memory is free where the drop stands.
  // CHECK: func.func @step(
  // CHECK: %[[A:.*]] = aten.mm(
  // CHECK: %[[H:.*]] = host.offload %[[A]] {phase = "forward"{{.*}} : tensor<4096x4096xf32> -> !host.copy<tensor<4096x4096xf32>>
  // CHECK: program.drop %[[A]]
  // CHECK: %[[BACK:.*]] = host.fetch %[[H]] {phase = "backward"
  // CHECK: aten.mm({{.*}}%[[BACK]])
  // CHECK-NOT: recomputed
  func.func @step(%x : tensor<4096x4096xf32>) -> tensor<4096x4096xf32> {
    %0 = aten.mm(%x, %x) {phase = "forward"} : tensor<4096x4096xf32>
    %1 = aten.mm(%0, %x) {phase = "forward"} : tensor<4096x4096xf32>
    %2 = aten.mm(%1, %x) {phase = "forward"} : tensor<4096x4096xf32>
    %3 = aten.mm(%2, %x) {phase = "forward"} : tensor<4096x4096xf32>
    %4 = aten.mm(%3, %x) {phase = "forward"} : tensor<4096x4096xf32>
    %5 = aten.mm(%4, %x) {phase = "loss"} : tensor<4096x4096xf32>
    %6 = aten.mm(%5, %x) {phase = "backward"} : tensor<4096x4096xf32>
    %7 = aten.mm(%6, %4) {phase = "backward"} : tensor<4096x4096xf32>
    %8 = aten.mm(%7, %3) {phase = "backward"} : tensor<4096x4096xf32>
    %9 = aten.mm(%8, %2) {phase = "backward"} : tensor<4096x4096xf32>
    %10 = aten.mm(%9, %1) {phase = "backward"} : tensor<4096x4096xf32>
    %11 = aten.mm(%10, %0) {phase = "backward"} : tensor<4096x4096xf32>
    func.return %11 : tensor<4096x4096xf32>
  }
}
