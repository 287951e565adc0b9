// RUN: steelyard-opt %s -p 'annotate-cost{print-work=true}' | filecheck %s
// RUN: steelyard-opt %s -p 'annotate-cost{print-work=true}' | steelyard-opt | filecheck %s
// RUN: xdsl-opt %s -p 'annotate-cost{print-work=true}' | filecheck %s

// CHECK: coverage = {ops = 3 : i64, costed = 3 : i64, unknown = 0 : i64}
builtin.module {
  func.func @forward(%x : tensor<4x8xf32>, %w : tensor<8x16xf32>) -> tensor<4x4xf32> {
    // CHECK: aten.mm({{.*}}cost.spaces = #cost.spaces<contraction, ["self: m k, mat2: k n -> result0: m n" flops = [2, 0, 0] reduction = [k]]>
    %1 = aten.mm(%x, %w) : tensor<4x16xf32>
    // CHECK: aten.view({{.*}}cost.spaces = #cost.spaces<view, ["self: d0 d1*d2 -> result0: d0 d1 d2"
    %2 = aten.view(%1, size = [4, 2, 8]) : tensor<4x2x8xf32>
    // No rule knows this op; the file says its work: 2 * 4 * 4 * 2 * 8 operations.
    // CHECK: torch.op {{.*}}cost.work = #cost.work<contraction f32, flops = [512, 0, 0], bytes = [512, 64, 320]>
    %3 = torch.op "mylib::gram(Tensor x) -> Tensor"(%2) {cost.spaces = #cost.spaces<contraction, ["x: a h e, x: b h e -> result0: a b" flops = [2, 0, 0]]>} : tensor<4x4xf32>
    func.return %3 : tensor<4x4xf32>
  }
}
