"""Fits of model constants and residuals to measured tables."""
