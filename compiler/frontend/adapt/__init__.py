"""Adaptations of users' models: names of their inputs and outputs, default losses, code for GPUs."""
