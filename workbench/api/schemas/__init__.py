"""What travels as JSON: the value objects of the stores, without their paths."""
