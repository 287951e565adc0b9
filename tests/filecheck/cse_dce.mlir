// RUN: steelyard-opt %s -p cse,dce | filecheck %s
// RUN: steelyard-opt %s -p cse,canonicalize | filecheck %s

// CHECK-LABEL: func.func @forward(
// Two equal ops become one; the reference to it ends where the last of both did.
// CHECK-NEXT: %[[ONE:.*]] = aten.relu(%a)
// CHECK-NEXT: %{{.*}} = aten.add.Tensor(%[[ONE]], %[[ONE]])
// CHECK-NEXT: program.drop %[[ONE]]
// A chain of no use goes with the ends of its references.
// CHECK-NOT: aten.exp
// CHECK-NOT: aten.neg
// Random numbers, mutations and collectives stay, and so do two buffers that are filled in place.
// CHECK: aten.bernoulli
// CHECK: aten.bernoulli
// CHECK: _c10d_functional.all_reduce
// CHECK: aten.zeros
// CHECK: aten.zeros
// CHECK: aten.add_.Tensor
// The operand was changed in between.
// CHECK: aten.relu
// CHECK: aten.mul_.Scalar
// CHECK: aten.relu
builtin.module {
  func.func @forward(%a : tensor<4xf32>, %b : tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %1 = aten.relu(%a) : tensor<4xf32>
    %2 = aten.relu(%a) : tensor<4xf32>
    program.drop %1 : tensor<4xf32>
    %3 = aten.add.Tensor(%2, %2) : tensor<4xf32>
    program.drop %2 : tensor<4xf32>
    %4 = aten.exp(%a) : tensor<4xf32>
    %5 = aten.neg(%4) : tensor<4xf32>
    program.drop %4 : tensor<4xf32>
    program.drop %5 : tensor<4xf32>
    %6 = aten.bernoulli(%a) : tensor<4xf32>
    %7 = aten.bernoulli(%a) : tensor<4xf32>
    %8 = _c10d_functional.all_reduce(%a, reduce_op = "sum", group_name = "0") : tensor<4xf32>
    %9 = aten.zeros(size = [4]) : tensor<4xf32>
    %10 = aten.zeros(size = [4]) : tensor<4xf32>
    %11 = aten.view(%10, size = [2, 2]) : tensor<2x2xf32>
    %12 = aten.view(%11, size = [4]) : tensor<4xf32>
    %13 = aten.add_.Tensor(%12, %3) : tensor<4xf32>
    %14 = aten.relu(%b) : tensor<4xf32>
    %15 = aten.mul_.Scalar(%b, other = 2.0) : tensor<4xf32>
    %16 = aten.relu(%b) : tensor<4xf32>
    %17 = aten.add.Tensor(%14, %16) : tensor<4xf32>
    func.return %9, %13, %17 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
}
