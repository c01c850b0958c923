"""What runs experiments: one module or package for each runner."""
