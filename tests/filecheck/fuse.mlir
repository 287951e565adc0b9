// RUN: steelyard-opt %s -p 'annotate{device=h100-sxm},fuse' | filecheck %s
// RUN: steelyard-opt %s -p 'annotate{device=h100-sxm},fuse' | filecheck %s --check-prefix SMALL
// RUN: steelyard-opt %s -p 'annotate{device=cpu},fuse' | filecheck %s --check-prefix CPU

// The totals are those of the fused program: 6 kernels of 9 ops.
// CHECK: coverage = {ops = 6 : i64
// CHECK-SAME: memory = {peak_bytes
builtin.module {
  func.func @forward(%x : tensor<64x64xf32>, %s : tensor<1024x1xf32>, %l : tensor<1024x512xf32>)
      -> (tensor<64x64xf32>, tensor<64x64xf32>, tensor<1024x512xf32>) {
    // A chain is one kernel, without the drop of what stays inside it; what another op reads is written.
    // CHECK: %[[A:.*]], %[[B:.*]] = "kernel.fused"(%x) ({
    // CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<64x64xf32>):
    // CHECK-NEXT: %[[T:.*]] = aten.tanh(%[[X]])
    // CHECK-NEXT: %[[M:.*]] = aten.mul.Tensor(%[[T]], %[[X]])
    // CHECK-NEXT: %[[N:.*]] = aten.add.Tensor(%[[M]], %[[T]])
    // CHECK-NEXT: "kernel.yield"(%[[M]], %[[N]])
    // CHECK-NEXT: path = "h.0", cost.work = #cost.work<pointwise f32, {{.*}}bytes = [16384, 32768, 49152]>
    // CHECK-NOT: program.drop
    // CHECK: aten.mm(%[[B]], %[[A]])
    %1 = aten.tanh(%x) {path = "h.0.act"} : tensor<64x64xf32>
    %2 = aten.mul.Tensor(%1, %x) {path = "h.0.mlp"} : tensor<64x64xf32>
    %3 = aten.add.Tensor(%2, %1) {path = "h.0.mlp"} : tensor<64x64xf32>
    program.drop %1 : tensor<64x64xf32>
    %4 = aten.mm(%3, %2) : tensor<64x64xf32>
    // An operand is changed in place between the two.
    // CHECK: aten.exp
    // CHECK-NEXT: aten.relu_
    // CHECK-NEXT: aten.neg
    %5 = aten.exp(%4) : tensor<64x64xf32>
    %6 = aten.relu_(%4) : tensor<64x64xf32>
    %7 = aten.neg(%5) : tensor<64x64xf32>
    // A small op is computed again at each point of the large one: cheaper than a launch on the GPU alone.
    // SMALL: "kernel.fused"(%s, %l)
    // SMALL: aten.mish{{.*}}tensor<1024x1xf32>
    // SMALL-NEXT: aten.mish{{.*}}tensor<1024x1xf32>
    // SMALL-NEXT: aten.mul.Tensor
    // CPU: "kernel.fused"(%s)
    // CPU: "kernel.yield"{{.*}}tensor<1024x1xf32>
    // CPU: aten.mul.Tensor(%l, {{.*}}cost.latency
    %8 = aten.mish(%s) : tensor<1024x1xf32>
    %9 = aten.mish(%8) : tensor<1024x1xf32>
    %10 = aten.mul.Tensor(%l, %9) : tensor<1024x512xf32>
    func.return %6, %7, %10 : tensor<64x64xf32>, tensor<64x64xf32>, tensor<1024x512xf32>
  }
}
