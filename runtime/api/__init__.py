"""The Python API: functions on SPECs, programs and live modules, and their results."""
