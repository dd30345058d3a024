"""Metrics for Prometheus, on ports of their own. `listener` is loaded when they are asked for."""
