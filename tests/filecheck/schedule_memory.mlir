// RUN: steelyard-opt %s -p annotate-cost,annotate-memory,schedule-memory 2> %t | filecheck %s
// RUN: filecheck %s --input-file %t --check-prefix REMARK

// REMARK: passed schedule-memory: func.func at @step: the peak goes from 1,472 to 1,088 bytes, by 26.1%

// CHECK: memory = {peak_bytes = 1088 : i64
// CHECK-SAME: schedule = {peak_bytes_before = 1472 : i64, peak_bytes = 1088 : i64, bound_bytes = 1088 : i64}
builtin.module {
  func.func @step(%w : tensor<8xf32> {program.role = "parameter", program.path = "w"},
                  %x : tensor<8xf32> {program.role = "input", program.path = "x"}) -> tensor<8xf32> {
    // The mask is made where it is needed, but not before the random numbers that are drawn before it.
    // CHECK: aten.rand
    // CHECK-NEXT: aten.mul.Tensor
    // CHECK-NEXT: aten.rand
    // CHECK-NEXT: aten.sum
    // A reference ends with its last use.
    // CHECK-NEXT: program.drop
    %0 = aten.rand([8, 16], dtype = "float32") : tensor<8x16xf32>
    %mask = aten.rand([8, 12], dtype = "float32") : tensor<8x12xf32>
    %1 = aten.mul.Tensor(%0, 2.0) : tensor<8x16xf32>
    %2 = aten.sum.dim_IntList(%1, [1]) : tensor<8xf32>
    // The parameter is read before it is changed.
    // CHECK: aten.add.Tensor
    // CHECK: aten.add_.Tensor
    %3 = aten.add.Tensor(%2, %w) : tensor<8xf32>
    %4 = aten.sum.dim_IntList(%mask, [1]) : tensor<8xf32>
    program.drop %1 : tensor<8x16xf32>
    %5 = aten.add_.Tensor(%w, %4) : tensor<8xf32>
    %6 = aten.add.Tensor(%3, %4) : tensor<8xf32>
    func.return %6 : tensor<8xf32>
  }
}
