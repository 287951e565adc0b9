"""What becomes of activations between forward and backward."""
