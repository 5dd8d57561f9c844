"""What `vidfer evaluate` computes."""
