// RUN: steelyard-opt %s -p 'annotate-cost,annotate-latency{device=h100-sxm}' | filecheck %s --check-prefix EAGER
// RUN: steelyard-opt %s -p 'annotate-cost,annotate-latency{device=h100-sxm context=graph}' | filecheck %s --check-prefix GRAPH
// RUN: steelyard-opt %s -p 'annotate-cost,annotate-latency{device=k80 context=graph}' | filecheck %s --check-prefix K80

// EAGER: target = {device = "h100-sxm", context = "eager"
// EAGER-SAME: us_by_limiter = {compute = {{.*}}, "host dispatch" = {{.*}}, launch = {{.*}}}, us_by_source = {
// GRAPH: us_by_limiter = {compute = {{.*}}, launch = {{.*}}}
// K80: device = "k80"
builtin.module {
  func.func @forward(%x : tensor<4096x4096xf32>, %y : tensor<16xf32>) -> (tensor<4096x4096xf32>, tensor<16xf32>) {
    // EAGER: aten.mm{{.*}}#cost.latency<us = [{{.*}}], compute, {{analytic|spec|fitted}}>
    // K80: aten.mm{{.*}}#cost.latency<us = [{{.*}}], compute, {{analytic|spec|fitted}}>
    %1 = aten.mm(%x, %x) : tensor<4096x4096xf32>
    // EAGER: aten.relu{{.*}}, launch, analytic>
    // GRAPH: aten.relu{{.*}}, launch, analytic>
    %2 = aten.relu(%y) : tensor<16xf32>
    func.return %1, %2 : tensor<4096x4096xf32>, tensor<16xf32>
  }
}
