// RUN: steelyard-opt %s -p 'annotate{device=h100-sxm},offload{budget-bytes=50331648}' | filecheck %s

builtin.module {
  // Each update has its state fetched before and stored after; two states are on the device at once.
  // CHECK: func.func @step(
  // CHECK-SAME: %m0: !host.copy<tensor<1024x1024xf32>> {program.role = "optimizer_state"}
  // CHECK: %[[A:.*]] = host.fetch %m0 {phase = "optimizer"{{.*}} : !host.copy<tensor<1024x1024xf32>> -> tensor<1024x1024xf32>
  // CHECK: %[[B:.*]] = host.fetch %m1
  // CHECK: aten._fused_sgd_([%p0], [%g0], [%[[A]]]
  // CHECK: host.store %[[A]], %m0 {phase = "optimizer"{{.*}} : tensor<1024x1024xf32> -> !host.copy<tensor<1024x1024xf32>>
  // CHECK: program.drop %[[A]]
  // CHECK: %[[C:.*]] = host.fetch %m2
  // CHECK: aten._fused_sgd_([%p1], [%g1], [%[[B]]]
  func.func @step(%p0: tensor<1024x1024xf32> {program.role = "parameter"}, %p1: tensor<1024x1024xf32> {program.role = "parameter"}, %p2: tensor<1024x1024xf32> {program.role = "parameter"}, %p3: tensor<1024x1024xf32> {program.role = "parameter"}, %g0: tensor<1024x1024xf32> {program.role = "input"}, %g1: tensor<1024x1024xf32> {program.role = "input"}, %g2: tensor<1024x1024xf32> {program.role = "input"}, %g3: tensor<1024x1024xf32> {program.role = "input"}, %m0: tensor<1024x1024xf32> {program.role = "optimizer_state"}, %m1: tensor<1024x1024xf32> {program.role = "optimizer_state"}, %m2: tensor<1024x1024xf32> {program.role = "optimizer_state"}, %m3: tensor<1024x1024xf32> {program.role = "optimizer_state"}) -> tensor<1024x1024xf32> {
    %y = aten.relu(%g0) {phase = "forward"} : tensor<1024x1024xf32>
    %z = aten.relu(%y) {phase = "backward"} : tensor<1024x1024xf32>
    program.drop %y {phase = "backward"} : tensor<1024x1024xf32>
    aten._fused_sgd_([%p0, %p1, %p2, %p3], [%g0, %g1, %g2, %g3], [%m0, %m1, %m2, %m3], weight_decay = 0.0, momentum = 0.9, lr = 0.1, dampening = 0.0, nesterov = false, maximize = false, is_first_step = false) {phase = "optimizer"}
    func.return %z : tensor<1024x1024xf32>
  }
}
