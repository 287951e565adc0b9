// RUN: steelyard-opt %s -p 'shard{mesh=2}' | filecheck %s
// RUN: xdsl-opt %s -p 'shard{mesh=2}' | filecheck %s
// RUN: steelyard-opt %s -p 'shard{mesh=2}' | steelyard-opt | filecheck %s
// RUN: steelyard-opt %s -p 'annotate-cost,shard{mesh=2},annotate-cost' | filecheck %s --check-prefix COST

// Two layers without activation, the loss the mean of the squared error, plain gradient descent.
// CHECK: shard.mesh = 2 : i64, shard.plan = "data"
// Half of the FLOPs of all matrix products: 5 products of 2 * 4 * 4 * 4.
// COST: contraction = 640 : i64
builtin.module {
  // CHECK: func.func @step(
  // CHECK-SAME: tensor<4x4xf32> {program.role = "parameter", program.path = "0.weight", shard.split = -1 : i64}
  // CHECK-SAME: tensor<4x4xf32> {program.role = "input", program.path = "x", shard.split = 0 : i64}
  func.func @step(%w : tensor<4x4xf32> {program.role = "parameter", program.path = "0.weight"},
                  %v : tensor<4x4xf32> {program.role = "parameter", program.path = "1.weight"},
                  %x : tensor<8x4xf32> {program.role = "input", program.path = "x"},
                  %y : tensor<8x4xf32> {program.role = "target", program.path = "y"})
      -> (tensor<f32>, tensor<4x4xf32>, tensor<4x4xf32>) {
    // CHECK: aten.mm({{.*}}) {phase = "forward"} : tensor<4x4xf32>
    %1 = aten.mm(%x, %w) {phase = "forward"} : tensor<8x4xf32>
    // CHECK: aten.view({{.*}}size = [2, 2, 4]){{.*}} : tensor<2x2x4xf32>
    %2 = aten.view(%1, size = [4, 2, 4]) {phase = "forward"} : tensor<4x2x4xf32>
    // CHECK: aten.view({{.*}}size = [-1, 4]){{.*}} : tensor<4x4xf32>
    %3 = aten.view(%2, size = [-1, 4]) {phase = "forward"} : tensor<8x4xf32>
    %4 = aten.mm(%3, %v) {phase = "forward"} : tensor<8x4xf32>
    // The mean of a part is divided by the number of parts, so that all parts add up.
    // CHECK: %[[LOCAL:.*]] = aten.mse_loss(
    // CHECK: %[[TERM:.*]] = aten.div.Scalar(%[[LOCAL]], other = 2)
    %5 = aten.mse_loss(%4, %y) {phase = "loss"} : tensor<f32>
    // CHECK: %[[SUM:.*]] = _c10d_functional.all_reduce(%[[TERM]], reduce_op = "sum", group_name = "0")
    // CHECK: %[[LOSS:.*]] = _c10d_functional.wait_tensor(%[[SUM]])
    // CHECK: %[[ONE:.*]] = aten.ones_like(%[[LOSS]])
    %6 = aten.ones_like(%5) {phase = "backward"} : tensor<f32>
    // CHECK: %[[PART:.*]] = aten.div.Scalar(%[[ONE]], other = 2)
    // CHECK: aten.mse_loss_backward(%[[PART]], {{.*}} : tensor<4x4xf32>
    %7 = aten.mse_loss_backward(%6, %4, %y, reduction = 1) {phase = "backward"} : tensor<8x4xf32>
    // CHECK: aten.t({{.*}}) {phase = "backward"} : tensor<4x4xf32>
    %8 = aten.t(%3) {phase = "backward"} : tensor<4x8xf32>
    // CHECK: %[[GRAD_V:.*]] = aten.mm(
    %9 = aten.mm(%8, %7) {phase = "backward"} : tensor<4x4xf32>
    %10 = aten.t(%v) {phase = "backward"} : tensor<4x4xf32>
    %11 = aten.mm(%7, %10) {phase = "backward"} : tensor<8x4xf32>
    %12 = aten.t(%x) {phase = "backward"} : tensor<4x8xf32>
    // CHECK: %[[GRAD_W:.*]] = aten.mm({{.*}} : tensor<4x4xf32>
    %13 = aten.mm(%12, %11) {phase = "backward"} : tensor<4x4xf32>
    // The terms are summed as late as possible: two of one sum are added before.
    // CHECK: %[[BOTH:.*]] = aten.add.Tensor(
    // CHECK: _c10d_functional.all_reduce(%[[BOTH]],
    // CHECK: aten.mul.Scalar(
    %14 = aten.add.Tensor(%13, %9) {phase = "backward"} : tensor<4x4xf32>
    %15 = aten.mul.Scalar(%14, other = -0.1) {phase = "optimizer"} : tensor<4x4xf32>
    %16 = aten.add_.Tensor(%w, %15) {phase = "optimizer"} : tensor<4x4xf32>
    func.return %5, %14, %9 : tensor<f32>, tensor<4x4xf32>, tensor<4x4xf32>
  }
}
