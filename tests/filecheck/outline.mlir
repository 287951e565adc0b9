// RUN: steelyard-opt %s -p outline | filecheck %s --check-prefix OUT
// RUN: steelyard-opt %s -p outline,inline | filecheck %s --check-prefix FLAT

builtin.module {
  // OUT: func.func @forward
  // The first block stays: what it reads lives on, what the others read dies in them.
  // OUT: aten.tan(%{{.*}}) {path = "h.0.mlp.1"}
  // OUT-NEXT: program.drop
  // OUT-NEXT: func.call @block0(%{{.*}}) {path = "h.1"}
  // OUT-NEXT: func.call @block0(%{{.*}}) {path = "h.2"}
  // OUT-NEXT: aten.relu
  // OUT-NEXT: func.return
  // OUT: func.func private @block0
  // OUT-NEXT: aten.exp(%{{.*}}) {path = "act"}
  // OUT-NEXT: aten.sin(%{{.*}}) {path = ""}
  // OUT-NEXT: aten.cos(%{{.*}}) {path = "mlp.0"}
  // OUT-NEXT: aten.tan(%{{.*}}) {path = "mlp.1"}
  // OUT-NEXT: program.drop
  // OUT-NEXT: func.return
  // FLAT-NOT: func.call
  // FLAT: aten.cos(%{{.*}}) {path = "h.2.mlp.0"}
  func.func @forward(%x : tensor<8xf32>) -> tensor<8xf32> {
    %0 = aten.exp(%x) {path = "h.0.act"} : tensor<8xf32>
    %1 = aten.sin(%0) {path = "h.0"} : tensor<8xf32>
    %2 = aten.cos(%1) {path = "h.0.mlp.0"} : tensor<8xf32>
    %3 = aten.tan(%2) {path = "h.0.mlp.1"} : tensor<8xf32>
    program.drop %0 : tensor<8xf32>
    %4 = aten.exp(%3) {path = "h.1.act"} : tensor<8xf32>
    %5 = aten.sin(%4) {path = "h.1"} : tensor<8xf32>
    %6 = aten.cos(%5) {path = "h.1.mlp.0"} : tensor<8xf32>
    %7 = aten.tan(%6) {path = "h.1.mlp.1"} : tensor<8xf32>
    program.drop %4 : tensor<8xf32>
    %8 = aten.exp(%7) {path = "h.2.act"} : tensor<8xf32>
    %9 = aten.sin(%8) {path = "h.2"} : tensor<8xf32>
    %10 = aten.cos(%9) {path = "h.2.mlp.0"} : tensor<8xf32>
    %11 = aten.tan(%10) {path = "h.2.mlp.1"} : tensor<8xf32>
    program.drop %8 : tensor<8xf32>
    // FLAT: aten.relu(%{{.*}}) {path = "head"}
    %12 = aten.relu(%11) {path = "head"} : tensor<8xf32>
    func.return %12 : tensor<8xf32>
  }
}
