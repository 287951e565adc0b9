"""Running and measuring: executors, profiling, calibration, comparison, the command line."""
