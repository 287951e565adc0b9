"""Prediction of CSV rows and scoring against measurements."""
